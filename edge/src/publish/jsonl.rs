//! JSON lines: one object per frame, one line each, written at once.
//!
//! What was written of a line before a failure, such as a full disk, is ended before the next one.

use std::io::{self, Write};

use super::{Observation, PublishError, Sink};

/// Writes JSON lines to a stream.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
    line: Vec<u8>,
    /// Whether the last line was written in part.
    cut: bool,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            line: Vec::new(),
            cut: false,
        }
    }

    /// As `write_all`, which doesn't tell how far it came.
    fn write(&mut self) -> io::Result<()> {
        let mut rest = &self.line[..];
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => {
                    let (written, left) = rest.split_at(length);
                    self.cut = !written.ends_with(b"\n");
                    rest = left;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.flush()
    }
}

impl<W: Write> Sink for JsonLines<W> {
    fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
        self.line.clear();
        if self.cut {
            self.line.push(b'\n');
        }
        serde_json::to_writer(&mut self.line, observation)
            .map_err(|e| PublishError::Encode(e.to_string()))?;
        self.line.push(b'\n');
        self.write().map_err(|e| match e.kind() {
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

    /// A disk with room for this many bytes.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let length = bytes.len().min(self.1);
            if length == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.extend(&bytes[..length]);
            self.1 -= length;
            Ok(length)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line() -> String {
        let mut out = Vec::new();
        JsonLines::new(&mut out).publish(&observation()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_begin_anew_where_a_full_disk_cut_one() {
        let mut lines = JsonLines::new(Disk(Vec::new(), 0));
        // nothing, then a part, nothing, and no more than the newline that ends the part
        for room in [0, 10, 0, 1] {
            lines.out.1 = room;
            assert!(lines.publish(&observation()).is_err());
        }
        lines.out.1 = usize::MAX;
        lines.publish(&observation()).unwrap();
        let written = String::from_utf8(lines.out.0).unwrap();
        assert_eq!(written, format!("{}\n{}", &line()[..10], line()));
    }

    /// Stdout keeps what it could not write of a line, and completes it.
    #[test]
    fn a_line_that_the_buffer_of_stdout_holds_is_completed() {
        let mut lines = JsonLines::new(io::LineWriter::new(Disk(Vec::new(), 10)));
        for _ in 0..2 {
            assert!(lines.publish(&observation()).is_err());
        }
        lines.out.get_mut().1 = usize::MAX;
        lines.publish(&observation()).unwrap();
        let written = String::from_utf8(lines.out.get_ref().0.clone()).unwrap();
        assert_eq!(written, line().repeat(2));
    }
}
