//! The edge side of `fer`: a camera frame goes in, an emotion per face comes out.
//!
//! ```text
//! capture ──► queue ──► vision: detect, track, cut ──► infer ──► smooth ──► publish
//! (thread)   (bounded)  └───────────────── Processor, one thread ────────┘  (Sink)
//! ```
//!
//! Each stage is a trait or a plain state machine that can be tested alone: [`capture::Source`],
//! [`vision::Detector`], [`vision::track::Tracker`], [`reuse::Reuse`], [`infer::Classifier`], [`smooth::Smoother`]
//! and [`publish::Sink`]. [`pipeline::run`] joins them. What a model expects of its input comes from its
//! manifest, by way of `fer-models`.
//!
//! Around the pipeline lies the daemon, [`service`]: it opens what the layered [`config`] asks for
//! (cameras in [`capture::camera`], sinks in [`publish`] and [`mod@http`]), answers signals, and tells
//! systemd how it is. The threads share counters ([`health`]), switches ([`control`]) and settings that
//! may change while frames flow ([`watch`]); [`budget`] keeps load and temperature within limits.

pub mod budget;
pub mod capture;
pub mod config;
pub mod control;
pub mod health;
pub mod http;
pub mod infer;
pub mod led;
pub mod pipeline;
pub mod processor;
pub mod publish;
pub mod queue;
pub mod reuse;
pub mod secret;
pub mod service;
pub mod setting;
pub mod smooth;
pub mod thermal;
pub mod vision;
pub mod watch;
