//! A serial port through embedded-hal, whoever implements it.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use embedded_hal_nb::nb;
use embedded_hal_nb::serial::Write;

use super::Port;

/// Time for a few bytes at usual speeds.
const RETRY: Duration = Duration::from_millis(1);

/// A transmitter that takes bytes without blocking, such as rppal's UART.
#[derive(Debug)]
pub struct HalPort<W>(pub W);

impl<W: Write<u8> + Send> Port for HalPort<W> {
    fn send(&mut self, bytes: &[u8], patience: Duration) -> io::Result<()> {
        let until = Instant::now() + patience;
        for &byte in bytes {
            loop {
                match self.0.write(byte) {
                    Ok(()) => break,
                    Err(nb::Error::WouldBlock) if Instant::now() >= until => {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    // embedded-hal has nothing to wait for
                    Err(nb::Error::WouldBlock) => thread::sleep(RETRY),
                    Err(nb::Error::Other(e)) => return Err(io::Error::other(format!("{e:?}"))),
                }
            }
        }
        Ok(())
    }

    /// embedded-hal knows no limit for a wait; but such a UART sends by its own clock, and never has much.
    fn finish(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }
}

/// Opens the UART of a Raspberry Pi, for example `/dev/serial0`.
///
/// # Errors
/// When there is none, or it does not do this speed.
#[cfg(feature = "rpi")]
pub fn open_rppal(path: &std::path::Path, baud: u32) -> io::Result<HalPort<rppal::uart::Uart>> {
    use rppal::uart::{Parity, Uart};

    let mut uart = Uart::with_path(path, baud, Parity::None, 8, 1).map_err(io::Error::other)?;
    uart.set_write_mode(false).map_err(io::Error::other)?;
    Ok(HalPort(uart))
}

#[cfg(test)]
mod tests {
    use embedded_hal_nb::serial::{ErrorKind, ErrorType};

    use super::*;

    /// A transmitter with room for a few bytes that is never emptied.
    struct Fifo {
        sent: Vec<u8>,
        room: usize,
        when_full: nb::Error<ErrorKind>,
    }

    impl ErrorType for Fifo {
        type Error = ErrorKind;
    }

    impl Write<u8> for Fifo {
        fn write(&mut self, byte: u8) -> nb::Result<(), ErrorKind> {
            if self.sent.len() == self.room {
                return Err(self.when_full);
            }
            self.sent.push(byte);
            Ok(())
        }

        fn flush(&mut self) -> nb::Result<(), ErrorKind> {
            Ok(())
        }
    }

    #[test]
    fn a_full_transmitter_times_out_and_a_broken_one_is_an_error() {
        for (when_full, kind) in [
            (nb::Error::WouldBlock, io::ErrorKind::TimedOut),
            (nb::Error::Other(ErrorKind::Other), io::ErrorKind::Other),
        ] {
            let mut port = HalPort(Fifo {
                sent: Vec::new(),
                room: 4,
                when_full,
            });
            port.send(&[1, 2, 3], Duration::ZERO).unwrap();
            let error = port.send(&[4, 5], Duration::ZERO).unwrap_err();
            assert_eq!(error.kind(), kind);
            assert_eq!(port.0.sent, [1, 2, 3, 4]);
        }
    }
}
