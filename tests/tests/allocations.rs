//! A warm pipeline takes no memory from the heap for a frame.
//!
//! What is counted: capture (the demo), the queue between the threads, tracking, cutting, smoothing,
//! counting and JSON lines, on both threads. Left out are finding faces, which takes memory when a frame has
//! more candidates than any before it, and tract, which takes some in every call. Their numbers are printed, and must not grow.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use fer_edge::capture::demo::Demo;
use fer_edge::capture::{Frame, Source, Step};
use fer_edge::control::Control;
use fer_edge::health::Health;
use fer_edge::infer::{Classifier, InferError, TractClassifier};
use fer_edge::pipeline::{self, Shared};
use fer_edge::processor::{Processor, Settings};
use fer_edge::publish::fanout::{Fanout, Slot};
use fer_edge::publish::jsonl::JsonLines;
use fer_edge::publish::{Observation, PublishError, Sink};
use fer_edge::vision::seeta::{self, SeetaDetector};
use fer_edge::vision::{DetectError, Detection, Detector, Framing};
use fer_models::{GrayView, ModelPackage, Rect};
use fer_tests::skip::note;

/// Counts every request for memory and passes it on.
struct Counting;

static REQUESTS: AtomicU64 = AtomicU64::new(0);

#[expect(
    unsafe_code,
    reason = "an allocator is an unsafe trait; this one only counts"
)]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        REQUESTS.fetch_add(1, SeqCst);
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        REQUESTS.fetch_add(1, SeqCst);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One face that stays and one that comes and goes.
struct TwoFaces(u64);

impl Detector for TwoFaces {
    fn framing(&self) -> Framing {
        Framing::Face
    }

    fn detect(&mut self, _: GrayView<'_>, faces: &mut Vec<Detection>) -> Result<(), DetectError> {
        self.0 += 1;
        faces.clear();
        let both = [20.0, 180.0].map(|x| Detection {
            rect: Rect {
                x,
                y: 60.0,
                width: 100.0,
                height: 100.0,
            },
            score: 3.0,
        });
        faces.extend(&both[..1 + usize::from(self.0.is_multiple_of(3))]);
        Ok(())
    }
}

/// Looks at the faces without a model.
struct Mean {
    face: usize,
    labels: usize,
}

impl Classifier for Mean {
    fn classify(&mut self, faces: &[f32], scores: &mut Vec<f32>) -> Result<(), InferError> {
        scores.clear();
        for face in faces.chunks_exact(self.face) {
            let mean = face.iter().sum::<f32>() / face.len() as f32;
            let first = mean.clamp(0.1, 0.9);
            let rest = (1.0 - first) / (self.labels - 1) as f32;
            scores.extend((0..self.labels).map(|i| if i == 0 { first } else { rest }));
        }
        Ok(())
    }
}

const WARM: u64 = 60;
const LAST: u64 = 200;

/// Reads the counter when the pipeline is warm and near the end.
struct Meter(Arc<[AtomicU64; 2]>, Arc<Health>);

impl Sink for Meter {
    fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
        // Once every frame buffer is in use at the same time: this frame, two that wait, and the one
        // that capture holds. No further one is made after that.
        while observation.seq == 10 && self.1.captured() < 10 + 4 {
            thread::yield_now();
        }
        match observation.seq {
            WARM => self.0[0].store(REQUESTS.load(SeqCst), SeqCst),
            LAST => self.0[1].store(REQUESTS.load(SeqCst), SeqCst),
            _ => {}
        }
        Ok(())
    }
}

fn slot(sink: impl Sink + Send + 'static) -> Slot {
    let slot = Slot::default();
    slot.put(Some(Box::new(sink)));
    slot
}

/// Requests for memory by all threads between two frames of a run.
fn requests_of_a_pipeline() -> u64 {
    let manifest = ModelPackage::embedded().manifest;
    let labels = manifest.labels.len();
    let face = manifest.decision.crops.count() * manifest.input.input_len();
    let classifier = Box::new(Mean { face, labels });
    let mut processor = Processor::new(
        &manifest,
        Box::new(TwoFaces(0)),
        classifier,
        Settings::default(),
    );
    let seen = Arc::new([const { AtomicU64::new(0) }; 2]);
    let shared = Shared {
        health: Health::new(labels).into(),
        control: Control::default().into(),
        tuning: Arc::default(),
    };
    let mut sinks = Fanout::default();
    sinks.add(slot(JsonLines::new(io::sink())));
    sinks.add(slot(Meter(Arc::clone(&seen), Arc::clone(&shared.health))));
    let demo = Box::new(Demo::new().unwrap());
    pipeline::run(demo, &mut processor, &mut sinks, None, &shared).unwrap();
    assert_eq!(shared.health.processed(), 210);
    assert!(
        shared.health.observed().sum::<u64>() > 250,
        "two faces now and then"
    );
    let [warm, last] = [0, 1].map(|i: usize| seen[i].load(SeqCst));
    assert!(warm > 0, "the counter counts");
    last - warm
}

/// The most that any of the frames asked for, with the real detector and the real model.
fn most_of_the_real_stages(frames: std::ops::Range<u64>) -> u64 {
    let package = ModelPackage::embedded();
    let detector = Box::new(SeetaDetector::new(seeta::SEARCH).unwrap());
    let classifier = Box::new(TractClassifier::load(&package).unwrap());
    let settings = Settings::default();
    let mut processor = Processor::new(&package.manifest, detector, classifier, settings);
    let mut demo = Demo::new().unwrap();
    let (mut frame, mut most) = (Frame::default(), 0);
    let mut observation = processor.observation("demo");
    while demo.next(&mut frame).unwrap() == Step::Frame && frame.seq < frames.end {
        let before = REQUESTS.load(SeqCst);
        processor
            .process(&frame, demo.pace(), &mut observation)
            .unwrap();
        if frames.contains(&frame.seq) {
            most = most.max(REQUESTS.load(SeqCst) - before);
        }
    }
    most
}

// One test: a second one would run beside it and be counted too.
#[test]
fn a_warm_pipeline_does_not_allocate() {
    assert_eq!(requests_of_a_pipeline(), 0, "in {} frames", LAST - WARM);

    let early = most_of_the_real_stages(10..30);
    let late = most_of_the_real_stages(40..60);
    note(&format!(
        "requests for memory in one frame by the detector and tract: at most {early}, later {late}"
    ));
    assert!(late <= 2 * early, "{early} requests a frame became {late}");
}
