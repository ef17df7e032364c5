//! Whether a device node is there and may be used, and by which group.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::unistd::{Gid, Group, Uid, User};

use super::finding::Finding;

/// Tries to open a node for reading and writing, without waiting and without making it a terminal
/// of ours.
pub(super) fn open(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(O_NOCTTY | O_NONBLOCK)
        .open(path)
}

/// What stands in the way of using a node, and how to clear it.
pub(super) fn refused(subject: &'static str, path: &Path, error: &io::Error) -> Finding {
    let seen = format!("{}: {error}", path.display());
    let advice = match error.kind() {
        ErrorKind::NotFound => "plug it in, or name another one in the configuration".to_owned(),
        ErrorKind::PermissionDenied => join_group(path),
        ErrorKind::ResourceBusy => format!("see who has it: `sudo fuser -v {}`", path.display()),
        _ => "look into the kernel's log: `dmesg | tail`".to_owned(),
    };
    Finding::problem(subject, seen, advice)
}

fn join_group(path: &Path) -> String {
    let owner = fs::metadata(path).map(|meta| Gid::from_raw(meta.gid()));
    let group = owner
        .ok()
        .and_then(|gid| Group::from_gid(gid).ok().flatten());
    let group = group.map_or_else(|| "video".to_owned(), |group| group.name);
    let user = User::from_uid(Uid::effective()).ok().flatten();
    let user = user.map_or_else(|| "$USER".to_owned(), |user| user.name);
    format!(
        "it belongs to group {group}: `sudo usermod -aG {group} {user}` and log in again; the service \
         of the Debian package is in it already"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_advice() {
        let path = Path::new("/dev/null");
        for (kind, word) in [
            (ErrorKind::NotFound, "plug it in"),
            (ErrorKind::PermissionDenied, "usermod -aG root"),
            (ErrorKind::ResourceBusy, "fuser -v /dev/null"),
            (ErrorKind::Other, "dmesg"),
        ] {
            let finding = refused("camera", path, &kind.into());
            assert!(finding.advice.contains(word), "{finding}");
        }
        assert!(open(path).is_ok());
        let error = open(Path::new("/dev/no-such-thing")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
