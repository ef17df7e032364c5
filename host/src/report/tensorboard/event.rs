//! The two kinds of `tensorflow.Event` that a scalar log holds, as protobuf
//! (`tensorboard/compat/proto/event.proto` and `summary.proto`).

/// Wire types of protobuf, the low three bits of a field's key.
const VARINT: u64 = 0;
const I64: u64 = 1;
const LENGTH: u64 = 2;
const I32: u64 = 5;

/// The event that opens each file: `wall_time` and `file_version`.
pub(super) fn version(wall_time_s: f64) -> Vec<u8> {
    let mut event = wall_time(wall_time_s);
    bytes(&mut event, 3, b"brain.Event:2");
    event
}

/// One point of a curve: `wall_time`, `step` and a `summary` with one `simple_value`.
pub(super) fn scalar(tag: &str, step: i64, value: f32, wall_time_s: f64) -> Vec<u8> {
    let mut entry = Vec::new();
    bytes(&mut entry, 1, tag.as_bytes());
    key(&mut entry, 2, I32);
    entry.extend(value.to_le_bytes());

    let mut summary = Vec::new();
    bytes(&mut summary, 1, &entry);

    let mut event = wall_time(wall_time_s);
    key(&mut event, 2, VARINT);
    // An int64 is stored as its two's complement.
    varint(&mut event, step as u64);
    bytes(&mut event, 5, &summary);
    event
}

fn wall_time(seconds: f64) -> Vec<u8> {
    let mut event = Vec::new();
    key(&mut event, 1, I64);
    event.extend(seconds.to_le_bytes());
    event
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(out, field, LENGTH);
    varint(out, value.len() as u64);
    out.extend(value);
}

fn key(out: &mut Vec<u8>, field: u64, wire: u64) {
    varint(out, field << 3 | wire);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `protoc --decode` would show: wall_time 1.5, step 300, summary { value { tag "a" … 0.5 } }.
    #[test]
    fn scalar_is_the_protobuf_of_the_schema() {
        let expected = [
            &[0x09][..],
            &1.5f64.to_le_bytes(),
            &[0x10, 0xac, 0x02],
            &[0x2a, 10, 0x0a, 8],
            &[0x0a, 1, b'a', 0x15],
            &0.5f32.to_le_bytes(),
        ]
        .concat();
        assert_eq!(scalar("a", 300, 0.5, 1.5), expected);
    }

    #[test]
    fn varints_carry_seven_bits_a_byte() {
        for (value, expected) in [
            (0, vec![0]),
            (127, vec![127]),
            (128, vec![0x80, 1]),
            (u64::MAX, [vec![0xff; 9], vec![1]].concat()),
        ] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out, expected);
        }
    }
}
