//! A server as the tests start it, and what is shown on it.

use std::net::SocketAddr;
use std::sync::Arc;

use fer_edge::control::Control;
use fer_edge::health::{Camera, Health};
use fer_edge::http::{Classify, ClassifyError, EventSink, HttpError, Server, Settings};
use fer_edge::publish::{Face, Observation, Sink};
use fer_models::{Labels, Rect};

/// A server on a free port of this host, with everything it was given.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) sink: EventSink,
    pub(crate) health: Arc<Health>,
    pub(crate) address: SocketAddr,
}

/// Default settings, on a free port.
pub(crate) fn settings() -> Settings {
    Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..Settings::default()
    }
}

/// Classifies nothing.
pub(crate) fn nothing() -> Classify {
    Box::new(|_| Err(ClassifyError::Server("not here".to_owned())))
}

/// Starts a server that classifies nothing.
pub(crate) fn start(settings: &Settings) -> Running {
    start_with(settings, nothing()).unwrap()
}

pub(crate) fn start_with(settings: &Settings, classify: Classify) -> Result<Running, HttpError> {
    let labels = Arc::new(Labels::fer2013());
    let health = Arc::new(Health::new(labels.len()));
    health.set_camera(Camera::Online);
    let server = Server::start(
        settings,
        labels,
        "drawn",
        Arc::clone(&health),
        Arc::new(Control::default()),
        classify,
    )?;
    Ok(Running {
        sink: server.sink(),
        address: server.address(),
        server,
        health,
    })
}

impl Running {
    /// Shows a face with this decision.
    pub(crate) fn show(&mut self, seq: u64, label: &str) {
        self.sink.publish(&observation(seq, label)).unwrap();
    }
}

/// One face of the named emotion, or nobody for an empty name.
pub(crate) fn observation(seq: u64, label: &str) -> Observation {
    let labels = Labels::fer2013();
    let face = labels.index_of(label).map(|label| {
        let mut scores = vec![0.05; labels.len()];
        scores[label] = 0.7;
        Face {
            id: 1,
            rect: Rect {
                x: 20.0,
                y: 20.0,
                width: 80.0,
                height: 80.0,
            },
            label,
            raw_label: label,
            scores,
        }
    });
    Observation {
        seq,
        t_ms: seq * 33,
        source: "drawn".into(),
        file: String::new(),
        model: "drawn".into(),
        labels: Arc::new(labels),
        faces: face.into_iter().collect(),
    }
}
