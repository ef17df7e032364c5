//! A camera under observation.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fer_edge::capture::camera::{Clock, Driver, Fault, Feed, Got, Live, Settings, SystemClock};
use fer_edge::capture::{Frame, Source, Step};
use fer_edge::control::Control;
use fer_edge::health::{Camera, Health};

/// Longest time that any test may take: far more than it needs, as the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// An impatient camera for tests.
pub(crate) fn settings() -> Settings {
    Settings {
        width: 64,
        height: 48,
        fps: 25,
        open_ms: 3_000,
        stall_ms: 400,
        lost_ms: 900,
        retry_ms: 20,
        retry_max_ms: 200,
        ..Settings::default()
    }
}

/// Every state that the camera was in, in order, and when it came.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) health: Arc<Health>,
    states: Arc<Mutex<Vec<(Camera, Instant)>>>,
}

impl Seen {
    fn look(&self) {
        let mut states = self.states.lock().unwrap();
        let now = self.health.camera();
        if states.last().map(|(state, _)| *state) != Some(now) {
            states.push((now, Instant::now()));
        }
    }

    /// The states so far.
    pub(crate) fn states(&self) -> Vec<Camera> {
        let states = self.states.lock().unwrap();
        states.iter().map(|(state, _)| *state).collect()
    }

    /// Checks that these states came in this order; others may lie between them.
    #[track_caller]
    pub(crate) fn passed(&self, wanted: &[Camera]) {
        let states = self.states();
        let mut rest = states.iter();
        let all = wanted.iter().all(|state| rest.any(|s| s == state));
        assert!(all, "expected {wanted:?} in {states:?}");
    }

    /// Checks that no pause was longer than the longest back-off.
    #[track_caller]
    pub(crate) fn paused_at_most(&self, longest: Duration) {
        // The scheduler of a busy machine has a say as well.
        let most = longest + Duration::from_secs(2);
        for pair in self.states.lock().unwrap().windows(2) {
            if let [(Camera::Offline, since), (_, until)] = pair {
                assert!(*until - *since < most, "offline for {:?}", *until - *since);
            }
        }
    }
}

/// A camera whose states are seen: at each look at a picture, at each pause and each opening.
pub(crate) struct Rig {
    pub(crate) seen: Seen,
    pub(crate) control: Arc<Control>,
    pub(crate) camera: Live,
    deadline: Instant,
}

impl Rig {
    pub(crate) fn new(settings: &Settings, driver: impl Driver + 'static) -> Self {
        Self::with_clock(settings, driver, SystemClock::default())
    }

    pub(crate) fn with_clock(
        settings: &Settings,
        driver: impl Driver + 'static,
        clock: impl Clock + 'static,
    ) -> Self {
        let health = Arc::new(Health::new(7));
        let control = Arc::new(Control::default());
        let seen = Seen {
            health: Arc::clone(&health),
            states: Arc::default(),
        };
        let camera = Live::new(
            settings,
            Box::new(Watched(driver, seen.clone())),
            Box::new(Watched(clock, seen.clone())),
            health,
            Arc::clone(&control),
        );
        Self {
            seen,
            control,
            camera,
            deadline: Instant::now() + PATIENCE,
        }
    }

    /// The next step; the states are looked at.
    pub(crate) fn step(&mut self, frame: &mut Frame) -> Step {
        assert!(Instant::now() < self.deadline, "{:?}", self.seen.states());
        let step = self.camera.next(frame).unwrap();
        self.seen.look();
        step
    }

    /// Takes pictures until the camera was lost `times` times and is back with this many new ones.
    pub(crate) fn until_back(&mut self, times: usize, pictures: usize) {
        let (mut frame, mut since) = (Frame::default(), 0);
        while since < pictures {
            if self.step(&mut frame) == Step::Frame {
                let states = self.seen.states();
                let lost = states.iter().filter(|s| **s == Camera::Offline).count();
                since += usize::from(lost >= times);
            }
        }
    }
}

struct Watched<T>(T, Seen);

impl<D: Driver> Driver for Watched<D> {
    fn open(&mut self) -> Result<Box<dyn Feed>, Fault> {
        self.1.look();
        let feed = self.0.open()?;
        Ok(Box::new(Watched(feed, self.1.clone())))
    }
}

impl Feed for Watched<Box<dyn Feed>> {
    fn next(&mut self, frame: &mut Frame, wait: Duration) -> Result<Got, Fault> {
        self.1.look();
        self.0.next(frame, wait)
    }
}

impl<C: Clock> Clock for Watched<C> {
    fn now(&self) -> Duration {
        self.0.now()
    }

    fn pause(&self, time: Duration) {
        self.1.look();
        self.0.pause(time);
    }
}
