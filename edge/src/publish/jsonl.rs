//! JSON lines: one object per frame, one line each, written at once.

use std::io::{self, Write};

use super::{Observation, PublishError, Sink};

/// Writes JSON lines to a stream.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            line: Vec::new(),
        }
    }
}

impl<W: Write> Sink for JsonLines<W> {
    fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, observation)
            .map_err(|e| PublishError::Encode(e.to_string()))?;
        self.line.push(b'\n');
        let written = self
            .out
            .write_all(&self.line)
            .and_then(|()| self.out.flush());
        written.map_err(|e| match e.kind() {
            io::ErrorKind::BrokenPipe => PublishError::Closed,
            _ => PublishError::Io(e),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{Face, fixture};
    use fer_models::Rect;

    fn observation() -> Observation {
        fixture::observation(vec![Face {
            rect: Rect {
                x: -3.4,
                y: 10.6,
                width: 100.0,
                height: 100.0,
            },
            scores: vec![0.123_456, 0.876_544],
            ..fixture::face(1, 1)
        }])
    }

    #[test]
    fn a_line_is_as_documented() {
        let mut out = Vec::new();
        JsonLines::new(&mut out).publish(&observation()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"v\":1,\"seq\":4,\"t_ms\":266,\"source\":\"demo\",\"model\":\"m\",\"faces\":[{\"id\":1,\
             \"box\":[-3,11,100,100],\"label\":\"happy\",\"score\":0.8765,\"raw_label\":\"sad\",\
             \"scores\":{\"sad\":0.1235,\"happy\":0.8765}}]}\n"
        );
    }

    #[test]
    fn a_picture_names_its_file_and_may_show_nobody() {
        let mut out = Vec::new();
        let still = Observation {
            file: "a.png".into(),
            faces: Vec::new(),
            ..observation()
        };
        JsonLines::new(&mut out).publish(&still).unwrap();
        let line = String::from_utf8(out).unwrap();
        assert!(
            line.contains("\"file\":\"a.png\"") && line.contains("\"faces\":[]"),
            "{line}"
        );
    }

    #[test]
    fn a_broken_pipe_is_told_from_a_failure() {
        struct Fails(io::ErrorKind);
        impl Write for Fails {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let publish = |kind| {
            JsonLines::new(Fails(kind))
                .publish(&observation())
                .unwrap_err()
        };
        assert!(matches!(
            publish(io::ErrorKind::BrokenPipe),
            PublishError::Closed
        ));
        assert!(matches!(
            publish(io::ErrorKind::StorageFull),
            PublishError::Io(_)
        ));
    }
}
