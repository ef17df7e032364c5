//! The kiosk page, its events, health, metrics and the classification of single pictures, over HTTP.
//!
//! ```text
//! accept ──► a thread a connection, their number bounded
//!            request (deadlines, sizes) ──► access (host, origin, token) ──► route (a fixed table)
//!                                                                             ├─ page, metrics, probes
//! Sink ──► Hub (bounded ring; whoever falls behind is dropped) ──────────────► ├─ events
//!                                                                             └─ classify
//! ```
//!
//! One request a connection. No path ever reaches the file system: the page is part of the program, and
//! [`route`] knows its paths by heart. Off this host the server is reached only with a token. What it
//! sends are numbers, names and the page; nothing here can hold a picture but the body of a request to
//! classify, which is freed with its answer.

pub mod access;
mod basic;
pub mod classify;
mod connection;
mod connections;
pub mod events;
pub mod metrics;
pub mod page;
pub mod request;
pub mod response;
pub mod route;
mod server;
pub mod settings;
mod status;
mod stream;

pub use classify::{Classify, ClassifyError};
pub use events::EventSink;
pub use server::{HttpError, Server};
pub use settings::{Settings, SettingsError};
