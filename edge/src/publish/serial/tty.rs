//! A serial port through the kernel's terminal interface.
//!
//! # Boards that reset when a port is opened
//!
//! The kernel raises DTR and RTS together when it opens a port. The usual circuit of an ESP32 board
//! resets it only while the two differ, so it runs on. Boards that reset on any edge of DTR, such as an
//! Arduino Uno, do so at the first opening after they were plugged in. `HUPCL` is switched off, so that closing
//! leaves both lines up: no later opening or restart of this program is an edge.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, BaudRate, ControlFlags, SetArg, Termios};

use super::Port;

/// The speeds that a port may have.
pub const BAUD_RATES: [(u32, BaudRate); 14] = [
    (1200, BaudRate::B1200),
    (2400, BaudRate::B2400),
    (4800, BaudRate::B4800),
    (9600, BaudRate::B9600),
    (19_200, BaudRate::B19200),
    (38_400, BaudRate::B38400),
    (57_600, BaudRate::B57600),
    (115_200, BaudRate::B115200),
    (230_400, BaudRate::B230400),
    (460_800, BaudRate::B460800),
    (921_600, BaudRate::B921600),
    (1_000_000, BaudRate::B1000000),
    (2_000_000, BaudRate::B2000000),
    (3_000_000, BaudRate::B3000000),
];

/// Sets both directions to one speed.
#[cfg(not(target_feature = "crt-static"))]
fn set_speed(mode: &mut Termios, rate: BaudRate) -> nix::Result<()> {
    termios::cfsetspeed(mode, rate)
}

/// Sets both directions to one speed, as bits: libc asks for `cfsetspeed` in a certain version, and a
/// static C library has no versions to choose from.
#[cfg(target_feature = "crt-static")]
fn set_speed(mode: &mut Termios, rate: BaudRate) -> nix::Result<()> {
    mode.control_flags.remove(ControlFlags::CBAUD);
    mode.control_flags |= ControlFlags::from_bits_retain(rate as u32);
    Ok(())
}

/// The kernel's name of a speed.
pub(super) fn baud_rate(baud: u32) -> Option<BaudRate> {
    BAUD_RATES
        .iter()
        .find(|(rate, _)| *rate == baud)
        .map(|(_, name)| *name)
}

/// An open port.
#[derive(Debug)]
pub struct Tty {
    file: File,
}

impl Tty {
    /// Opens a port for writing only: raw, 8 bits, no parity, 1 stop bit, no flow control.
    ///
    /// # Errors
    /// When there is no such port, it is no serial port, another program that locks ports has it, or it
    /// does not do this speed.
    pub fn open(path: &Path, baud: u32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            // no waiting for a modem's carrier, and no write that blocks
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open(path)?;
        file.try_lock().map_err(|_| {
            io::Error::new(io::ErrorKind::ResourceBusy, "in use by another program")
        })?;
        let rate = baud_rate(baud).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("no speed of {baud} baud"),
            )
        })?;
        let mut mode = termios::tcgetattr(&file).map_err(|errno| match errno {
            Errno::ENOTTY => io::Error::new(io::ErrorKind::InvalidInput, "not a serial port"),
            other => other.into(),
        })?;
        termios::cfmakeraw(&mut mode);
        mode.control_flags |= ControlFlags::CLOCAL;
        mode.control_flags &= !(ControlFlags::HUPCL | ControlFlags::CRTSCTS | ControlFlags::CSTOPB);
        set_speed(&mut mode, rate)?;
        termios::tcsetattr(&file, SetArg::TCSANOW, &mode)?;
        Ok(Self { file })
    }

    /// Waits until the port takes bytes, or for `patience`.
    fn wait(&self, patience: Duration) -> io::Result<()> {
        // rounded up: nought would not wait at all
        let millis = patience.as_millis().saturating_add(1);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        let mut ports = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut ports, timeout) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            // what is wrong with the port, the next write tells
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Port for Tty {
    fn send(&mut self, mut bytes: &[u8], patience: Duration) -> io::Result<()> {
        let until = Instant::now() + patience;
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    self.wait(left)?;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};

    use super::*;

    fn pty() -> (PtyMaster, String) {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname_r(&master).unwrap();
        (master, name)
    }

    #[test]
    fn a_port_is_raw_and_keeps_its_lines_up_when_closed() {
        let (master, name) = pty();
        let port = Tty::open(Path::new(&name), 57_600).unwrap();
        let mode = termios::tcgetattr(&port.file).unwrap();
        assert_eq!(termios::cfgetospeed(&mode), BaudRate::B57600);
        assert!(!mode.control_flags.contains(ControlFlags::HUPCL));
        assert!(
            mode.control_flags
                .contains(ControlFlags::CLOCAL | ControlFlags::CS8)
        );
        assert!(!mode.output_flags.contains(termios::OutputFlags::OPOST));
        assert!(master.as_raw_fd() >= 0);
    }

    #[test]
    fn two_senders_do_not_share_a_port() {
        let (_master, name) = pty();
        let path = Path::new(&name);
        let first = Tty::open(path, 9600).unwrap();
        assert_eq!(
            Tty::open(path, 9600).unwrap_err().kind(),
            io::ErrorKind::ResourceBusy
        );
        drop(first);
        Tty::open(path, 9600).unwrap();
    }

    #[test]
    fn a_file_is_not_taken_for_a_port() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Tty::open(file.path(), 9600).unwrap_err();
        assert_eq!(error.to_string(), "not a serial port");
    }

    #[test]
    fn a_line_that_nobody_reads_times_out_instead_of_blocking() {
        let (_master, name) = pty();
        let mut port = Tty::open(Path::new(&name), 9600).unwrap();
        let patience = Duration::from_millis(5);
        let full = (0..1000).find_map(|_| port.send(&[7; 1024], patience).err());
        assert_eq!(full.unwrap().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_line_that_was_pulled_is_an_error() {
        let (master, name) = pty();
        let mut port = Tty::open(Path::new(&name), 9600).unwrap();
        drop(master);
        let error = port.send(&[7; 16], Duration::from_secs(1)).unwrap_err();
        assert_ne!(error.kind(), io::ErrorKind::TimedOut);
    }
}
