//! The HTTP server of `fer-edge` over real sockets, and the pages of both programs in a real browser.

mod browser;
mod classify;
mod client;
mod events;
mod kiosk;
mod limits;
mod metrics;
mod origin;
mod relay;
mod run_page;
mod running;
