//! The serial line over real pseudo-terminals: the sink of `fer-edge`, damage on the way, `fer-monitor`,
//! and the receiver that `docs/serial.md` shows.

mod damage;
mod pty;
mod readers;
mod sink;
