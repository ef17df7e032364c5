//! Opens what is read: a serial port, a file, or stdin.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::termios::{self, BaudRate, ControlFlags, SetArg};

/// A speed that a port may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Baud(BaudRate);

/// Reads a speed.
pub(super) fn parse_baud(text: &str) -> Result<Baud, String> {
    let rate = match text {
        "1200" => BaudRate::B1200,
        "2400" => BaudRate::B2400,
        "4800" => BaudRate::B4800,
        "9600" => BaudRate::B9600,
        "19200" => BaudRate::B19200,
        "38400" => BaudRate::B38400,
        "57600" => BaudRate::B57600,
        "115200" => BaudRate::B115200,
        "230400" => BaudRate::B230400,
        "460800" => BaudRate::B460800,
        "921600" => BaudRate::B921600,
        "1000000" => BaudRate::B1000000,
        "2000000" => BaudRate::B2000000,
        "3000000" => BaudRate::B3000000,
        _ => return Err("expected a usual speed such as 9600, 115200 or 921600".to_owned()),
    };
    Ok(Baud(rate))
}

/// Opens an input; a serial port is set to raw mode and this speed.
pub(super) fn open(path: &Path, Baud(rate): Baud) -> io::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    if !fs::metadata(path)?.file_type().is_char_device() {
        return Ok(Box::new(fs::File::open(path)?));
    }
    let port = OpenOptions::new()
        .read(true)
        // opening must not wait for a modem's carrier; reading waits again
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)?;
    let mut mode = termios::tcgetattr(&port)?;
    termios::cfmakeraw(&mut mode);
    mode.control_flags |= ControlFlags::CLOCAL | ControlFlags::CREAD;
    // closing leaves DTR as it is, which resets no board
    mode.control_flags &= !(ControlFlags::HUPCL | ControlFlags::CRTSCTS | ControlFlags::CSTOPB);
    termios::cfsetspeed(&mut mode, rate)?;
    termios::tcsetattr(&port, SetArg::TCSANOW, &mode)?;
    fcntl(&port, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(Box::new(port))
}
