//! Whether a device is there and may be used, and by which group.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::unistd::{Gid, Group, Uid, User};

use super::finding::Finding;

/// The mode's bits that let a group read and write.
const GROUP_USE: u32 = 0o060;

/// Groups that the Debian package puts the service into.
const OF_THE_SERVICE: [&str; 3] = ["video", "dialout", "gpio"];

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
        ErrorKind::PermissionDenied => permission(path),
        ErrorKind::ResourceBusy => format!("see who has it: `sudo fuser -v {}`", path.display()),
        _ => "look into the kernel's log: `dmesg | tail`".to_owned(),
    };
    Finding::problem(subject, seen, advice)
}

fn permission(path: &Path) -> String {
    let Ok(meta) = fs::metadata(path) else {
        return format!(
            "see which folder is closed: `sudo namei -l {}`",
            path.display()
        );
    };
    let group = Group::from_gid(Gid::from_raw(meta.gid())).ok().flatten();
    let group = group.map_or_else(|| meta.gid().to_string(), |group| group.name);
    let user = User::from_uid(Uid::effective()).ok().flatten();
    let user = user.map_or_else(|| "$USER".to_owned(), |user| user.name);
    access(path, &group, meta.mode(), &user)
}

/// How a user gets to use what belongs to a group. Root's own group is never the way: who is in it may
/// do far more than that.
fn access(path: &Path, group: &str, mode: u32, user: &str) -> String {
    if matches!(group, "root" | "0") || mode & GROUP_USE != GROUP_USE {
        let which = if path.starts_with("/sys") {
            "--subsystem-match=leds".to_owned()
        } else {
            format!("--name-match={}", path.display())
        };
        return format!(
            "no group may use it yet: the Debian package's udev rules see to that when the machine starts, or at \
             once by `sudo udevadm trigger --action=add {which}`"
        );
    }
    let service = if OF_THE_SERVICE.contains(&group) {
        "; the service of the Debian package is in it already"
    } else {
        ""
    };
    format!(
        "it belongs to group {group}: `sudo usermod -aG {group} {user}` and log in again{service}"
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
            (ErrorKind::PermissionDenied, "udevadm trigger"),
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

    #[test]
    fn only_a_group_that_helps_is_to_be_joined() {
        let video = access(Path::new("/dev/video0"), "video", 0o20660, "pi");
        assert!(video.contains("usermod -aG video pi"), "{video}");
        assert!(video.contains("service"), "{video}");
        let other = access(Path::new("/dev/video0"), "cameras", 0o20660, "pi");
        assert!(other.contains("usermod -aG cameras pi"), "{other}");
        assert!(!other.contains("service"), "{other}");
        for (path, group, mode, trigger) in [
            (
                "/sys/class/leds/ACT/brightness",
                "root",
                0o100644,
                "--subsystem-match=leds",
            ),
            (
                "/sys/class/leds/ACT/brightness",
                "gpio",
                0o100644,
                "--subsystem-match=leds",
            ),
            ("/dev/video0", "root", 0o20660, "--name-match=/dev/video0"),
            ("/dev/ttyS0", "tty", 0o20620, "--name-match=/dev/ttyS0"),
        ] {
            let advice = access(Path::new(path), group, mode, "pi");
            assert!(!advice.contains("usermod"), "{advice}");
            let command = format!("`sudo udevadm trigger --action=add {trigger}`");
            assert!(advice.contains(&command), "{advice}");
            assert!(advice.contains("when the machine starts"), "{advice}");
        }
    }

    #[test]
    fn a_closed_folder_is_no_matter_of_the_device() {
        let advice = permission(Path::new("/dev/no-such-thing"));
        assert!(advice.contains("namei -l /dev/no-such-thing"), "{advice}");
    }
}
