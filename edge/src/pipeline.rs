//! Runs a source through the stages into a sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::capture::{CaptureError, Frame, Pace, Source, Step};
use crate::processor::{ProcessError, Processor};
use crate::publish::{PublishError, Sink};
use crate::queue::{Queue, WhenFull};

/// Frames between capture and processing: one being looked at, one waiting.
const QUEUE_FRAMES: usize = 2;

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames that gave a result.
    pub frames: u64,
    /// Faces in them.
    pub faces: u64,
    /// Frames that could not be used.
    pub bad: u64,
    /// Live frames that were dropped because newer ones had come.
    pub dropped: u64,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The capture thread could not be started or died.
    #[error("the capture thread failed: {0}")]
    Thread(String),
    /// The source failed.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A stage failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The sink failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// There were frames, but none could be used.
    #[error("{source_name}: none of the {bad} frames could be used")]
    NothingUsable {
        /// The source's name.
        source_name: String,
        /// How many there were.
        bad: u64,
    },
}

/// Runs until the source ends, `limit` frames have been captured, or the sink's reader has gone.
///
/// Capture has its own thread; everything else runs on the caller's. `summary` is kept up to date,
/// so it tells what was done even after an error.
///
/// # Errors
/// Returns an error when the source, a stage or the sink fails for good, or no frame was usable.
pub fn run(
    source: Box<dyn Source>,
    processor: &mut Processor,
    sink: &mut dyn Sink,
    limit: Option<u64>,
    summary: &mut Summary,
) -> Result<(), PipelineError> {
    let pace = source.pace();
    let name = source.name().to_owned();
    let when_full = if pace == Pace::Live {
        WhenFull::DropOldest
    } else {
        WhenFull::Wait
    };
    let queue = Arc::new(Queue::new(QUEUE_FRAMES, when_full));
    let bad = Arc::new(AtomicU64::new(0));
    let capture = thread::Builder::new()
        .name("capture".to_owned())
        .spawn({
            let (queue, bad) = (Arc::clone(&queue), Arc::clone(&bad));
            move || capture(source, limit, &queue, &bad)
        })
        .map_err(|e| PipelineError::Thread(e.to_string()))?;

    let result = consume(&name, pace, processor, sink, &queue, summary);
    queue.close();
    summary.dropped = queue.dropped();
    // After an early end the thread may sit in a read that never returns; only a finished source is
    // waited for.
    if matches!(result, Ok(Ended::Source)) {
        let captured = capture
            .join()
            .map_err(|_| PipelineError::Thread("it panicked".to_owned()))?;
        summary.bad += bad.load(Ordering::Relaxed);
        captured?;
    } else {
        summary.bad += bad.load(Ordering::Relaxed);
    }
    result?;
    if summary.frames == 0 && summary.bad > 0 {
        return Err(PipelineError::NothingUsable {
            source_name: name,
            bad: summary.bad,
        });
    }
    Ok(())
}

/// Who ended an orderly run.
enum Ended {
    Source,
    Reader,
}

fn consume(
    name: &str,
    pace: Pace,
    processor: &mut Processor,
    sink: &mut dyn Sink,
    queue: &Queue<Frame>,
    summary: &mut Summary,
) -> Result<Ended, PipelineError> {
    let mut observation = processor.observation(name);
    while let Some(frame) = queue.pop() {
        let seq = frame.seq;
        let processed = processor.process(&frame, pace, &mut observation);
        queue.recycle(frame);
        match processed {
            Ok(()) => {}
            Err(error) if error.is_passing() => {
                summary.bad += 1;
                tracing::warn!(seq, %error, "frame skipped");
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        match sink.publish(&observation) {
            Ok(()) => {}
            Err(PublishError::Closed) => return Ok(Ended::Reader),
            Err(error) => return Err(error.into()),
        }
        summary.frames += 1;
        summary.faces += observation.faces.len() as u64;
    }
    Ok(Ended::Source)
}

/// Closes the queue however the capture thread ends, a panic included.
struct CloseOnDrop<'a>(&'a Queue<Frame>);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn capture(
    mut source: Box<dyn Source>,
    limit: Option<u64>,
    queue: &Queue<Frame>,
    bad: &AtomicU64,
) -> Result<(), CaptureError> {
    let _close = CloseOnDrop(queue);
    let mut frame = Frame::default();
    let mut captured = 0;
    while limit.is_none_or(|limit| captured < limit) {
        match source.next(&mut frame)? {
            Step::Frame => {
                captured += 1;
                if !queue.push(frame) {
                    break;
                }
                frame = queue.spare().unwrap_or_default();
            }
            Step::Bad(reason) => {
                // The first is news; a broken camera would fill the log with the rest.
                if bad.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(source = source.name(), reason, "bad frame skipped");
                } else {
                    tracing::debug!(source = source.name(), reason, "bad frame skipped");
                }
            }
            Step::End => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::fake::Brightness;
    use crate::processor::Settings;
    use crate::publish::Observation;
    use crate::vision::roi::WholeFrame;
    use fer_models::ModelPackage;

    /// Frames by script: a brightness, a bad frame, or a failure.
    struct Script(std::vec::IntoIter<Option<u8>>, Pace, bool);

    impl Source for Script {
        fn name(&self) -> &str {
            "script"
        }
        fn pace(&self) -> Pace {
            self.1
        }
        fn next(&mut self, frame: &mut Frame) -> Result<Step, CaptureError> {
            match self.0.next() {
                Some(Some(value)) => {
                    frame.width = 8;
                    frame.height = 8;
                    frame.pixels.clear();
                    frame.pixels.resize(64, value);
                    frame.t_ms += 1000;
                    Ok(Step::Frame)
                }
                Some(None) => Ok(Step::Bad("scripted".to_owned())),
                None if self.2 => Err(CaptureError::format("script", "unplugged")),
                None => Ok(Step::End),
            }
        }
    }

    #[derive(Default)]
    struct Collect(Vec<Observation>, Option<usize>);

    impl Sink for Collect {
        fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
            if self.1 == Some(self.0.len()) {
                return Err(PublishError::Closed);
            }
            self.0.push(observation.clone());
            Ok(())
        }
    }

    fn run_script(
        script: Script,
        sink: &mut Collect,
        limit: Option<u64>,
    ) -> (Result<(), PipelineError>, Summary) {
        let manifest = ModelPackage::embedded().manifest;
        let face_len = manifest.decision.crops.count() * manifest.input.input_len();
        let classifier = Brightness::new(face_len, &manifest.labels);
        let settings = Settings {
            smoothing: crate::smooth::Settings::RAW,
            ..Settings::default()
        };
        let mut processor = Processor::new(
            &manifest,
            Box::new(WholeFrame),
            Box::new(classifier),
            settings,
        );
        let mut summary = Summary::default();
        let result = run(Box::new(script), &mut processor, sink, limit, &mut summary);
        (result, summary)
    }

    fn script<const N: usize>(frames: [Option<u8>; N]) -> Script {
        Script(Vec::from(frames).into_iter(), Pace::Recorded, false)
    }

    #[test]
    fn every_good_frame_of_a_recording_gives_a_result() {
        let mut sink = Collect::default();
        let (result, summary) = run_script(
            script([Some(0), None, Some(255), Some(255), None]),
            &mut sink,
            None,
        );
        result.unwrap();
        assert_eq!(
            summary,
            Summary {
                frames: 3,
                faces: 3,
                bad: 2,
                dropped: 0
            }
        );
        assert_eq!(sink.0[0].faces[0].label, 0);
        assert_ne!(sink.0[1].faces[0].label, 0);
        assert_eq!(sink.0[2].faces[0].id, 1);
    }

    #[test]
    fn stills_share_no_faces() {
        let mut sink = Collect::default();
        let stills = Script(vec![Some(0), Some(0)].into_iter(), Pace::Stills, false);
        run_script(stills, &mut sink, None).0.unwrap();
        assert_ne!(sink.0[0].faces[0].id, sink.0[1].faces[0].id);
    }

    #[test]
    fn a_limit_ends_the_run() {
        let mut sink = Collect::default();
        let (result, summary) = run_script(script([Some(9); 50]), &mut sink, Some(7));
        result.unwrap();
        assert_eq!(summary.frames, 7);
    }

    #[test]
    fn a_reader_that_leaves_is_no_failure() {
        let mut sink = Collect(Vec::new(), Some(2));
        let (result, summary) = run_script(script([Some(9); 50]), &mut sink, None);
        result.unwrap();
        assert_eq!(summary.frames, 2);
    }

    #[test]
    fn only_bad_frames_are_a_failure() {
        let (result, summary) = run_script(script([None, None]), &mut Collect::default(), None);
        assert!(matches!(
            result,
            Err(PipelineError::NothingUsable { bad: 2, .. })
        ));
        assert_eq!(summary.bad, 2);
    }

    #[test]
    fn frames_before_a_failing_source_are_delivered() {
        let mut sink = Collect::default();
        let source = Script(vec![Some(1), Some(2)].into_iter(), Pace::Recorded, true);
        let (result, summary) = run_script(source, &mut sink, None);
        assert!(result.unwrap_err().to_string().contains("unplugged"));
        assert_eq!(summary.frames, 2);
    }

    #[test]
    fn no_live_frame_is_lost_without_being_counted() {
        let mut sink = Collect::default();
        let source = Script(vec![Some(1); 200].into_iter(), Pace::Live, false);
        let (result, summary) = run_script(source, &mut sink, None);
        result.unwrap();
        assert_eq!(summary.frames + summary.dropped, 200);
    }
}
