//! The HTTP server of `fer-edge` over real sockets, and its page in a real browser.

mod browser;
mod classify;
mod client;
mod events;
mod kiosk;
mod limits;
mod metrics;
mod origin;
mod relay;
mod running;
