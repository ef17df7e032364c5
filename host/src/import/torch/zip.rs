//! The format since PyTorch 1.6: a zip archive of stored members, `<name>/data.pkl` and one
//! `<name>/data/<key>` for each storage.

use super::super::error::Refusal;
use super::super::excerpt;
use super::super::pickle::{self, Object, Storage};
use super::byte_length;
use super::directory::{Directory, Member};

/// An archive with the storages of one object.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    directory: Directory<'a>,
    /// What the members' names start with, such as `archive/`.
    folder: &'a str,
}

/// Opens an archive and reads its object.
pub(super) fn open(bytes: &[u8]) -> Result<(Archive<'_>, Object<'_>), Refusal> {
    let container = |problem: String| Refusal::Container(problem);
    let directory = Directory::read(bytes).map_err(container)?;
    let roots: Vec<&str> = directory
        .names()
        .filter_map(|name| name.strip_suffix("data.pkl"))
        .filter(|folder| folder.ends_with('/') && folder.matches('/').count() == 1)
        .collect();
    let folder = match roots.as_slice() {
        &[folder] => folder,
        [] => {
            return Err(Refusal::Container(
                "not a PyTorch checkpoint: a zip archive without data.pkl".into(),
            ));
        }
        [first, second, ..] => {
            return Err(Refusal::Container(format!(
                "two objects in one archive, {} and {}",
                excerpt(first),
                excerpt(second)
            )));
        }
    };
    let mut archive = Archive { directory, folder };
    if archive.member("constants.pkl").is_some() {
        return Err(Refusal::Container(
            "a TorchScript program, expected a checkpoint: save `net.state_dict()`".into(),
        ));
    }
    if let Some(order) = archive.member("byteorder") {
        let order = archive.directory.bytes(order).map_err(container)?;
        if order != b"little" {
            return Err(Refusal::Container("written on a big-endian machine".into()));
        }
    }
    let data = archive.member("data.pkl").expect("the folder has one");
    let data = archive.directory.bytes(data).map_err(container)?;
    let object = pickle::load(data).map_err(|source| Refusal::Pickle {
        part: "data.pkl",
        source,
    })?;
    Ok((archive, object))
}

impl<'a> Archive<'a> {
    fn member(&self, name: &str) -> Option<Member> {
        self.directory.find(&format!("{}{name}", self.folder))
    }

    /// A storage's bytes, as many as the pickle says.
    pub(super) fn storage(&mut self, storage: &Storage<'a>) -> Result<&'a [u8], String> {
        let member = self
            .member(&format!("data/{}", storage.key))
            .ok_or_else(|| {
                format!(
                    "its storage data/{} is not in the file",
                    excerpt(storage.key)
                )
            })?;
        let bytes = self.directory.bytes(member)?;
        let expected = byte_length(storage)?;
        if bytes.len() != expected {
            return Err(format!(
                "its storage data/{} has {} bytes, expected {expected}",
                excerpt(storage.key),
                bytes.len()
            ));
        }
        Ok(bytes)
    }
}
