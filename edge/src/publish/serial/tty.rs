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
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, BaudRate, ControlFlags, FlushArg, SetArg, Termios};

use super::Port;

/// How long a driver may take to throw bytes away.
const DISCARD: Duration = Duration::from_millis(100);

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

/// Checks that a port's mode is what was asked for: setting one succeeds if the driver takes any part of it.
/// The speed is compared as bits, as `cfgetospeed` panics at one that has no name.
fn check(mode: &Termios, baud: u32, rate: BaudRate) -> io::Result<()> {
    let speed = mode.control_flags & ControlFlags::CBAUD;
    let size = mode.control_flags & ControlFlags::CSIZE;
    if speed.bits() == rate as u32 && size == ControlFlags::CS8 {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("the port does not do {baud} baud with 8 bits"),
    ))
}

/// Lets `drain` come to its end within `patience`; if it does not, `discard` has to end it.
fn drain_or_discard(
    patience: Duration,
    drain: impl FnOnce() + Send + 'static,
    discard: impl FnOnce(),
) -> io::Result<()> {
    let (tell, drained) = mpsc::channel();
    thread::Builder::new()
        .name("serial-drain".to_owned())
        .spawn(move || {
            drain();
            // nobody may wait any more
            let _ = tell.send(());
        })?;
    if drained.recv_timeout(patience).is_err() {
        discard();
        // a driver that can't leaves the thread, and the port, behind
        let _ = drained.recv_timeout(DISCARD);
    }
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
        check(&termios::tcgetattr(&file)?, baud, rate)?;
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

    /// The kernel's own wait when a port is closed takes up to 30 seconds, and `tcdrain` has no limit at all:
    /// so it runs on a thread of its own, with the port as its own.
    fn finish(&mut self, patience: Duration) -> io::Result<()> {
        let (port, file) = (self.file.try_clone()?, &self.file);
        let drain = move || {
            while termios::tcdrain(&port) == Err(Errno::EINTR) {}
        };
        let discard = || {
            // fails where the port has gone, and nothing is left
            let _ = termios::tcflush(file, FlushArg::TCOFLUSH);
        };
        drain_or_discard(patience, drain, discard)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};

    use super::*;

    /// Longer than anything here takes, so that a test that fails ends.
    const LONG: Duration = Duration::from_secs(20);

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
        let mut first = Tty::open(path, 9600).unwrap();
        assert_eq!(
            Tty::open(path, 9600).unwrap_err().kind(),
            io::ErrorKind::ResourceBusy
        );
        first.finish(LONG).unwrap();
        drop(first);
        Tty::open(path, 9600).unwrap();
    }

    #[test]
    fn a_speed_or_size_that_the_driver_did_not_take_is_an_error() {
        let (_master, name) = pty();
        let port = Tty::open(Path::new(&name), 57_600).unwrap();
        let mut mode = termios::tcgetattr(&port.file).unwrap();
        check(&mode, 57_600, BaudRate::B57600).unwrap();
        let error = check(&mode, 9600, BaudRate::B9600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("9600 baud"), "{error}");
        mode.control_flags.remove(ControlFlags::CSIZE);
        mode.control_flags.insert(ControlFlags::CS7);
        check(&mode, 57_600, BaudRate::B57600).unwrap_err();
    }

    #[test]
    fn a_line_that_does_not_empty_is_emptied_instead_of_waited_for() {
        let (empty, emptied) = mpsc::channel::<()>();
        // as on a board that hangs
        let drain = move || {
            let _ = emptied.recv();
        };
        let mut discarded = false;
        let discard = || {
            discarded = true;
            empty.send(()).unwrap();
        };
        drain_or_discard(Duration::ZERO, drain, discard).unwrap();
        assert!(discarded);
    }

    #[test]
    fn a_driver_that_throws_nothing_away_is_left_behind() {
        let (_stuck, never) = mpsc::channel::<()>();
        let drain = move || {
            let _ = never.recv();
        };
        drain_or_discard(Duration::ZERO, drain, || {}).unwrap();
    }

    #[test]
    fn what_goes_out_in_time_is_not_thrown_away() {
        drain_or_discard(LONG, || {}, || unreachable!("it has gone out")).unwrap();
        let (mut master, name) = pty();
        let mut port = Tty::open(Path::new(&name), 9600).unwrap();
        port.send(b"bye", LONG).unwrap();
        port.finish(LONG).unwrap();
        let mut read = [0; 3];
        master.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"bye");
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
