//! Example of a receiver: a microcontroller with a LED that is lit while somebody shows an emotion.
//!
//! It knows no chip. Pin and UART are whatever implements embedded-hal, so a firmware is a dozen lines:
//!
//! ```ignore
//! #[entry]
//! fn main() -> ! {
//!     let (mut uart, led, mut timer) = board();            // of the chip's own HAL, 115 200 baud
//!     let mut receiver = Receiver::new(led, "happy");
//!     loop {
//!         while receiver.poll(&mut uart).is_ok() {}        // until the UART has nothing more
//!         timer.delay_ms(1);
//!         receiver.elapsed(1).ok();
//!     }
//! }
//! ```
//!
//! `tools/mcu-check.sh` compiles it for a Cortex-M0, which has no operating system and no `std`.
#![no_std]
#![forbid(unsafe_code)]

use embedded_hal::digital::OutputPin;
use embedded_hal_nb::nb;
use embedded_hal_nb::serial::Read;
use fer_wire::{Decoder, Emotion, Hello, Message};

/// Scores below this light nothing, in per cent.
const AT_LEAST: u8 = 40;

/// A report lights the LED for so long, in milliseconds: a sender that has gone leaves it dark. The slowest sends one
/// every two seconds, and one of them may be lost.
pub const HOLD_MS: u32 = 5000;

/// Reads the line and drives the LED.
#[derive(Debug)]
pub struct Receiver<P> {
    decoder: Decoder,
    led: P,
    /// The emotion to show.
    wanted: &'static str,
    /// Its number, learned from the sender's hello.
    label: Option<u8>,
    /// Milliseconds until the LED goes dark; 0 while it is.
    hold_ms: u32,
}

/// What can go wrong on the board. Damage on the line is none: the decoder goes on with the next frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble<U, P> {
    /// The UART's.
    Uart(U),
    /// The pin's.
    Led(P),
}

impl<P: OutputPin> Receiver<P> {
    /// Shows the emotion of this name.
    pub const fn new(led: P, wanted: &'static str) -> Self {
        Self {
            decoder: Decoder::new(),
            led,
            wanted,
            label: None,
            hold_ms: 0,
        }
    }

    /// Takes a byte from the UART.
    ///
    /// # Errors
    /// `WouldBlock` when it has none; `Other` when UART or pin fail.
    pub fn poll<U: Read<u8>>(
        &mut self,
        uart: &mut U,
    ) -> nb::Result<(), Trouble<U::Error, P::Error>> {
        let byte = uart.read().map_err(|e| e.map(Trouble::Uart))?;
        self.byte(byte)
            .map_err(|e| nb::Error::Other(Trouble::Led(e)))
    }

    /// Takes a byte, for example in the UART's interrupt.
    ///
    /// # Errors
    /// The pin's.
    pub fn byte(&mut self, byte: u8) -> Result<(), P::Error> {
        let Some(Ok(frame)) = self.decoder.push(byte) else {
            return Ok(());
        };
        match frame.message {
            Message::Hello(hello) => self.label = index_of(self.wanted, &hello),
            Message::Emotion(emotion) => {
                if self.label.is_some_and(|label| shows(&emotion, label)) {
                    self.hold_ms = HOLD_MS;
                    self.led.set_high()?;
                } else {
                    self.darken()?;
                }
            }
            // what newer senders say, and how the sender is
            _ => {}
        }
        Ok(())
    }

    /// Tells that time has passed.
    ///
    /// # Errors
    /// The pin's.
    pub fn elapsed(&mut self, ms: u32) -> Result<(), P::Error> {
        if self.hold_ms > ms {
            self.hold_ms -= ms;
            return Ok(());
        }
        self.darken()
    }

    fn darken(&mut self) -> Result<(), P::Error> {
        self.hold_ms = 0;
        self.led.set_low()
    }
}

fn index_of(wanted: &str, hello: &Hello<'_>) -> Option<u8> {
    let index = hello.labels.iter().position(|&name| name == wanted)?;
    u8::try_from(index).ok()
}

fn shows(emotion: &Emotion, label: u8) -> bool {
    let mut faces = emotion.faces.iter();
    faces.any(|face| face.label == label && face.score().percent() >= AT_LEAST)
}
