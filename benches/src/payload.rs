//! What a benchmark looks up in a payload, without decoding it: the maps' keys are texts, so that a key and the type of its
//! value are a pattern of bytes that stands nowhere else.

/// Nanoseconds since the epoch: receipt in the worker.
pub(crate) fn ingress_ns(payload: &[u8]) -> Option<u64> {
    behind(payload, b"\xaaingress_ns\xcf").and_then(u64_of)
}

/// Number within the topic.
pub(crate) fn seq(payload: &[u8]) -> Option<u64> {
    unsigned(behind(payload, b"\xa3seq")?)
}

/// Lots since the start of the trading day.
pub(crate) fn volume(payload: &[u8]) -> Option<u64> {
    unsigned(after(payload, b"\xa6volume")?)
}

/// Exchange time, milliseconds since the epoch.
pub(crate) fn exchange_time_ms(payload: &[u8]) -> Option<u64> {
    let packed = u64_of(after(payload, b"\xa8datetime\xd7\xff")?)?;
    Some((packed & ((1 << 34) - 1)) * 1_000 + (packed >> 34) / 1_000_000)
}

/// The contract.
pub(crate) fn vt_symbol(payload: &[u8]) -> Option<&str> {
    text(after(payload, b"\xa9vt_symbol")?)
}

/// The account that brought it.
pub(crate) fn source(payload: &[u8]) -> Option<&str> {
    text(behind(payload, b"\xa6source")?)
}

/// Whether it is the last known tick for a newcomer, and no news.
pub(crate) fn is_snapshot(payload: &[u8]) -> bool {
    behind(payload, b"\xa5flags").and_then(unsigned).is_some_and(|flags| flags & 1 == 1)
}

fn after<'a>(payload: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = payload.windows(key.len()).position(|w| w == key)?;
    payload.get(at + key.len()..)
}

/// As `after`, for what stands near the end.
fn behind<'a>(payload: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = payload.windows(key.len()).rposition(|w| w == key)?;
    payload.get(at + key.len()..)
}

fn u64_of(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().copied().map(u64::from_be_bytes)
}

fn unsigned(bytes: &[u8]) -> Option<u64> {
    let (&kind, rest) = bytes.split_first()?;
    match kind {
        0..=0x7f => Some(kind.into()),
        0xcc => rest.first().map(|b| (*b).into()),
        0xcd => rest.first_chunk().map(|b| u16::from_be_bytes(*b).into()),
        0xce => rest.first_chunk().map(|b| u32::from_be_bytes(*b).into()),
        0xcf => u64_of(rest),
        _ => None,
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    let (&kind, rest) = bytes.split_first()?;
    let length = if kind & 0xe0 == 0xa0 { usize::from(kind & 0x1f) } else { return None };
    std::str::from_utf8(rest.get(..length)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_keys() {
        let mut payload = b"\x88\xa8datetime\xd7\xff".to_vec();
        payload.extend(((123_000_000u64 << 34) | 1_795_000_000).to_be_bytes());
        payload.extend(b"\xa6volume\xcd\x01\x00\xa9vt_symbol\xa9m2705.DCE\xa3seq\x05\xa6source\xa4main\xa5flags\x01");
        payload.extend(b"\xaaingress_ns\xcf\0\0\0\0\0\0\0\x09");
        assert_eq!(exchange_time_ms(&payload), Some(1_795_000_000_123));
        assert_eq!((volume(&payload), seq(&payload), ingress_ns(&payload)), (Some(256), Some(5), Some(9)));
        assert_eq!((vt_symbol(&payload), source(&payload)), (Some("m2705.DCE"), Some("main")));
        assert!(is_snapshot(&payload));
        assert_eq!(seq(b"\xa3seq"), None);
    }
}
