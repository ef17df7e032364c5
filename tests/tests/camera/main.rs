//! Cameras that fail in every way they know: each time back within the back-off, the state set each
//! time, and nothing left behind.

mod child;
mod http;
mod leaks;
mod rig;
mod v4l2;
