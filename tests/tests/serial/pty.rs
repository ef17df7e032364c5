//! A serial cable whose far end is the test.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

/// Longer than anything here takes, so that a test that fails ends.
const LONG_MS: u16 = 30_000;

/// Both ends of the cable.
pub(super) struct Cable {
    far_end: PtyMaster,
    port: PathBuf,
    /// Kept open: without it, the far end would fail to read until somebody opens the port.
    near_end: File,
}

impl Cable {
    pub(super) fn new() -> Self {
        let far_end = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        grantpt(&far_end).unwrap();
        unlockpt(&far_end).unwrap();
        let port = PathBuf::from(ptsname_r(&far_end).unwrap());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(&port)
            .unwrap();
        // raw from the start, so that nothing is echoed before the port's user sets it up
        let mut mode = tcgetattr(&file).unwrap();
        cfmakeraw(&mut mode);
        tcsetattr(&file, SetArg::TCSANOW, &mode).unwrap();
        Self {
            far_end,
            port,
            near_end: file,
        }
    }

    /// Where the near end is opened.
    pub(super) fn port(&self) -> &Path {
        &self.port
    }

    /// How the near end is set up.
    pub(super) fn mode(&self) -> Termios {
        tcgetattr(&self.near_end).unwrap()
    }

    /// Waits for bytes from the port.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut far_end = [PollFd::new(self.far_end.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut far_end, PollTimeout::from(LONG_MS)).unwrap();
        assert!(ready > 0, "nothing came for {LONG_MS} ms");
        self.far_end.read(buffer).unwrap()
    }

    /// Sends bytes to whoever reads the port.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.far_end.write_all(bytes).unwrap();
    }
}
