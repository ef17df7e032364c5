//! The format before PyTorch 1.6: five pickles (magic number, protocol, system, object, storage keys),
//! then the storages in the order of their keys, each a 64-bit count and its numbers.

use std::collections::BTreeMap;

use super::super::error::Refusal;
use super::super::excerpt;
use super::super::pickle::{self, Object, Storage, Value};
use super::byte_length;

/// 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The only version of the format there has been.
const PROTOCOL: i64 = 1001;

/// One storage's numbers in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub bytes: &'a [u8],
}

/// Reads the pickles and finds the storages.
pub(super) fn open(bytes: &[u8]) -> Result<(Object<'_>, BTreeMap<&str, Run<'_>>), Refusal> {
    let mut rest = bytes;
    let magic = next(&mut rest, "magic number")?;
    if !matches!(magic.root(), Value::Long(long) if *long == MAGIC) {
        return Err(Refusal::Container(
            "not a PyTorch checkpoint: a pickle without PyTorch's magic number".into(),
        ));
    }
    let protocol = next(&mut rest, "protocol version")?;
    if !matches!(protocol.root(), Value::Int(PROTOCOL)) {
        return Err(Refusal::Container(format!(
            "its protocol version is not {PROTOCOL}"
        )));
    }
    let system = next(&mut rest, "system information")?;
    little_endian(&system)?;
    let object = next(&mut rest, "object")?;
    let keys = next(&mut rest, "storage keys")?;
    let runs = storages(&object, &keys, rest)?;
    Ok((object, runs))
}

/// Reads one pickle and moves behind it.
fn next<'a>(rest: &mut &'a [u8], part: &'static str) -> Result<Object<'a>, Refusal> {
    let object = pickle::load(rest).map_err(|source| Refusal::Pickle { part, source })?;
    *rest = &rest[object.length..];
    Ok(object)
}

fn little_endian(system: &Object<'_>) -> Result<(), Refusal> {
    let Value::Dict(items) = system.root() else {
        let kind = system.root().kind();
        return Err(Refusal::Container(format!(
            "its system information is {kind}, expected a dict"
        )));
    };
    let big = items.iter().any(|&(key, value)| {
        matches!(system.get(key), Value::Text("little_endian"))
            && matches!(system.get(value), Value::Bool(false))
    });
    if big {
        return Err(Refusal::Container("written on a big-endian machine".into()));
    }
    Ok(())
}

/// Walks over the storages behind the pickles.
fn storages<'a>(
    object: &Object<'a>,
    keys: &Object<'a>,
    mut rest: &'a [u8],
) -> Result<BTreeMap<&'a str, Run<'a>>, Refusal> {
    let named = named(object)?;
    let Value::List(list) = keys.root() else {
        let kind = keys.root().kind();
        return Err(Refusal::Container(format!(
            "its storage keys are {kind}, expected a list"
        )));
    };
    let mut runs = BTreeMap::new();
    for &key in list {
        let Value::Text(key) = *keys.get(key) else {
            let kind = keys.get(key).kind();
            return Err(Refusal::Container(format!(
                "a storage key is {kind}, expected text"
            )));
        };
        let fail = |problem: String| Refusal::Field {
            field: format!("storage {}", excerpt(key)),
            problem,
        };
        let storage = named
            .get(key)
            .ok_or_else(|| fail("no tensor names it".into()))?;
        let (count, numbers) = rest
            .split_first_chunk()
            .ok_or_else(|| fail("the file ends before it".into()))?;
        let count = i64::from_le_bytes(*count);
        if count != storage.len {
            return Err(fail(format!(
                "the file has {count} numbers, its tensors name {}",
                storage.len
            )));
        }
        let length = byte_length(storage).map_err(&fail)?;
        let (bytes, after) = numbers.split_at_checked(length).ok_or_else(|| {
            let left = numbers.len();
            fail(format!("needs {length} bytes, the file has {left} left"))
        })?;
        if runs.insert(key, Run { bytes }).is_some() {
            return Err(fail("listed twice".into()));
        }
        rest = after;
    }
    Ok(runs)
}

/// Every storage that the object names, by key.
fn named<'a>(object: &Object<'a>) -> Result<BTreeMap<&'a str, Storage<'a>>, Refusal> {
    let mut named: BTreeMap<&str, Storage<'_>> = BTreeMap::new();
    for value in object.values() {
        let &Value::Storage(storage) = value else {
            continue;
        };
        let first = named.entry(storage.key).or_insert(storage);
        if (first.dtype, first.len) != (storage.dtype, storage.len) {
            return Err(Refusal::Field {
                field: format!("storage {}", excerpt(storage.key)),
                problem: format!(
                    "{} numbers of {} and {} numbers of {}",
                    first.len,
                    first.dtype.name(),
                    storage.len,
                    storage.dtype.name()
                ),
            });
        }
    }
    Ok(named)
}
