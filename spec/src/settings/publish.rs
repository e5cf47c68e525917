//! Section `publish`: the tick socket, and who may have what from it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{Endpoint, Fault, within};

/// Most tokens.
pub const TOKENS_MAX: usize = 64;
/// Longest name of a token, bytes.
pub const TOKEN_NAME_BYTES_MAX: usize = 64;

/// Section `publish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// Where subscribers connect; loopback unless chosen otherwise.
    pub listen: Endpoint,
    /// Most connections at once.
    pub peers_max: usize,
    /// Most bytes that wait for one subscriber.
    pub peer_buffer_bytes_max: usize,
    /// Most bytes that wait for all of them.
    pub total_buffer_bytes_max: usize,
    /// A connection that has not finished its handshake by then is closed.
    pub handshake_timeout_ms: u64,
    /// A subscriber that has taken nothing for this long while ticks were dropped for it is cut.
    pub slow_consumer_ms: u64,
    /// Who may subscribe, by ZMTP's PLAIN mechanism: the password is the token. None: everybody may.
    pub tokens: Vec<Token>,
    /// Whether subscribers without a token are served although there are tokens.
    pub anonymous: bool,
    /// From which addresses subscribers may connect; none named: from all.
    pub allow: Vec<Network>,
    /// Whose subscription to a contract that nobody feeds asks for it upstream.
    pub demand: DemandPolicy,
    /// A demanded contract is given up so long after its last subscriber left.
    pub demand_linger_ms: u64,
    /// Size of the log of recent ticks.
    pub recent_bytes: usize,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            listen: Endpoint(SocketAddr::from(([127, 0, 0, 1], 5555))),
            peers_max: 1100,
            peer_buffer_bytes_max: 16 * 1024 * 1024,
            total_buffer_bytes_max: 128 * 1024 * 1024,
            handshake_timeout_ms: 5_000,
            slow_consumer_ms: 10_000,
            tokens: Vec::new(),
            anonymous: false,
            allow: Vec::new(),
            demand: DemandPolicy::All,
            demand_linger_ms: 300_000,
            recent_bytes: 48 * 1024 * 1024,
        }
    }
}

impl Publish {
    pub(super) fn check(&self) -> Result<(), Fault> {
        within("publish.peers_max", self.peers_max as u64, 1, 10_000)?;
        within("publish.peer_buffer_bytes_max", self.peer_buffer_bytes_max as u64, 65_536, 1 << 30)?;
        within("publish.total_buffer_bytes_max", self.total_buffer_bytes_max as u64, 65_536, 1 << 34)?;
        within("publish.handshake_timeout_ms", self.handshake_timeout_ms, 100, 60_000)?;
        within("publish.slow_consumer_ms", self.slow_consumer_ms, 100, 600_000)?;
        within("publish.demand_linger_ms", self.demand_linger_ms, 1_000, 86_400_000)?;
        within("publish.recent_bytes", self.recent_bytes as u64, 1 << 20, 1 << 32)?;
        self.check_tokens()
    }

    fn check_tokens(&self) -> Result<(), Fault> {
        let refused = |message: String| Err(("publish.tokens", message));
        if self.tokens.len() > TOKENS_MAX {
            return refused(format!("{} tokens are too many: at most {TOKENS_MAX} are allowed", self.tokens.len()));
        }
        let mut names = BTreeSet::new();
        for Token { name, .. } in &self.tokens {
            let fits = (1..=TOKEN_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
            if !fits {
                return refused(format!(
                    "name {name:?} is not allowed: 1 to {TOKEN_NAME_BYTES_MAX} printable ASCII characters without spaces"
                ));
            }
            if !names.insert(name) {
                return refused(format!("name {name:?} is there twice: each token needs a name of its own"));
            }
        }
        Ok(())
    }
}

/// Somebody who may subscribe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Who it is: shown beside its connections.
    pub name: String,
    /// SHA-256 of the token's text.
    pub sha256: Sha256,
}

/// A SHA-256 digest; 64 hexadecimal digits in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(pub [u8; 32]);

impl TryFrom<String> for Sha256 {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        let refused = || format!("{s:?} is not allowed: a SHA-256 is 64 hexadecimal digits");
        let nibble = |b: u8| char::from(b).to_digit(16).map(|n| n as u8);
        let (pairs, []) = s.as_bytes().as_chunks::<2>() else { return Err(refused()) };
        let pairs: &[[u8; 2]; 32] = pairs.try_into().map_err(|_| refused())?;
        let mut digest = [0; 32];
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            let (Some(high), Some(low)) = (nibble(*high), nibble(*low)) else { return Err(refused()) };
            *byte = high << 4 | low;
        }
        Ok(Self(digest))
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Addresses that begin alike: `192.168.1.0/24`. A single address stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether `address` is one of them. An IPv4 address that came in by IPv6 is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(u32::BITS - u32::from(self.bits)).is_none_or(|x| x == 0)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(u128::BITS - u32::from(self.bits)).is_none_or(|x| x == 0)
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        let refused = || format!("{s:?} is not allowed: write an address or a network, for example 192.168.1.0/24");
        let (address, bits) = s.split_once('/').map_or((s.as_str(), None), |(a, bits)| (a, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(bits_max), str::parse).map_err(|_| refused())?;
        if bits <= bits_max { Ok(Self { address, bits }) } else { Err(refused()) }
    }
}

impl From<Network> for String {
    fn from(n: Network) -> Self {
        format!("{}/{}", n.address, n.bits)
    }
}

/// Whose subscriptions ask for contracts upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DemandPolicy {
    /// Nobody's.
    Off,
    /// Of those who gave a token.
    Authenticated,
    /// Everybody's.
    #[default]
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(yaml: &str) -> Result<Publish, String> {
        let publish: Publish = serde_yaml::from_str(yaml).map_err(|e| e.to_string())?;
        publish.check().map_err(|(field, message)| format!("{field}: {message}"))?;
        Ok(publish)
    }

    #[test]
    fn tokens_and_networks_are_read_and_written_back() {
        let digest = "0123456789abcdef".repeat(4);
        let yaml = format!(
            "tokens: [{{name: desk-7, sha256: {}}}]\nallow: [10.0.0.0/8, 'fe80::/10', 192.168.1.7]\ndemand: authenticated",
            digest.to_uppercase()
        );
        let publish = parsed(&yaml).expect("allowed");
        assert_eq!(String::from(publish.tokens[0].sha256), digest);
        assert_eq!(publish.demand, DemandPolicy::Authenticated);
        let networks: Vec<String> = publish.allow.iter().map(|n| String::from(*n)).collect();
        assert_eq!(networks, ["10.0.0.0/8", "fe80::/10", "192.168.1.7/32"]);
    }

    #[test]
    fn a_fault_says_what_is_allowed() {
        for (yaml, part) in [
            ("tokens: [{name: a, sha256: 12}]", "64 hexadecimal digits"),
            (&format!("tokens: [{{name: a, sha256: {}}}]", "g".repeat(64)), "64 hexadecimal digits"),
            (&format!("tokens: [{{name: a b, sha256: {}}}]", "a".repeat(64)), "without spaces"),
            ("allow: [10.0.0.0/33]", "192.168.1.0/24"),
            ("allow: [localhost]", "192.168.1.0/24"),
            ("demand: some", "authenticated"),
            ("recent_bytes: 5", "1048576 to"),
            ("demand_linger_ms: 5", "1000 to"),
        ] {
            let error = parsed(yaml).map(|_| ()).expect_err(yaml);
            assert!(error.contains(part), "{yaml}: {part:?} is not in {error:?}");
        }
        let twice = format!("tokens: [{0}, {0}]", format_args!("{{name: a, sha256: {}}}", "a".repeat(64)));
        assert!(parsed(&twice).is_err_and(|e| e.contains("\"a\" is there twice")));
    }

    #[test]
    fn a_network_holds_its_own_addresses() {
        let network = |text: &str| Network::try_from(text.to_owned()).expect("a network");
        for (of, address, expected) in [
            ("10.1.2.0/24", "10.1.2.255", true),
            ("10.1.2.0/24", "10.1.3.0", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.2", false),
            ("0.0.0.0/0", "255.1.2.3", true),
            ("0.0.0.0/0", "::1", false),
            ("10.1.2.0/24", "::ffff:10.1.2.7", true),
            ("::/0", "fe80::1", true),
            ("fe80::/10", "fec0::1", false),
            ("::1", "::1", true),
        ] {
            assert_eq!(network(of).contains(address.parse().expect("an address")), expected, "{of} {address}");
        }
    }
}
