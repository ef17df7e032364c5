//! The directory of a zip archive whose members are stored, not compressed.
//!
//! The `zip` crate reserves memory for as many members as the archive claims, and hands out copies. A
//! checkpoint is read here without either: every member is a slice of the file
//! (APPNOTE.TXT 6.3, sections 4.3 and 4.5.3).

use std::collections::{BTreeMap, BTreeSet};

use super::super::excerpt;

/// Length of the end record without its comment.
const END: usize = 22;
/// Length of the locator of the 64-bit end record.
const LOCATOR: usize = 20;
/// Length of a directory entry without its name.
const ENTRY: usize = 46;
/// Length of a member's own header without its name.
const LOCAL: usize = 30;
/// "Look into the 64-bit field."
const WIDE: u64 = 0xffff_ffff;

/// One member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    header: u64,
    length: u64,
    checksum: u32,
    /// Whether its bytes lie in the file as they are.
    stored: bool,
}

/// The members by name.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    file: &'a [u8],
    members: BTreeMap<&'a str, Member>,
    /// Headers of the members whose checksum has been compared.
    checked: BTreeSet<u64>,
}

impl<'a> Directory<'a> {
    /// Reads the directory at the end of `file`.
    pub(super) fn read(file: &'a [u8]) -> Result<Self, String> {
        let (mut at, count) = find_entries(file)?;
        let mut members = BTreeMap::new();
        for _ in 0..count {
            let (name, member, next) = entry(file, at)?;
            if members.insert(name, member).is_some() {
                return Err(format!("member {} stands in it twice", excerpt(name)));
            }
            at = next;
        }
        Ok(Self {
            file,
            members,
            checked: BTreeSet::new(),
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.members.keys().copied()
    }

    pub(super) fn find(&self, name: &str) -> Option<Member> {
        self.members.get(name).copied()
    }

    /// A member's bytes, compared with its checksum the first time.
    pub(super) fn bytes(&mut self, member: Member) -> Result<&'a [u8], String> {
        let header = slice(self.file, member.header, LOCAL as u64, "a member's header")?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(format!("no member at byte {}", member.header));
        }
        if !member.stored {
            return Err(format!(
                "the member at byte {} is compressed or encrypted, which PyTorch never does: pack the \
                 archive again with `zip -0`",
                member.header
            ));
        }
        let skip = LOCAL as u64 + number::<2>(header, 26) + number::<2>(header, 28);
        let start = member.header + skip;
        let bytes = slice(self.file, start, member.length, "a member")?;
        if self.checked.insert(member.header) {
            let mut sum = flate2::Crc::new();
            sum.update(bytes);
            if sum.sum() != member.checksum {
                return Err(format!(
                    "the checksum of the member at byte {} is wrong: the file is damaged",
                    member.header
                ));
            }
        }
        Ok(bytes)
    }
}

/// Where the directory starts and how many entries it has.
fn find_entries(file: &[u8]) -> Result<(u64, u64), String> {
    // the record ends the file, but for a comment of up to 64 KiB
    let first = file.len().saturating_sub(END + 0xffff);
    let last = file.len().checked_sub(END);
    let end = last
        .and_then(|last| (first..=last).rev().find(|&at| is_end(file, at)))
        .ok_or("a zip archive without its directory: the file is cut off")?;
    let (mut start, mut count) = (number::<4>(file, end + 16), number::<2>(file, end + 10));
    let locator = end.checked_sub(LOCATOR);
    if let Some(locator) = locator.filter(|&at| file[at..].starts_with(b"PK\x06\x07")) {
        let wide = slice(file, number::<8>(file, locator + 8), 56, "the end record")?;
        if !wide.starts_with(b"PK\x06\x06") {
            return Err("the 64-bit end record is not where its locator says".into());
        }
        (start, count) = (number::<8>(wide, 48), number::<8>(wide, 32));
    }
    if count > (file.len() / ENTRY) as u64 {
        return Err(format!(
            "{count} members in {} bytes, more than fit",
            file.len()
        ));
    }
    Ok((start, count))
}

fn is_end(file: &[u8], at: usize) -> bool {
    let comment = || number::<2>(file, at + 20) as usize;
    file[at..].starts_with(b"PK\x05\x06") && at + END + comment() == file.len()
}

/// Name and place of the entry at `at`, and where the next one starts.
fn entry(file: &[u8], at: u64) -> Result<(&str, Member, u64), String> {
    let what = "the directory";
    let fixed = slice(file, at, ENTRY as u64, what)?;
    if !fixed.starts_with(b"PK\x01\x02") {
        return Err(format!("no directory entry at byte {at}"));
    }
    let [name_len, extra_len, comment_len] = [28, 30, 32].map(|i| number::<2>(fixed, i));
    let name = slice(file, at + ENTRY as u64, name_len, what)?;
    let extra = slice(file, at + ENTRY as u64 + name_len, extra_len, what)?;
    let name = std::str::from_utf8(name).map_err(|_| format!("a member's name at byte {at}"))?;
    let member = format!("member {}", excerpt(name));
    let encrypted = number::<2>(fixed, 8) & 1 != 0;
    let compression = number::<2>(fixed, 10);
    let mut wide = wide_field(extra);
    let mut resolve = |narrow: u64| match narrow {
        WIDE => wide.next().ok_or(format!("{member} has no 64-bit sizes")),
        narrow => Ok(narrow),
    };
    let length = resolve(number::<4>(fixed, 24))?;
    let stored = resolve(number::<4>(fixed, 20))?;
    let header = resolve(number::<4>(fixed, 42))?;
    if header.max(stored) > file.len() as u64 {
        return Err(format!("{member} reaches past the end of the file"));
    }
    let found = Member {
        header,
        length: stored,
        checksum: number::<4>(fixed, 16) as u32,
        stored: compression == 0 && !encrypted && length == stored,
    };
    let next = at + ENTRY as u64 + name_len + extra_len + comment_len;
    Ok((name, found, next))
}

/// The numbers of the extra field with tag 1, which replace those that do not fit into 32 bits.
fn wide_field(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut field: &[u8] = &[];
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let length = number::<2>(head, 2) as usize;
        let Some((body, after)) = rest.split_at_checked(length) else {
            break;
        };
        if number::<2>(head, 0) == 1 {
            field = body;
            break;
        }
        extra = after;
    }
    field
        .as_chunks::<8>()
        .0
        .iter()
        .map(|b| u64::from_le_bytes(*b))
}

/// `length` bytes from `start`.
fn slice<'a>(file: &'a [u8], start: u64, length: u64, what: &str) -> Result<&'a [u8], String> {
    let end = start.checked_add(length);
    end.filter(|&end| end <= file.len() as u64)
        .map(|end| &file[start as usize..end as usize])
        .ok_or_else(|| format!("{what} reaches past the end of the file"))
}

/// A little-endian number of `N` bytes at `at`, which must lie inside.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(wide)
}
