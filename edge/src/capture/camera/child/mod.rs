//! Cameras behind a child that writes raw pictures to its standard output.
//!
//! CSI cameras have no usable V4L2 node: the picture is made by the vendor's software. So that
//! software runs as a child, which can be killed and started again when it hangs.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::super::Frame;
use super::driver::{Driver, Fault, Feed, Got};
use super::settings::Settings;

mod layout;
mod process;
mod rhythm;

pub use layout::Layout;
use process::Process;
use rhythm::Rhythm;

/// The programs that deliver a Raspberry Pi's CSI camera, newest first; Bullseye has only the second.
pub const RPICAM: [&str; 2] = ["rpicam-vid", "libcamera-vid"];

/// The program that runs GStreamer pipelines.
pub const GSTREAMER: [&str; 1] = ["gst-launch-1.0"];

/// A child to start and what it writes.
#[derive(Debug, Clone)]
pub struct ChildCamera {
    /// Programs to try, in this order: names to be found on `PATH`, or paths.
    pub programs: Vec<OsString>,
    /// Their arguments.
    pub args: Vec<String>,
    /// The pictures on their standard output.
    pub layout: Layout,
    /// Time between two pictures.
    pub interval: Duration,
}

impl ChildCamera {
    /// A Raspberry Pi's CSI camera.
    ///
    /// Raw `yuv420` rather than MJPEG: the Pi would encode in software only for us to decode again.
    #[must_use]
    pub fn rpicam(camera: u8, settings: &Settings) -> Self {
        let Settings {
            width, height, fps, ..
        } = settings;
        // --flush: without it, part of each picture stays in the child's buffer.
        let args = format!(
            "--timeout 0 --nopreview --codec yuv420 --camera {camera} --width {width} --height {height} \
             --framerate {fps} --flush --output -"
        );
        Self {
            programs: RPICAM.map(OsString::from).to_vec(),
            args: args.split(' ').map(str::to_owned).collect(),
            layout: Layout::rpicam(*width as usize, *height as usize),
            interval: settings.interval(),
        }
    }

    /// A Jetson's CSI camera.
    #[must_use]
    pub fn jetson(sensor: u8, settings: &Settings) -> Self {
        let Settings {
            width, height, fps, ..
        } = settings;
        let args = format!(
            "-q -e nvarguscamerasrc sensor-id={sensor} ! \
             video/x-raw(memory:NVMM),width={width},height={height},framerate={fps}/1 ! nvvidconv ! \
             video/x-raw,format=GRAY8,width={width},height={height} ! fdsink fd=1 sync=false"
        );
        Self {
            programs: GSTREAMER.map(OsString::from).to_vec(),
            args: args.split(' ').map(str::to_owned).collect(),
            layout: Layout::gray8(*width as usize, *height as usize),
            interval: settings.interval(),
        }
    }
}

impl Driver for ChildCamera {
    fn open(&mut self) -> Result<Box<dyn Feed>, Fault> {
        Ok(Box::new(ChildFeed {
            process: Process::start(&self.programs, &self.args)?,
            layout: self.layout,
            picture: vec![0; self.layout.len],
            filled: 0,
            waited: Duration::ZERO,
            rhythm: Rhythm::new(self.interval),
        }))
    }
}

struct ChildFeed {
    process: Process,
    layout: Layout,
    picture: Vec<u8>,
    filled: usize,
    /// Time spent waiting since the last byte.
    waited: Duration,
    rhythm: Rhythm,
}

impl Feed for ChildFeed {
    fn next(&mut self, frame: &mut Frame, wait: Duration) -> Result<Got, Fault> {
        let deadline = Instant::now() + wait;
        loop {
            let before = Instant::now();
            let left = deadline.saturating_duration_since(before);
            let rest = &mut self.picture[self.filled..];
            let read = self.process.read(rest, left)?;
            self.waited += before.elapsed();
            let Some(read) = read else {
                if left.is_zero() {
                    return Ok(Got::Nothing);
                }
                continue;
            };
            let waited = std::mem::take(&mut self.waited);
            self.rhythm.pause(self.filled == 0, waited);
            self.filled += read;
            if self.filled == self.picture.len() {
                self.filled = 0;
                if self.rhythm.picture() {
                    let Layout { width, height, .. } = self.layout;
                    return Err(Fault::Unfit(format!(
                        "the pictures of {} have another size than the {width}x{height} asked for",
                        self.process.name()
                    )));
                }
                self.layout.luma(&self.picture, frame);
                return Ok(Got::Picture);
            }
            // A child that dribbles must not keep us from looking at anything else.
            if left.is_zero() {
                return Ok(Got::Nothing);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_lines_are_the_documented_ones() {
        let settings = Settings {
            width: 640,
            height: 480,
            fps: 15,
            ..Settings::default()
        };
        assert_eq!(
            ChildCamera::rpicam(1, &settings).args.join(" "),
            "--timeout 0 --nopreview --codec yuv420 --camera 1 --width 640 --height 480 --framerate 15 \
             --flush --output -"
        );
        let jetson = ChildCamera::jetson(0, &settings);
        assert!(jetson.args.contains(&"sensor-id=0".to_owned()));
        assert!(
            jetson
                .args
                .ends_with(&["fdsink".into(), "fd=1".into(), "sync=false".into()])
        );
        assert_eq!(jetson.layout.len, 640 * 480);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let settings = Settings::default();
        let mut camera = ChildCamera::rpicam(0, &settings);
        camera.programs = vec![
            "/nowhere/rpicam-vid".into(),
            "/nowhere/libcamera-vid".into(),
        ];
        let error = camera.open().map(|_| ()).unwrap_err().to_string();
        assert!(
            error.contains("/nowhere/rpicam-vid or /nowhere/libcamera-vid"),
            "{error}"
        );
    }
}
