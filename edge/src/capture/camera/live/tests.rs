use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::super::driver::Fault;
use super::*;

/// What a scripted camera does next.
enum Act {
    /// Delivers a picture of this brightness.
    Picture(u8),
    Bad,
    /// Lets this many milliseconds pass without a picture.
    Silence(u64),
    Fault,
    /// Asks for an orderly end, then is silent.
    Stop,
    /// Switches looking off; the paused clock switches it on again.
    Off,
    Restart,
}
use Act::*;

/// Everything the fakes share: a clock that only moves when told, and what they saw.
struct Stage {
    now: AtomicU64,
    health: Arc<Health>,
    control: Arc<Control>,
    seen: Mutex<Vec<Camera>>,
    feeds: Mutex<VecDeque<Result<VecDeque<Act>, &'static str>>>,
    open_feeds: AtomicU64,
}

impl Stage {
    fn new(feeds: impl IntoIterator<Item = Result<Vec<Act>, &'static str>>) -> Arc<Self> {
        Arc::new(Self {
            now: AtomicU64::new(5_000),
            health: Arc::new(Health::new(7)),
            control: Arc::new(Control::default()),
            seen: Mutex::default(),
            feeds: Mutex::new(feeds.into_iter().map(|f| f.map(VecDeque::from)).collect()),
            open_feeds: AtomicU64::new(0),
        })
    }

    fn see(&self) {
        let mut seen = self.seen.lock().unwrap();
        if seen.last() != Some(&self.health.camera()) {
            seen.push(self.health.camera());
        }
    }

    fn pass(&self, millis: u64) {
        self.now.fetch_add(millis, Relaxed);
    }

    fn camera(self: &Arc<Self>, settings: &Settings) -> Live {
        Live::new(
            settings,
            Box::new(Fake(Arc::clone(self))),
            Box::new(Fake(Arc::clone(self))),
            Arc::clone(&self.health),
            Arc::clone(&self.control),
        )
    }

    /// Runs to the end; returns the brightness of the frames and the number of bad ones.
    fn run(self: &Arc<Self>, settings: &Settings) -> (Vec<u8>, usize) {
        let mut camera = self.camera(settings);
        let mut frame = Frame::default();
        let (mut pictures, mut bad) = (Vec::new(), 0);
        loop {
            let step = camera.next(&mut frame).unwrap();
            self.see();
            match step {
                Step::Frame => pictures.push(frame.pixels[0]),
                Step::Bad(_) => bad += 1,
                Step::End => return (pictures, bad),
            }
            assert_eq!(frame.seq, (pictures.len() + bad) as u64 - 1);
        }
    }

    fn states(&self) -> Vec<Camera> {
        self.seen.lock().unwrap().clone()
    }
}

struct Fake(Arc<Stage>);

impl Clock for Fake {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now.load(Relaxed))
    }

    fn pause(&self, time: Duration) {
        self.0.see();
        self.0.pass(time.as_millis().max(1) as u64);
        self.0.control.enable(true);
    }
}

impl Driver for Fake {
    fn open(&mut self) -> Result<Box<dyn Feed>, Fault> {
        self.0.see();
        assert_eq!(
            self.0.open_feeds.load(Relaxed),
            0,
            "the old feed is closed first"
        );
        match self.0.feeds.lock().unwrap().pop_front() {
            Some(Ok(acts)) => {
                self.0.open_feeds.fetch_add(1, Relaxed);
                Ok(Box::new(FakeFeed(Arc::clone(&self.0), acts)))
            }
            Some(Err(why)) => Err(Fault::Unfit(why.to_owned())),
            None => {
                self.0.control.stop();
                Err(Fault::Unfit("no more script".to_owned()))
            }
        }
    }
}

struct FakeFeed(Arc<Stage>, VecDeque<Act>);

impl Drop for FakeFeed {
    fn drop(&mut self) {
        self.0.open_feeds.fetch_sub(1, Relaxed);
    }
}

impl Feed for FakeFeed {
    fn next(&mut self, frame: &mut Frame, wait: Duration) -> Result<Got, Fault> {
        let Self(stage, acts) = self;
        stage.see();
        let wait = wait.as_millis() as u64;
        match acts.pop_front() {
            Some(Picture(value)) => {
                stage.pass(33);
                (frame.width, frame.height) = (2, 2);
                frame.pixels.clear();
                frame.pixels.resize(4, value);
                Ok(Got::Picture)
            }
            Some(Bad) => {
                stage.pass(33);
                Ok(Got::Bad("garbage".to_owned()))
            }
            Some(Silence(left)) => {
                stage.pass(wait.min(left));
                if left > wait {
                    acts.push_front(Silence(left - wait));
                }
                Ok(Got::Nothing)
            }
            Some(Fault) => Err(super::super::driver::Fault::Unfit("it broke".to_owned())),
            Some(Stop) | None => {
                stage.control.stop();
                Ok(Got::Nothing)
            }
            Some(Off) => {
                stage.control.enable(false);
                Ok(Got::Nothing)
            }
            Some(Restart) => {
                stage.control.restart_camera();
                Ok(Got::Nothing)
            }
        }
    }
}

use Camera::{Offline, Online, Opening, Stalled};

#[test]
fn a_short_silence_stalls_and_the_next_picture_is_online_again() {
    let stage = Stage::new([Ok(vec![Picture(1), Silence(2_500), Picture(2), Stop])]);
    assert_eq!(stage.run(&Settings::default()), (vec![1, 2], 0));
    assert_eq!(stage.states(), [Opening, Online, Stalled, Online, Offline]);
    assert_eq!(stage.health.reconnects(), 0);
}

#[test]
fn a_long_silence_opens_it_again_from_scratch() {
    let stage = Stage::new([
        Ok(vec![Picture(1), Silence(60_000)]),
        Ok(vec![Picture(2), Stop]),
    ]);
    assert_eq!(stage.run(&Settings::default()).0, [1, 2]);
    assert_eq!(
        stage.states(),
        [Opening, Online, Stalled, Offline, Opening, Online, Offline]
    );
    assert_eq!(stage.health.reconnects(), 1);
}

#[test]
fn a_fault_and_refused_attempts_end_in_a_picture() {
    let stage = Stage::new([
        Err("no such device"),
        Ok(vec![Picture(1), Fault]),
        Err("no such device"),
        Err("busy"),
        Ok(vec![Picture(2), Stop]),
    ]);
    assert_eq!(stage.run(&Settings::default()).0, [1, 2]);
    assert_eq!(
        stage.states(),
        [
            Opening, Offline, Opening, Online, Offline, Opening, Offline, Opening, Offline,
            Opening, Online, Offline
        ]
    );
}

#[test]
fn a_frozen_picture_is_a_stall_and_reopening_to_it_is_no_recovery() {
    let frozen = |n| (0..n).map(|_| Picture(7)).collect::<Vec<_>>();
    let stage = Stage::new([
        Ok(frozen(1_000)),
        Ok(frozen(1_000)),
        Ok(vec![Picture(8), Stop]),
    ]);
    let (pictures, _) = stage.run(&Settings::default());
    assert_eq!(
        stage.states(),
        [
            Opening, Online, Stalled, Offline, Opening, Offline, Opening, Online, Offline
        ]
    );
    assert_eq!(pictures.last(), Some(&8));
    // 2 s at 33 ms until it counts as stalled, nothing after that.
    assert_eq!(pictures.len(), 1 + 60 + 1);

    let stage = Stage::new([Ok(frozen(1_000))]);
    let watched = Settings {
        frozen: false,
        ..Settings::default()
    };
    assert_eq!(stage.run(&watched).0.len(), 1_000);
    assert_eq!(stage.states(), [Opening, Online, Offline]);
}

#[test]
fn garbage_is_passed_on_as_bad_but_keeps_nothing_alive() {
    let mut acts = vec![Picture(1)];
    acts.extend((0..1_000).map(|_| Bad));
    let stage = Stage::new([Ok(acts), Ok(vec![Picture(2), Stop])]);
    let (pictures, bad) = stage.run(&Settings::default());
    assert_eq!(pictures, [1, 2]);
    assert_eq!(bad, 304, "10 s at 33 ms, then it is closed");
    assert_eq!(
        stage.states(),
        [Opening, Online, Stalled, Offline, Opening, Online, Offline]
    );
}

#[test]
fn a_camera_without_a_first_picture_is_given_up() {
    let stage = Stage::new([Ok(vec![Silence(60_000)]), Ok(vec![Picture(1), Stop])]);
    assert_eq!(stage.run(&Settings::default()).0, [1]);
    assert_eq!(stage.states(), [Opening, Offline, Opening, Online, Offline]);
}

#[test]
fn a_restart_is_immediate_and_a_switched_off_camera_is_closed() {
    let stage = Stage::new([
        Ok(vec![Picture(1), Restart, Picture(9)]),
        Ok(vec![Picture(2), Off, Picture(9)]),
        Ok(vec![Picture(3), Stop]),
    ]);
    assert_eq!(stage.run(&Settings::default()).0, [1, 2, 3]);
    // One look (100 ms) while off, three pictures: no back-off in between.
    assert_eq!(stage.now.load(Relaxed), 5_000 + 3 * 33 + 100);
    assert_eq!(stage.health.reconnects(), 2);
}

#[test]
fn attempts_are_spaced_by_the_back_off() {
    let attempts = 20;
    let stage = Stage::new((0..attempts).map(|_| Err("no such device")));
    stage.run(&Settings::default());
    let waited = stage.now.load(Relaxed) - 5_000;
    // 0.5 + 1 + 2 + 4 + 8 + 16 seconds, then 30 each, all times 0.5 to 1.
    let most = 31_500 + 14 * 30_000;
    assert!((most / 2..=most + 20).contains(&waited), "{waited}");
}

#[test]
fn timestamps_go_on_across_an_outage() {
    let stage = Stage::new([Ok(vec![Picture(1), Fault]), Ok(vec![Picture(2), Stop])]);
    let mut camera = stage.camera(&Settings::default());
    let mut frame = Frame::default();
    camera.next(&mut frame).unwrap();
    assert_eq!((frame.seq, frame.t_ms), (0, 0));
    camera.next(&mut frame).unwrap();
    assert_eq!(frame.seq, 1);
    assert!((33 + 250..33 + 600).contains(&frame.t_ms), "{}", frame.t_ms);
}
