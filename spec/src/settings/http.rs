//! Section `http`: the control port.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use super::{Fault, Network, within};

/// Names, and networks, that may be listed.
const LISTED_MAX: usize = 64;
/// Thirty days.
const SESSION_MS_MAX: u64 = 30 * 86_400_000;
/// Longest name of a host, as DNS has it.
const HOST_BYTES_MAX: usize = 253;

/// Section `http`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port; loopback unless chosen otherwise.
    #[serde(deserialize_with = "ip_and_port")]
    pub listen: SocketAddr,
    /// Names by which browsers may call the hub, without a port, beside those of loopback and the address that it listens on.
    /// A request for any other is refused, so that no web page reaches the hub by a name that it makes point here.
    pub allowed_hosts: Vec<String>,
    /// Networks of reverse proxies: `X-Forwarded-For` and `X-Forwarded-Proto` count from these only.
    pub trusted_proxies: Vec<Network>,
    /// The folder of the dashboard's pages; by default `../share/mdhub/dashboard` beside the program. They are read at the start.
    pub dashboard: Option<PathBuf>,
    /// A login ends when nothing was asked for so long, milliseconds.
    pub session_idle_ms: u64,
    /// A login ends after so long in any case, milliseconds.
    pub session_max_ms: u64,
}

fn ip_and_port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let given = String::deserialize(deserializer)?;
    let refused = |_| format!("{given:?} is not allowed: write IP:PORT, for example 127.0.0.1:8080");
    given.parse().map_err(refused).map_err(serde::de::Error::custom)
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allowed_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            dashboard: None,
            session_idle_ms: 8 * 3_600_000,
            session_max_ms: 24 * 3_600_000,
        }
    }
}

impl Http {
    pub(super) fn check(&self) -> Result<(), Fault> {
        within("http.allowed_hosts: entries", self.allowed_hosts.len() as u64, 0, LISTED_MAX as u64)?;
        within("http.trusted_proxies: entries", self.trusted_proxies.len() as u64, 0, LISTED_MAX as u64)?;
        if let Some(host) = self.allowed_hosts.iter().find(|host| !is_host(host)) {
            let message =
                format!("{host:?} is not allowed: a host's name without scheme and port, for example hub.desk.lan");
            return Err(("http.allowed_hosts", message));
        }
        within("http.session_idle_ms", self.session_idle_ms, 1_000, SESSION_MS_MAX)?;
        within("http.session_max_ms", self.session_max_ms, 1_000, SESSION_MS_MAX)
    }
}

/// A name of letters, digits, hyphens, underscores and dots, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    let is_v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = is_v6 {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    host.len() <= HOST_BYTES_MAX && host.split('.').all(|part| !part.is_empty() && part.chars().all(is_letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(yaml: &str) -> Result<Http, String> {
        let http: Http = serde_yaml::from_str(yaml).map_err(|e| e.to_string())?;
        http.check().map_err(|(field, message)| format!("{field}: {message}"))?;
        Ok(http)
    }

    #[test]
    fn hosts_proxies_and_how_long_a_login_lasts_are_read() {
        let yaml = "{allowed_hosts: [hub.desk.lan, '10.1.2.3', '[::1]'], trusted_proxies: [10.0.0.0/8], session_idle_ms: 60000}";
        let http = parsed(yaml).expect("allowed");
        assert_eq!(http.allowed_hosts, ["hub.desk.lan", "10.1.2.3", "[::1]"]);
        assert!(http.trusted_proxies[0].contains("10.9.9.9".parse().expect("an address")));
        assert_eq!((http.session_idle_ms, http.session_max_ms), (60_000, 86_400_000));
        assert!(http.listen.ip().is_loopback());
    }

    #[test]
    fn a_fault_names_the_field_the_value_and_what_is_allowed() {
        for (yaml, parts) in [
            ("{allowed_hosts: ['http://hub']}", ["http.allowed_hosts", "http://hub", "without scheme and port"]),
            ("{allowed_hosts: ['hub:8080']}", ["http.allowed_hosts", "hub:8080", "hub.desk.lan"]),
            ("{allowed_hosts: ['*']}", ["http.allowed_hosts", "*", "a host's name"]),
            ("{allowed_hosts: ['']}", ["http.allowed_hosts", "\"\"", "a host's name"]),
            ("{allowed_hosts: ['[::g]']}", ["http.allowed_hosts", "[::g]", "a host's name"]),
            ("{trusted_proxies: [proxy]}", ["trusted_proxies", "proxy", "192.168.1.0/24"]),
            ("{session_idle_ms: 999}", ["http.session_idle_ms", "999 is not allowed", "1000 to 2592000000"]),
            ("{session_max_ms: 0}", ["http.session_max_ms", "0 is not allowed", "1000 to 2592000000"]),
        ] {
            let refused = parsed(yaml).expect_err(yaml);
            assert!(parts.iter().all(|part| refused.contains(part)), "{yaml}: {refused}");
        }
        let many = format!("{{allowed_hosts: [{}]}}", vec!["a"; 65].join(", "));
        assert!(parsed(&many).is_err_and(|refused| refused.contains("65 is not allowed: 0 to 64")));
    }
}
