//! Marking a payload as a snapshot: the one bit that makes of a tick the last known tick.

use mdhub_spec::tick::flags::SNAPSHOT;

/// The field's name in MessagePack, before its value.
const FLAGS: &[u8] = b"\xa5flags";

/// Sets flag `snapshot` in an encoded tick. The flag is the lowest bit, so the value keeps its length.
pub(super) fn mark(payload: &mut [u8]) {
    // It is among the last fields.
    let Some(name_at) = payload.windows(FLAGS.len()).rposition(|window| window == FLAGS) else { return };
    let value_at = name_at + FLAGS.len();
    let lowest_byte = match payload.get(value_at) {
        Some(0x00..=0x7f) => value_at,
        Some(0xcc) => value_at + 1,
        Some(0xcd) => value_at + 2,
        Some(0xce) => value_at + 4,
        _ => return,
    };
    if let Some(byte) = payload.get_mut(lowest_byte) {
        *byte |= SNAPSHOT.to_be_bytes()[3];
    }
}

#[cfg(test)]
mod tests {
    use rmpv::Value;

    use super::*;

    fn map(flags: u64) -> Vec<u8> {
        let pairs = [("seq", 7), ("flags", flags), ("ingress_ns", 1_795_000_000_456_789_012), ("v", 1)];
        let map = Value::Map(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect());
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &map).expect("writes");
        bytes
    }

    #[test]
    fn the_lowest_bit_is_set_in_every_form_and_nothing_else_changes() {
        for flags in [0, 1, 2, 126, 127, 128, 254, 256, 65_534, 65_536, u64::from(u32::MAX) - 1] {
            let mut bytes = map(flags);
            mark(&mut bytes);
            assert_eq!(bytes, map(flags | 1), "{flags}");
        }
    }

    #[test]
    fn what_is_no_tick_stays_as_it_is() {
        for bytes in [&b""[..], b"tick", b"\xa5flags", b"\xa5flags\xcc", b"\xa5flags\xc0"] {
            let mut marked = bytes.to_vec();
            mark(&mut marked);
            assert_eq!(marked, bytes);
        }
    }
}
