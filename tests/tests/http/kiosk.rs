//! The kiosk page in headless Chromium.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fer_edge::capture::demo::{Demo, FRAMES};
use fer_edge::capture::paced::Paced;
use fer_edge::capture::{Frame, Pace, Source};
use fer_edge::health::Camera;
use fer_edge::http::{EventSink, Settings};
use fer_edge::publish::Sink;
use fer_edge::secret::Secret;

use crate::browser::Browser;
use crate::relay::Relay;
use crate::running::{observation, settings, start};

const LABELS: [&str; 3] = ["happy", "surprise", ""];

/// Shows one of [`LABELS`] ten times a second, as a camera would.
struct Feed {
    label: Arc<AtomicUsize>,
    sink: Arc<Mutex<EventSink>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    fn start(sink: EventSink) -> Self {
        let label = Arc::new(AtomicUsize::new(0));
        let sink = Arc::new(Mutex::new(sink));
        let ended = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (label, sink, ended) = (label.clone(), sink.clone(), ended.clone());
            move || {
                for seq in 0.. {
                    if ended.load(Relaxed) {
                        return;
                    }
                    let observation = observation(seq, LABELS[label.load(Relaxed)]);
                    sink.lock().unwrap().publish(&observation).unwrap();
                    thread::sleep(Duration::from_millis(100));
                }
            }
        });
        Self {
            label,
            sink,
            ended,
            thread: Some(thread),
        }
    }

    fn show(&self, label: &str) {
        let index = LABELS.iter().position(|l| *l == label).unwrap();
        self.label.store(index, Relaxed);
    }

    /// Goes on at another server.
    fn move_to(&self, sink: EventSink) {
        *self.sink.lock().unwrap() = sink;
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

const EMOTION: &str = "document.getElementById('emotion').textContent";

#[test]
fn the_page_shows_the_current_emotion_and_loads_nothing_from_elsewhere() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let running = start(&settings());
    let page = format!("http://{}/", running.address);
    let feed = Feed::start(running.server.sink());
    browser.visit(&page);
    browser.wait_for(&format!("{EMOTION} === 'happy'"));
    let bar = "document.querySelector('#bars [aria-label=happy]').ariaValueNow";
    browser.wait_for(&format!("{bar} === '70'"));
    browser.wait_for("document.getElementById('camera-text').textContent === 'Camera is on'");
    feed.show("surprise");
    browser.wait_for(&format!("{EMOTION} === 'surprise' && {bar} === '5'"));
    feed.show("");
    browser.wait_for(&format!("{EMOTION} === 'Nobody in view'"));
    running.health.set_camera(Camera::Offline);
    browser.wait_for("document.getElementById('camera-text').textContent === 'Camera is off'");

    let foreign: Vec<_> = browser
        .asked
        .iter()
        .filter(|url| !url.starts_with(&page))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    for own in ["", "kiosk.css", "kiosk.js", "events"] {
        let own = format!("{page}{own}");
        assert!(browser.asked.contains(&own), "{own}: {:?}", browser.asked);
    }
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}

#[test]
fn the_page_can_be_read_across_a_room_and_by_a_screen_reader() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let running = start(&settings());
    let feed = Feed::start(running.server.sink());
    feed.show("surprise");
    browser.visit(&format!("http://{}/", running.address));
    browser.wait_for(&format!("{EMOTION} === 'surprise'"));
    let height =
        "parseFloat(getComputedStyle(document.getElementById('emotion')).fontSize) / innerHeight";
    assert!(browser.evaluate(height).as_f64().unwrap() > 0.2);
    // Nothing is cut off or has to be scrolled to, the notice least of all.
    for (width, height) in [(1280, 720), (800, 480), (1920, 1080), (1080, 1920)] {
        browser.resize(width, height);
        for id in ["emotion", "bars", "history", "notice", "camera"] {
            let inside = format!(
                "(() => {{ const b = document.getElementById('{id}').getBoundingClientRect();
                   return b.width > 0 && b.height > 0 && b.left >= 0 && b.top >= 0
                     && b.right <= innerWidth && b.bottom <= innerHeight; }})()"
            );
            assert_eq!(browser.evaluate(&inside), true, "{id} at {width}x{height}");
        }
        let lines = "(() => { const e = document.getElementById('emotion');
            return Math.round(e.offsetHeight / parseFloat(getComputedStyle(e).lineHeight)); })()";
        assert_eq!(browser.evaluate(lines), 1, "{width}x{height}");
    }
    let notice = browser.evaluate("document.getElementById('notice').innerText");
    assert!(
        notice
            .as_str()
            .unwrap()
            .contains(&Settings::default().notice),
        "{notice}"
    );

    let live = browser.evaluate("document.getElementById('emotion').getAttribute('aria-live')");
    assert_eq!(live, "polite");
    let tree = browser.call("Accessibility.getFullAXTree", serde_json::json!({}));
    let meters = tree["nodes"].as_array().unwrap().iter();
    let meters = meters.filter(|node| node["role"]["value"] == "meter");
    let names: Vec<_> = meters
        .map(|node| node["name"]["value"].as_str().unwrap())
        .collect();
    assert_eq!(names, fer_models::Labels::fer2013().names());
}

/// Mean brightness of the corner pixels, 0 to 255: the page's background.
fn background(png: &[u8]) -> u32 {
    let picture = image::load_from_memory(png).unwrap().to_luma8();
    let (right, bottom) = (picture.width() - 1, picture.height() - 1);
    let corners = [(0, 0), (right, 0), (0, bottom), (right, bottom)];
    corners
        .map(|(x, y)| u32::from(picture.get_pixel(x, y)[0]))
        .iter()
        .sum::<u32>()
        / 4
}

#[test]
fn the_page_is_dark_or_light_as_the_system_or_its_button_says() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let running = start(&settings());
    browser.prefer("dark");
    browser.visit(&format!("http://{}/", running.address));
    browser.wait_for("document.body.dataset.line === 'open'");
    let dark = browser.screenshot();
    browser.prefer("light");
    let light = browser.screenshot();
    assert!(background(&dark) < 40 && background(&light) > 230);
    let mut click = |expected: &str| {
        browser.evaluate("document.getElementById('theme').click()");
        let named = browser.evaluate("document.getElementById('theme').textContent");
        assert_eq!(named, format!("Theme: {expected}"));
        background(&browser.screenshot())
    };
    assert!(click("dark") < 40);
    assert!(click("light") > 230);
    // The choice outlives the page.
    browser.prefer("dark");
    browser.visit(&format!("http://{}/", running.address));
    browser.wait_for("document.body.dataset.line === 'open'");
    assert!(background(&browser.screenshot()) > 230);
}

#[test]
fn a_lost_line_is_shown_and_comes_back_by_itself() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let mut settings = settings();
    let running = start(&settings);
    settings.listen = running.address;
    let feed = Feed::start(running.server.sink());
    browser.visit(&format!("http://{}/", running.address));
    browser.wait_for(&format!("{EMOTION} === 'happy'"));
    drop(running);
    browser.wait_for("document.getElementById('line').textContent.includes('Connection lost')");
    browser.wait_for(&format!("{EMOTION} === 'No connection'"));
    let again = start(&settings);
    feed.move_to(again.server.sink());
    browser.wait_for(&format!("{EMOTION} === 'happy'"));
    let line = browser.evaluate("document.getElementById('line').textContent");
    assert_eq!(line, "");
}

#[test]
fn a_line_that_falls_silent_counts_as_lost() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let running = start(&settings());
    let relay = Relay::start(running.address);
    let _feed = Feed::start(running.server.sink());
    browser.visit(&format!("http://{}/", relay.address));
    browser.wait_for(&format!("{EMOTION} === 'happy'"));
    relay.silence(true);
    browser.wait_for("document.getElementById('line').textContent.includes('Connection lost')");
    relay.silence(false);
    browser.wait_for(&format!("{EMOTION} === 'happy'"));
}

#[test]
fn a_page_behind_a_token_works_with_the_password_of_the_dialogue() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let running = start(&Settings {
        token: Some(Secret::new("0123456789abcdef")),
        ..settings()
    });
    let _feed = Feed::start(running.server.sink());
    let address = running.address;
    browser.visit(&format!("http://kiosk:0123456789abcdef@{address}/"));
    browser.wait_for(&format!("{EMOTION} === 'happy'"));
}

/// The demo's faces through detector and model; one round takes 14 seconds where it is paced.
fn show_demo(sink: &mut EventSink, paced: bool, frames: u64) -> String {
    let mut source: Box<dyn Source> = Box::new(Demo::new().unwrap());
    if paced {
        source = Box::new(Paced::new(source));
    }
    let mut processor = crate::classify::processor().unwrap();
    let mut observation = processor.observation("demo");
    let mut frame = Frame::default();
    for _ in 0..frames {
        source.next(&mut frame).unwrap();
        processor
            .process(&frame, Pace::Recorded, &mut observation)
            .unwrap();
        sink.publish(&observation).unwrap();
    }
    let face = observation.faces.first().expect("the demo shows a face");
    observation.labels.names()[face.label].clone()
}

/// Also writes the picture of the docs where `FER_KIOSK_PNG` says, then with a minute of history.
#[test]
fn the_demo_appears_on_the_page_as_decided() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let mut running = start(&settings());
    let target = std::env::var_os("FER_KIOSK_PNG");
    browser.prefer("dark");
    browser.visit(&format!("http://{}/", running.address));
    browser.wait_for("document.body.dataset.line === 'open'");
    if target.is_some() {
        for _ in 0..4 {
            show_demo(&mut running.sink, true, FRAMES);
        }
    }
    let label = show_demo(&mut running.sink, target.is_some(), 20);
    browser.wait_for(&format!("{EMOTION} === '{label}'"));
    let picture = browser.screenshot();
    assert!(picture.len() < 100 << 10, "{} bytes", picture.len());
    if let Some(path) = target {
        std::fs::write(fer_tests::skip::root().join(path), picture).unwrap();
    }
}
