//! Waiting for file descriptors with a limit.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Waits until one of `fds` can be read, has ended or has failed; says which.
///
/// A signal may end the waiting early with none.
pub(super) fn readable<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    wait: Duration,
) -> io::Result<[bool; N]> {
    let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    // Rounded up: a wait of less than a millisecond must not become a busy loop.
    let millis = wait.as_micros().div_ceil(1000);
    let timeout = PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX));
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(fds.map(|fd| fd.any().unwrap_or(true))),
        Err(error) => Err(error.into()),
    }
}
