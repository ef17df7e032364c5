//! What the page has to know besides observations.

use fer_models::Labels;
use serde::Serialize;

use crate::control::Control;
use crate::health::{Camera, Health};

/// The data of a `status` event.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Status<'a> {
    /// The model's name.
    model: &'a str,
    /// Its labels, in order.
    labels: &'a Labels,
    /// The camera's state.
    camera: Camera,
    /// Whether frames are looked at.
    enabled: bool,
    /// Faces with a lower score are not reported.
    threshold: f32,
}

impl<'a> Status<'a> {
    /// The state right now.
    pub(super) fn now(
        model: &'a str,
        labels: &'a Labels,
        health: &Health,
        control: &Control,
    ) -> Self {
        Self {
            model,
            labels,
            camera: health.camera(),
            enabled: control.enabled(),
            threshold: control.threshold(),
        }
    }

    /// Appends it as an event.
    ///
    /// # Errors
    /// Returns the encoder's error.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        out.extend_from_slice(b"event: status\ndata: ");
        serde_json::to_writer(&mut *out, self)?;
        out.extend_from_slice(b"\n\n");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_as_documented() {
        let labels = Labels::new(vec!["sad".into(), "happy".into()]).unwrap();
        let health = Health::new(labels.len());
        let control = Control::default();
        health.set_camera(Camera::Online);
        control.set_threshold(0.25);
        let mut out = Vec::new();
        Status::now("m", &labels, &health, &control)
            .write(&mut out)
            .unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "event: status\ndata: {\"model\":\"m\",\"labels\":[\"sad\",\"happy\"],\
             \"camera\":\"online\",\"enabled\":true,\"threshold\":0.25}\n\n"
        );
    }
}
