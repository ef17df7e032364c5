//! Time of a picture and faces found, beside fer-models' shrinking and rustface.
//!
//! ```sh
//! cargo run -p fer-faces --example compare -- [PICTURE] [min-face=60] [rounds=40]
//! ```
//!
//! Without a picture, one is drawn with faces of the demo. Rounds take turns.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Both, Picture, Random};
use fer_faces::{Face, Search};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: usize| {
        let value = args
            .iter()
            .find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
        value.map_or(default, |value| value.parse().expect(name))
    };
    let picture = match args.iter().find(|arg| !arg.contains('=')) {
        Some(path) => Picture::read(Path::new(path)),
        None => {
            let faces = common::demo_faces();
            common::scene(&mut Random(3), &faces, (640, 480), &[70, 90, 130, 200])
        }
    };
    let search = Search {
        min_face: number("min-face", 60) as f32,
        ..Search::default()
    };
    let rounds = number("rounds", 40).max(1);

    let Both {
        mut reference,
        mut detector,
    } = Both::new();
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    let (mut their_times, mut our_times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        their_times.push(time(|| reference.detect(&picture, &search, &mut theirs)));
        our_times.push(time(|| detector.detect(picture.view(), &search, &mut ours)));
    }
    println!(
        "{}x{}, faces from {} pixels, {rounds} rounds",
        picture.width, picture.height, search.min_face
    );
    let [their_times, our_times] = [&mut their_times, &mut our_times].map(|times| {
        times.sort();
        [times[0], times[times.len() / 2]]
    });
    println!("           fastest   median  faces");
    print("rustface", their_times, &theirs);
    print("fer-faces", our_times, &ours);
    let ratio = |i: usize| their_times[i].as_secs_f64() / our_times[i].as_secs_f64();
    println!("{:9} {:7.2}x {:7.2}x", "ratio", ratio(0), ratio(1));
    println!("{}", if theirs == ours { "equal" } else { "DIFFERENT" });
}

fn time(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn print(name: &str, times: [Duration; 2], faces: &[Face]) {
    let [fastest, median] = times.map(|time| time.as_secs_f64() * 1e3);
    println!("{name:9} {fastest:5.2} ms {median:5.2} ms  {}", faces.len());
    for Face {
        x,
        y,
        width,
        height,
        score,
    } in faces
    {
        println!("    {x:.1},{y:.1} {width:.1}x{height:.1} score {score:.3}");
    }
}
