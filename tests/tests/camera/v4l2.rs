//! V4L2 without a kernel: a fake driver layer with the faults of real ones.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fer_edge::capture::camera::address::Device;
use fer_edge::capture::camera::v4l2::{
    Devices, FourCc, Identity, Node, Shape, Stream, V4l2Camera, Wanted,
};
use fer_edge::capture::camera::{Clock, Driver, Settings};
use fer_edge::capture::{Frame, Step};
use fer_edge::health::Camera::{Offline, Online, Opening, Stalled};
use nix::errno::Errno;

use crate::rig::{Rig, settings};

/// What a fake stream does next.
#[derive(Debug, Clone, Copy)]
enum Act {
    Picture(u8),
    /// A picture that waits behind the one before: both are there at once.
    Queued(u8),
    Flagged,
    Short,
    Silence(u64),
    Unplugged,
}
use Act::*;

/// One opening: what the node says, then what its stream does.
#[derive(Debug, Clone)]
struct Script {
    path: &'static str,
    refuses: Option<Errno>,
    captures: bool,
    formats: Vec<FourCc>,
    /// The format that the driver gives, whatever was asked for.
    gives: Option<FourCc>,
    card: &'static str,
    driver: &'static str,
    acts: Vec<Act>,
}

fn opening(acts: &[Act]) -> Script {
    Script {
        path: "/dev/video0",
        refuses: None,
        captures: true,
        formats: vec![*b"YUYV"],
        gives: None,
        card: "Webcam",
        driver: "uvcvideo",
        acts: acts.to_vec(),
    }
}

#[derive(Clone, Default)]
struct Kernel {
    scripts: Arc<Mutex<VecDeque<Script>>>,
    candidates: Vec<PathBuf>,
    /// What `auto` finds.
    others: Vec<PathBuf>,
    millis: Arc<AtomicU64>,
    open_streams: Arc<AtomicI64>,
}

impl Kernel {
    fn new(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self {
            scripts: Arc::new(Mutex::new(scripts.into_iter().collect())),
            candidates: vec!["/dev/video0".into()],
            ..Self::default()
        }
    }

    fn camera(&self, settings: &Settings) -> V4l2Camera {
        let device = Device::Path("/dev/video0".into());
        V4l2Camera::new(Box::new(self.clone()), device, settings)
    }

    fn rig(&self) -> Rig {
        Rig::with_clock(&settings(), self.camera(&settings()), self.clone())
    }
}

impl Clock for Kernel {
    fn now(&self) -> Duration {
        Duration::from_millis(self.millis.load(Relaxed))
    }

    fn pause(&self, time: Duration) {
        self.millis
            .fetch_add(time.as_millis().max(1) as u64, Relaxed);
    }
}

impl Devices for Kernel {
    fn candidates(&mut self, device: &Device) -> Vec<PathBuf> {
        match device {
            Device::Auto => self.others.clone(),
            Device::Path(_) => self.candidates.clone(),
        }
    }

    fn open(&mut self, path: &Path) -> io::Result<Box<dyn Node>> {
        assert_eq!(
            self.open_streams.load(Relaxed),
            0,
            "the old stream is closed first"
        );
        let mut scripts = self.scripts.lock().unwrap();
        match scripts.front() {
            Some(script) if Path::new(script.path) == path => {}
            _ => return Err(Errno::ENOENT.into()),
        }
        let script = scripts.pop_front().unwrap();
        match script.refuses {
            Some(errno) => Err(errno.into()),
            None => Ok(Box::new(FakeNode(script, self.clone()))),
        }
    }
}

struct FakeNode(Script, Kernel);

impl Node for FakeNode {
    fn identity(&self) -> io::Result<Identity> {
        Ok(Identity {
            card: self.0.card.to_owned(),
            bus: "usb-1".to_owned(),
            driver: self.0.driver.to_owned(),
        })
    }

    fn captures(&self) -> bool {
        self.0.captures
    }

    fn formats(&self) -> Vec<FourCc> {
        self.0.formats.clone()
    }

    fn start(self: Box<Self>, wanted: Wanted) -> io::Result<Box<dyn Stream>> {
        let Self(script, kernel) = *self;
        kernel.open_streams.fetch_add(1, Relaxed);
        // As drivers do: another size than asked for, and padded rows.
        let shape = Shape {
            format: script.gives.unwrap_or(wanted.format),
            width: 32,
            height: 24,
            stride: 80,
        };
        Ok(Box::new(FakeStream(shape, script.acts.into(), kernel)))
    }
}

struct FakeStream(Shape, VecDeque<Act>, Kernel);

impl Drop for FakeStream {
    fn drop(&mut self) {
        self.2.open_streams.fetch_sub(1, Relaxed);
    }
}

impl Stream for FakeStream {
    fn shape(&self) -> Shape {
        self.0
    }

    fn wait(&mut self, time: Duration) -> io::Result<bool> {
        match self.1.front_mut() {
            Some(Silence(left)) => {
                let passed = (*left).min(time.as_millis() as u64);
                self.2.pause(Duration::from_millis(passed));
                *left -= passed;
                if *left == 0 {
                    self.1.pop_front();
                }
                Ok(false)
            }
            Some(_) => Ok(true),
            // A camera that is pulled out makes poll return at once.
            None => Ok(true),
        }
    }

    fn ready(&mut self) -> io::Result<bool> {
        Ok(matches!(self.1.front(), Some(Queued(_))))
    }

    fn dequeue(&mut self, take: &mut dyn FnMut(&[u8], bool)) -> io::Result<()> {
        self.2.pause(Duration::from_millis(40));
        match self.1.pop_front() {
            Some(Picture(y) | Queued(y)) => take(&[y; 80 * 24], false),
            Some(Flagged) => take(&[9; 80 * 24], true),
            Some(Short) => take(&[9; 80 * 20], false),
            _ => return Err(Errno::ENODEV.into()),
        }
        Ok(())
    }
}

/// The brightness of `count` frames, and how many bad ones came between them.
fn frames(rig: &mut Rig, count: usize) -> (Vec<u8>, usize) {
    let (mut frame, mut shades, mut bad) = (Frame::default(), Vec::new(), 0);
    while shades.len() < count {
        match rig.step(&mut frame) {
            Step::Frame => {
                // What the driver returned, not what was asked for.
                assert_eq!(
                    (frame.width, frame.height, frame.pixels.len()),
                    (32, 24, 32 * 24)
                );
                shades.push(frame.pixels[0]);
            }
            Step::Bad(_) => bad += 1,
            Step::End => break,
        }
    }
    (shades, bad)
}

#[test]
fn the_newest_picture_wins_and_damaged_ones_are_bad() {
    let kernel = Kernel::new([opening(&[
        Picture(1),
        Queued(2),
        Queued(3),
        Flagged,
        Short,
        Picture(4),
    ])]);
    let mut rig = kernel.rig();
    assert_eq!(frames(&mut rig, 2), (vec![3, 4], 2));
}

#[test]
fn unplugging_silence_and_refusals_end_in_pictures_again() {
    let refused = |errno| Script {
        refuses: Some(errno),
        ..opening(&[])
    };
    let kernel = Kernel::new([
        opening(&[Picture(1), Unplugged]),
        refused(Errno::ENODEV),
        refused(Errno::EACCES),
        refused(Errno::EBUSY),
        opening(&[Picture(2), Silence(60_000)]),
        opening(&[Picture(3), Silence(500), Picture(4)]),
    ]);
    let mut rig = kernel.rig();
    assert_eq!(frames(&mut rig, 4), (vec![1, 2, 3, 4], 0));
    assert_eq!(
        rig.seen.states(),
        [
            Opening, Online, Offline, Opening, Offline, Opening, Offline, Opening, Offline,
            Opening, Online, Stalled, Offline, Opening, Online, Stalled, Online
        ]
    );
    drop(rig);
    assert_eq!(kernel.open_streams.load(Relaxed), 0);
}

#[test]
fn a_thousand_unpluggings_are_survived() {
    let kernel = Kernel::new((0..1_000).map(|i| opening(&[Picture(i as u8), Unplugged])));
    let mut rig = kernel.rig();
    assert_eq!(frames(&mut rig, 1_000).0.len(), 1_000);
    assert_eq!(rig.seen.health.reconnects(), 999);
}

#[test]
fn refusals_say_why_and_what_to_do() {
    let error = |script: Script| {
        let kernel = Kernel::new([script]);
        let mut camera = kernel.camera(&settings());
        camera.open().map(|_| ()).unwrap_err().to_string()
    };
    let refused = |errno| Script {
        refuses: Some(errno),
        ..opening(&[])
    };
    assert!(error(refused(Errno::EACCES)).contains("group `video`"));
    assert!(error(refused(Errno::EBUSY)).contains("another program uses it"));
    let metadata = Script {
        captures: false,
        ..opening(&[])
    };
    assert!(error(metadata).contains("no pictures come out"));
    let bayer = Script {
        formats: vec![*b"RG10", *b"BA81"],
        ..opening(&[])
    };
    let text = error(bayer);
    assert!(text.contains("RG10, BA81, expected one of GREY"), "{text}");
    let surprise = Script {
        gives: Some(*b"H264"),
        ..opening(&[])
    };
    assert!(error(surprise).contains("pixel format H264 is not supported"));
}

#[test]
fn a_camera_whose_link_is_gone_is_known_again_by_its_name_and_socket() {
    let mut kernel = Kernel::new([
        opening(&[Picture(1), Unplugged]),
        Script {
            path: "/dev/video2",
            card: "Another",
            ..opening(&[Picture(9)])
        },
        Script {
            path: "/dev/video3",
            ..opening(&[Picture(2)])
        },
    ]);
    kernel.others = vec!["/dev/video2".into(), "/dev/video3".into()];
    let mut rig = kernel.rig();
    assert_eq!(frames(&mut rig, 2).0, [1, 2]);
}

#[test]
fn auto_passes_over_the_picture_processor_and_its_name_does_not() {
    let isp = Script {
        path: "/dev/video14",
        driver: "bcm2835-isp",
        ..opening(&[Picture(9)])
    };
    let webcam = Script {
        path: "/dev/video20",
        ..opening(&[Picture(1)])
    };
    let mut kernel = Kernel::new([isp.clone(), webcam]);
    kernel.others = vec!["/dev/video14".into(), "/dev/video20".into()];
    let auto = V4l2Camera::new(Box::new(kernel.clone()), Device::Auto, &settings());
    let mut rig = Rig::with_clock(&settings(), auto, kernel);
    assert_eq!(frames(&mut rig, 1).0, [1]);

    let mut named = Kernel::new([isp]);
    named.candidates = vec!["/dev/video14".into()];
    assert_eq!(frames(&mut named.rig(), 1).0, [9]);
}
