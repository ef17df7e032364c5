//! One reader of `/events`, from its first status to the end of its connection.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::events::{Reader, Received};
use super::status::Status;

/// A status goes out at least this often: the page takes three missing ones for a lost line.
const BEAT: Duration = Duration::from_secs(2);
/// A changed status is seen within this time.
const LOOK: Duration = Duration::from_millis(250);
/// Browsers come back after this time.
const GREETING: &[u8] = b"retry: 1000\n\n";

/// Writes events until the client goes, falls behind, or the hub closes.
///
/// # Errors
/// Returns the writer's error, the usual end of a stream.
pub(super) fn write<'a>(
    out: &mut impl Write,
    mut reader: Reader,
    status: impl Fn() -> Status<'a>,
) -> io::Result<()> {
    let mut told = status();
    let mut buffer = GREETING.to_vec();
    told.write(&mut buffer)?;
    let mut beat = Instant::now() + BEAT;
    loop {
        if !buffer.is_empty() {
            out.write_all(&buffer)?;
            buffer.clear();
        }
        let now = Instant::now();
        match reader.receive(&mut buffer, beat.min(now + LOOK)) {
            Received::Events | Received::Nothing => {}
            Received::Behind => {
                tracing::warn!("a reader of the events was too slow and is dropped");
                return Ok(());
            }
            Received::Closed => return Ok(()),
        }
        let current = status();
        if current != told || Instant::now() >= beat {
            told = current;
            told.write(&mut buffer)?;
            beat = Instant::now() + BEAT;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fer_models::Labels;

    use super::*;
    use crate::control::Control;
    use crate::health::{Camera, Health};
    use crate::http::events::Hub;

    /// Closes the hub once `end` was written; what is written is kept.
    struct Until<'a>(Vec<u8>, &'a str, &'a Hub, &'a dyn Fn());

    impl Write for Until<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend_from_slice(bytes);
            (self.3)();
            if String::from_utf8_lossy(&self.0).contains(self.1) {
                self.2.close();
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Streams until `end`; `on_write` runs at each write.
    fn streamed(end: &str, on_write: &dyn Fn(&Hub, &Health)) -> String {
        let labels = Labels::fer2013();
        let (health, control) = (Health::new(labels.len()), Control::default());
        let hub = Arc::new(Hub::new(1));
        let then = || on_write(&hub, &health);
        let mut out = Until(Vec::new(), end, &hub, &then);
        write(&mut out, hub.subscribe().unwrap(), || {
            Status::now("m", &labels, &health, &control)
        })
        .unwrap();
        String::from_utf8(out.0).unwrap()
    }

    #[test]
    fn it_starts_with_a_status_and_goes_on_with_events() {
        let text = streamed("data: 1\n\n", &|hub, _| hub.publish(b"data: 1\n\n"));
        assert!(
            text.starts_with("retry: 1000\n\nevent: status\ndata: {"),
            "{text}"
        );
        assert!(text.contains("\n\ndata: 1\n\n"), "{text}");
    }

    #[test]
    fn a_change_of_the_camera_is_told() {
        let text = streamed("online", &|_, health| health.set_camera(Camera::Online));
        assert_eq!(text.matches("event: status").count(), 2, "{text}");
        assert!(text.contains("\"camera\":\"opening\""), "{text}");
    }

    #[test]
    fn silence_is_broken_by_a_beat() {
        let text = streamed("}\n\nevent: status", &|_, _| {});
        assert_eq!(text.matches("\"camera\":\"opening\"").count(), 2, "{text}");
    }
}
