//! Where a request comes from, and what it is addressed to.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use mdhub_spec::settings::{Http, Network};

/// The names that the hub answers for.
pub(super) struct Hosts {
    names: Vec<String>,
    bound: IpAddr,
}

impl Hosts {
    pub(super) fn new(http: &Http, bound: IpAddr) -> Self {
        let names = http.allowed_hosts.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { names, bound: bound.to_canonical() }
    }

    /// Whether a request for this `HOST[:PORT]` is for the hub. Somebody else's name may be made to point here; an address
    /// cannot, so that a hub on every address answers for each.
    pub(super) fn is_ours(&self, authority: &str) -> bool {
        let host = host_and_port(authority).0.to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse().map(|at: IpAddr| at.to_canonical());
        let is_own_address = |at: IpAddr| at.is_loopback() || at == self.bound || self.bound.is_unspecified();
        let is_loopback_name = host == "localhost" || host.ends_with(".localhost");
        is_loopback_name || address.is_ok_and(is_own_address) || self.names.contains(&host)
    }
}

/// `HOST[:PORT]` that a request is addressed to; empty where it says none, or more than one.
pub(super) fn authority(request: &Request) -> &str {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    request.uri().authority().map(|authority| authority.as_str()).or(host).unwrap_or_default()
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// What the browser says of how the page that asks stands to the hub.
pub(super) fn fetch_site(headers: &HeaderMap) -> Option<&str> {
    headers.get("sec-fetch-site").map(|site| site.to_str().unwrap_or("cross-site"))
}

/// That a request was not made by a page of another site, another port of the same host included; else why it was.
pub(super) fn is_no_other_site(headers: &HeaderMap, is_tls: bool, authority: &str) -> Result<(), String> {
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("null");
        let scheme = if is_tls { "https" } else { "http" };
        if is_origin(origin, scheme, authority) {
            return Ok(());
        }
        let why = format!(
            "the header Origin says {origin:?}, and the hub is {scheme}://{authority}: a page of another site may not do this \
             (a proxy between must pass on Host, and X-Forwarded-Proto as one of http.trusted_proxies)"
        );
        return Err(why);
    }
    match fetch_site(headers) {
        Some(site @ ("cross-site" | "same-site")) => {
            Err(format!("the header Sec-Fetch-Site says {site:?}: a page of another site may not do this"))
        }
        _ => Ok(()),
    }
}

fn is_origin(origin: &str, scheme: &str, authority: &str) -> bool {
    let Some((of, from)) = origin.split_once("://") else { return false };
    let default = if scheme == "https" { "443" } else { "80" };
    let ((host, port), (own_host, own_port)) = (host_and_port(from), host_and_port(authority));
    of == scheme && host.eq_ignore_ascii_case(own_host) && port.unwrap_or(default) == own_port.unwrap_or(default)
}

/// Who has sent a request that came in from `peer`, and whether by TLS. What it says of where it was before counts from proxies only.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> (IpAddr, bool) {
    let is_proxy = |at: IpAddr| proxies.iter().any(|proxy| proxy.contains(at));
    if !is_proxy(peer) {
        return (peer, false);
    }
    let said = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let lines: Vec<&str> = said("x-forwarded-for").collect();
    let mut from = peer;
    // Each proxy adds at the end whom it was asked by.
    for hop in lines.iter().flat_map(|line| line.split(',')).rev() {
        let Some(at) = address_of(hop.trim()) else { break };
        from = at;
        if !is_proxy(at) {
            break;
        }
    }
    let last = said("x-forwarded-proto").next_back().and_then(|line| line.rsplit(',').next()).map(str::trim);
    (from, last.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")))
}

/// `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
fn address_of(hop: &str) -> Option<IpAddr> {
    let v6 = |text: &str| text.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    match hop.strip_prefix('[') {
        Some(rest) => rest.split_once(']').and_then(|(address, _)| v6(address)),
        None => hop.parse().ok().or_else(|| hop.split_once(':').and_then(|(address, _)| address.parse().ok())),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        };
        given.iter().map(header).collect()
    }

    #[test]
    fn the_hub_answers_for_loopback_its_own_address_and_the_names_it_was_given() {
        let http =
            |names: &[&str]| Http { allowed_hosts: names.iter().map(|n| (*n).to_owned()).collect(), ..Http::default() };
        let at = |bound: &str, names: &[&str]| Hosts::new(&http(names), bound.parse().expect("an address"));
        let (loopback, lan, all) =
            (at("127.0.0.1", &[]), at("10.1.2.3", &["Hub.desk.lan", "[fe80::1]"]), at("::", &["hub"]));
        for (authority, of_loopback, of_lan, of_all) in [
            ("localhost", true, true, true),
            ("LOCALHOST:8080", true, true, true),
            ("hub.localhost:80", true, true, true),
            ("127.0.0.1:8080", true, true, true),
            ("127.8.9.1", true, true, true),
            ("[::1]:8080", true, true, true),
            ("10.1.2.3:8080", false, true, true),
            ("10.1.2.4:8080", false, false, true),
            ("hub.desk.lan:8080", false, true, false),
            ("HUB.desk.LAN", false, true, false),
            ("[fe80::1]:8080", false, true, true),
            ("hub", false, false, true),
            ("evil.example", false, false, false),
            ("localhost.evil.example", false, false, false),
            ("127.0.0.1.evil.example", false, false, false),
            ("hub.desk.lan.evil.example", false, false, false),
            ("", false, false, false),
        ] {
            let found = [&loopback, &lan, &all].map(|hosts| hosts.is_ours(authority));
            assert_eq!(found, [of_loopback, of_lan, of_all], "{authority}");
        }
    }

    #[test]
    fn a_page_of_another_scheme_host_or_port_is_another_site() {
        for (given, is_tls, authority, is_allowed) in [
            (&[][..], false, "127.0.0.1:8080", true),
            (&[("origin", "http://127.0.0.1:8080")], false, "127.0.0.1:8080", true),
            (&[("origin", "http://127.0.0.1:8081")], false, "127.0.0.1:8080", false),
            (&[("origin", "http://127.0.0.1")], false, "127.0.0.1:8080", false),
            (&[("origin", "https://127.0.0.1:8080")], false, "127.0.0.1:8080", false),
            (&[("origin", "http://localhost:8080")], false, "127.0.0.1:8080", false),
            (&[("origin", "null")], false, "127.0.0.1:8080", false),
            (&[("origin", "")], false, "127.0.0.1:8080", false),
            (&[("origin", "http://HUB")], false, "hub:80", true),
            (&[("origin", "https://hub")], true, "hub", true),
            (&[("origin", "https://hub")], true, "hub:443", true),
            (&[("origin", "http://hub")], true, "hub", false),
            (&[("origin", "http://[::1]:8080")], false, "[::1]:8080", true),
            (&[("sec-fetch-site", "same-origin")], false, "hub", true),
            (&[("sec-fetch-site", "none")], false, "hub", true),
            (&[("sec-fetch-site", "same-site")], false, "hub", false),
            (&[("sec-fetch-site", "cross-site")], false, "hub", false),
        ] {
            let found = is_no_other_site(&headers(given), is_tls, authority);
            assert_eq!(found.is_ok(), is_allowed, "{given:?} {is_tls} {authority}: {found:?}");
        }
    }

    #[test]
    fn what_is_forwarded_counts_from_trusted_proxies_only() {
        let proxies = [Network::try_from("10.0.0.0/8".to_owned()).expect("a network")];
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        for (peer, given, from, is_tls) in [
            ("10.0.0.1", &[][..], "10.0.0.1", false),
            ("192.168.1.9", &[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")], "192.168.1.9", false),
            ("10.0.0.1", &[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")], "1.2.3.4", true),
            ("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.2")], "1.2.3.4", false),
            ("10.0.0.1", &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4:99")], "1.2.3.4", false),
            ("10.0.0.1", &[("x-forwarded-for", "10.0.0.3")], "10.0.0.3", false),
            ("10.0.0.1", &[("x-forwarded-for", "rubbish")], "10.0.0.1", false),
            ("10.0.0.1", &[("x-forwarded-for", "[2001:db8::1]:443")], "2001:db8::1", false),
            ("10.0.0.1", &[("x-forwarded-proto", "https, http")], "10.0.0.1", false),
        ] {
            let found = client(address(peer), &headers(given), &proxies);
            assert_eq!(found, (address(from), is_tls), "{peer} {given:?}");
        }
    }
}
