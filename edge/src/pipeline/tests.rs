use super::*;
use crate::infer::fake::Brightness;
use crate::processor::Settings;
use crate::publish::Observation;
use crate::vision::Detector;
use crate::vision::roi::{Region, WholeFrame};
use fer_models::{ModelPackage, Rect};

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
                // A second apart; the fewer are left, the later it is.
                frame.t_ms = 1000 * (1000 - self.0.len() as u64);
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

fn shared() -> Shared {
    Shared {
        health: Health::new(7).into(),
        control: Control::default().into(),
        tuning: Arc::default(),
    }
}

fn run_script(
    script: Script,
    sink: &mut dyn Sink,
    limit: Option<u64>,
) -> (Result<(), PipelineError>, Arc<Health>) {
    let shared = shared();
    let result = run_with(&shared, script, sink, limit);
    (result, shared.health)
}

fn run_with(
    shared: &Shared,
    source: impl Source + 'static,
    sink: &mut dyn Sink,
    limit: Option<u64>,
) -> Result<(), PipelineError> {
    run_detecting(WholeFrame, shared, source, sink, limit)
}

fn run_detecting(
    detector: impl Detector + 'static,
    shared: &Shared,
    source: impl Source + 'static,
    sink: &mut dyn Sink,
    limit: Option<u64>,
) -> Result<(), PipelineError> {
    let manifest = ModelPackage::embedded().manifest;
    let face_len = manifest.decision.crops.count() * manifest.input.input_len();
    let classifier = Brightness::new(face_len, &manifest.labels);
    let settings = Settings {
        reuse: crate::reuse::Settings::OFF,
        smoothing: crate::smooth::Settings::RAW,
        ..Settings::default()
    };
    let mut processor = Processor::new(
        &manifest,
        Box::new(detector),
        Box::new(classifier),
        settings,
    );
    run(Box::new(source), &mut processor, sink, limit, shared)
}

fn script<const N: usize>(frames: [Option<u8>; N]) -> Script {
    Script(Vec::from(frames).into_iter(), Pace::Recorded, false)
}

#[test]
fn every_good_frame_of_a_recording_gives_a_result() {
    let mut sink = Collect::default();
    let frames = script([Some(0), None, Some(255), Some(255), None]);
    let (result, health) = run_script(frames, &mut sink, None);
    result.unwrap();
    assert_eq!((health.captured(), health.processed()), (3, 3));
    assert_eq!(health.observed().sum::<u64>(), 3);
    assert_eq!(Dropped::ALL.map(|why| health.dropped(why)), [0, 2, 0, 0]);
    assert_eq!(health.camera(), Camera::Online);
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
    let (result, health) = run_script(script([Some(9); 50]), &mut sink, Some(7));
    result.unwrap();
    assert_eq!(health.processed(), 7);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut sink = Collect(Vec::new(), Some(2));
    let (result, health) = run_script(script([Some(9); 50]), &mut sink, None);
    result.unwrap();
    assert_eq!(health.processed(), 2);
}

#[test]
fn only_bad_frames_are_a_failure() {
    let (result, health) = run_script(script([None, None]), &mut Collect::default(), None);
    assert!(matches!(
        result,
        Err(PipelineError::NothingUsable { bad: 2, .. })
    ));
    assert_eq!(health.dropped(Dropped::Bad), 2);
}

#[test]
fn a_recording_without_a_frame_is_a_failure() {
    let (result, _) = run_script(script([]), &mut Collect::default(), None);
    assert!(matches!(result, Err(PipelineError::Empty { .. })));
}

#[test]
fn frames_before_a_failing_source_are_delivered() {
    let mut sink = Collect::default();
    let source = Script(vec![Some(1), Some(2)].into_iter(), Pace::Recorded, true);
    let (result, health) = run_script(source, &mut sink, None);
    assert!(result.unwrap_err().to_string().contains("unplugged"));
    assert_eq!(health.processed(), 2);
}

#[test]
fn no_live_frame_is_lost_without_being_counted() {
    let mut sink = Collect::default();
    let source = Script(vec![Some(1); 200].into_iter(), Pace::Live, false);
    let (result, health) = run_script(source, &mut sink, None);
    result.unwrap();
    assert_eq!(health.processed() + health.dropped(Dropped::Late), 200);
}

/// Square frames of these sides, a second apart, as where a smaller one says that there is no signal.
struct Squares(std::vec::IntoIter<usize>);

impl Source for Squares {
    fn name(&self) -> &str {
        "squares"
    }
    fn pace(&self) -> Pace {
        Pace::Recorded
    }
    fn next(&mut self, frame: &mut Frame) -> Result<Step, CaptureError> {
        let Some(side) = self.0.next() else {
            return Ok(Step::End);
        };
        frame.width = side;
        frame.height = side;
        frame.pixels.clear();
        frame.pixels.resize(side * side, 9);
        // The fewer are left, the later it is.
        frame.t_ms = 1000 * (1000 - self.0.len() as u64);
        Ok(Step::Frame)
    }
}

/// Runs frames of these sides; the face is in the last quarter of those of 8.
fn run_squares(sides: Vec<usize>) -> (Result<(), PipelineError>, Vec<Observation>, Arc<Health>) {
    let region = Region(Rect {
        x: 4.0,
        y: 4.0,
        width: 4.0,
        height: 4.0,
    });
    let (shared, mut sink) = (shared(), Collect::default());
    let source = Squares(sides.into_iter());
    let result = run_detecting(region, &shared, source, &mut sink, None);
    (result, sink.0, shared.health)
}

#[test]
fn a_frame_beside_the_region_is_skipped_once_one_was_processed() {
    let (result, seen, health) = run_squares(vec![8, 4, 4, 8]);
    result.unwrap();
    assert_eq!((health.processed(), health.dropped(Dropped::Bad)), (2, 2));
    assert_eq!([&seen[0], &seen[1]].map(|seen| seen.faces[0].id), [1, 1]);
}

#[test]
fn a_region_beside_the_first_frame_ends_the_run() {
    let (result, seen, _) = run_squares(vec![4, 8]);
    let error = result.unwrap_err();
    assert!(error.to_string().contains("outside the frame"), "{error}");
    assert!(seen.is_empty());
}

#[test]
fn who_is_there_after_long_without_a_usable_frame_is_somebody_else() {
    let (result, seen, _) = run_squares(vec![8, 4, 4, 4, 4, 4, 4, 8]);
    result.unwrap();
    assert_eq!([&seen[0], &seen[1]].map(|seen| seen.faces[0].id), [1, 2]);
}

/// A camera that shows the same brightness until it is told to end.
struct Endless(Arc<Control>);

impl Source for Endless {
    fn name(&self) -> &str {
        "endless"
    }
    fn pace(&self) -> Pace {
        Pace::Live
    }
    fn next(&mut self, frame: &mut Frame) -> Result<Step, CaptureError> {
        if self.0.stopping() {
            return Ok(Step::End);
        }
        thread::sleep(Duration::from_millis(1));
        frame.width = 8;
        frame.height = 8;
        frame.pixels.resize(64, 9);
        frame.seq += 1;
        frame.t_ms += 30;
        Ok(Step::Frame)
    }
}

/// A camera that gives garbage; the second time, an end is asked for.
struct Garbage(Arc<Control>, bool);

impl Source for Garbage {
    fn name(&self) -> &str {
        "garbage"
    }
    fn pace(&self) -> Pace {
        Pace::Live
    }
    fn next(&mut self, _: &mut Frame) -> Result<Step, CaptureError> {
        if std::mem::replace(&mut self.1, true) {
            self.0.stop();
        }
        Ok(Step::Bad("scripted".to_owned()))
    }
}

#[test]
fn an_end_that_is_asked_for_is_in_order_also_where_no_frame_was_usable() {
    let shared = shared();
    let source = Garbage(Arc::clone(&shared.control), false);
    run_with(&shared, source, &mut Collect::default(), None).unwrap();
    assert_eq!(shared.health.dropped(Dropped::Bad), 2);
}

/// Calls back for every result.
struct Each<F>(F);

impl<F: FnMut(&Observation)> Sink for Each<F> {
    fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
        (self.0)(observation);
        Ok(())
    }
}

#[test]
fn an_end_that_is_asked_for_comes_in_order() {
    let shared = shared();
    let control = Arc::clone(&shared.control);
    let mut sink = Each(|observation: &Observation| {
        if observation.seq >= 5 {
            control.stop();
        }
    });
    run_with(&shared, Endless(Arc::clone(&control)), &mut sink, None).unwrap();
    assert!(shared.health.processed() >= 1);
    assert!(shared.health.beats() >= shared.health.processed());
}

#[test]
fn faces_below_the_threshold_are_left_out() {
    let shared = shared();
    // With smoothing, a face that suddenly looks different is decided with less than full score.
    shared.tuning.set(Tuning::default());
    shared.control.set_threshold(0.95);
    let mut counts = Vec::new();
    let mut sink = Each(|observation: &Observation| counts.push(observation.faces.len()));
    run_with(&shared, script([Some(0), Some(255)]), &mut sink, None).unwrap();
    assert_eq!(counts, [1, 0]);
}

#[test]
fn frames_on_which_the_model_did_not_run_have_no_inference_time() {
    let shared = shared();
    // With reuse: all that follows looks like the first.
    shared.tuning.set(Tuning::default());
    let mut sink = Collect::default();
    run_with(&shared, script([Some(9); 4]), &mut sink, None).unwrap();
    let health = &shared.health;
    assert_eq!((health.processed(), health.reused()), (4, 3));
    assert_eq!(health.inference().0.iter().sum::<u64>(), 1);
}

#[test]
fn nothing_is_looked_at_while_it_is_switched_off() {
    let shared = shared();
    shared.control.enable(false);
    let mut sink = Collect::default();
    run_with(&shared, script([Some(0), Some(0)]), &mut sink, None).unwrap();
    assert_eq!(sink.0.len(), 0);
    assert_eq!(shared.health.dropped(Dropped::Disabled), 2);
}

#[test]
fn a_live_source_keeps_within_its_budget() {
    let shared = shared();
    let budget = budget::Settings {
        max_fps: Some(0.01),
        ..budget::Settings::default()
    };
    shared.tuning.set(Tuning {
        budget,
        ..Tuning::default()
    });
    let mut sink = Collect::default();
    let source = Script(vec![Some(1); 20].into_iter(), Pace::Live, false);
    run_with(&shared, source, &mut sink, None).unwrap();
    assert_eq!(sink.0.len(), 1);
    assert_eq!(shared.health.dropped(Dropped::Budget), 19);
}
