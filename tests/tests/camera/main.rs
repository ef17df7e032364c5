//! Cameras that fail in every way they know: each time back within the back-off, the state set each
//! time.

mod child;
mod http;
mod rig;
mod v4l2;
