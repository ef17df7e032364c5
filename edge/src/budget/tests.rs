use super::*;

/// A machine whose load and warmth follow the frames that were looked at.
struct Machine {
    cpu: Duration,
    per_frame: Duration,
    celsius: Option<f32>,
}

impl Gauges for &std::cell::RefCell<Machine> {
    fn cpu_time(&mut self) -> Option<Duration> {
        Some(self.borrow().cpu)
    }

    fn celsius(&mut self) -> Option<f32> {
        self.borrow().celsius
    }
}

fn machine(per_frame_ms: u64) -> std::cell::RefCell<Machine> {
    Machine {
        cpu: Duration::ZERO,
        per_frame: Duration::from_millis(per_frame_ms),
        celsius: None,
    }
    .into()
}

/// 30 frames a second, fewer from 70 °C on.
const THIRTY_UNTIL_HOT: Settings = Settings {
    max_fps: Some(30.0),
    max_cpu_percent: None,
    max_celsius: Some(70.0),
};

/// Frames looked at in each second of a 30 fps camera.
fn play(
    budget: &mut Budget<&std::cell::RefCell<Machine>>,
    machine: &std::cell::RefCell<Machine>,
    seconds: std::ops::Range<u64>,
) -> Vec<u32> {
    seconds
        .map(|second| {
            (0..30)
                .filter(|i| {
                    let admitted =
                        budget.admit(Duration::from_micros(second * 1_000_000 + i * 33_333));
                    if admitted {
                        let mut machine = machine.borrow_mut();
                        let used = machine.per_frame;
                        machine.cpu += used;
                    }
                    admitted
                })
                .count() as u32
        })
        .collect()
}

#[test]
fn without_limits_every_frame_is_looked_at() {
    let machine = machine(100);
    let mut budget = Budget::new(Settings::default(), &machine);
    assert_eq!(play(&mut budget, &machine, 0..5), [30; 5]);
}

#[test]
fn a_rate_limit_is_kept_on_average() {
    for limit in [1.0, 7.0, 10.0, 20.0, 25.0] {
        let machine = machine(1);
        let settings = Settings {
            max_fps: Some(limit),
            ..Settings::default()
        };
        let mut budget = Budget::new(settings, &machine);
        let sum: u32 = play(&mut budget, &machine, 0..10).iter().sum();
        assert!((sum as f32 - 10.0 * limit).abs() <= 2.0, "{limit}: {sum}");
    }
}

#[test]
fn load_comes_into_the_budget_and_uses_it() {
    // 30 frames of 20 ms are 60 % of a core; 30 % are 15 frames a second.
    let machine = machine(20);
    let settings = Settings {
        max_cpu_percent: Some(30.0),
        ..Settings::default()
    };
    let mut budget = Budget::new(settings, &machine);
    let rates = play(&mut budget, &machine, 0..40);
    assert_eq!(rates[0], 30);
    let settled = &rates[10..];
    let mean = settled.iter().sum::<u32>() as f32 / settled.len() as f32;
    assert!((12.0..=15.5).contains(&mean), "{rates:?}");

    machine.borrow_mut().per_frame = Duration::from_millis(2);
    let rates = play(&mut budget, &machine, 40..70);
    assert_eq!(rates.last(), Some(&30), "{rates:?}");
}

#[test]
fn heat_slows_down_step_by_step_and_cold_speeds_up() {
    let machine = machine(1);
    let mut budget = Budget::new(THIRTY_UNTIL_HOT, &machine);
    machine.borrow_mut().celsius = Some(75.0);
    let hot = play(&mut budget, &machine, 0..60);
    assert!(hot.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{hot:?}");
    assert_eq!(hot.last(), Some(&1));

    machine.borrow_mut().celsius = Some(68.0);
    let warm = play(&mut budget, &machine, 60..70);
    assert!(warm.iter().all(|fps| *fps <= 2), "{warm:?}");

    machine.borrow_mut().celsius = Some(60.0);
    let cool = play(&mut budget, &machine, 70..160);
    assert!(cool.last() >= Some(&29), "{cool:?}");
}

#[test]
fn heat_slows_a_camera_down_though_it_is_slower_than_what_is_allowed() {
    let machine = machine(1);
    let settings = Settings {
        max_celsius: Some(70.0),
        ..Settings::default()
    };
    let mut budget = Budget::new(settings, &machine);
    machine.borrow_mut().celsius = Some(75.0);
    let hot = play(&mut budget, &machine, 0..8);
    assert_eq!(hot[0], 30);
    assert!(hot[5] < 25, "{hot:?}");
}

#[test]
fn other_limits_do_not_undo_what_heat_has_done() {
    let machine = machine(1);
    let mut budget = Budget::new(THIRTY_UNTIL_HOT, &machine);
    machine.borrow_mut().celsius = Some(75.0);
    play(&mut budget, &machine, 0..20);
    let slowed = budget.fps();
    assert!(slowed < 10.0, "{slowed}");
    budget.set(THIRTY_UNTIL_HOT);
    assert_eq!(budget.fps(), slowed);
    let max_fps = Some(2.0);
    budget.set(Settings {
        max_fps,
        ..THIRTY_UNTIL_HOT
    });
    assert_eq!(budget.fps(), 2.0);
    budget.set(Settings {
        max_celsius: None,
        ..THIRTY_UNTIL_HOT
    });
    assert_eq!(budget.fps(), 30.0, "nothing would ever raise it again");
}

#[test]
fn a_machine_without_gauges_keeps_the_rate() {
    struct Blind;
    impl Gauges for Blind {
        fn cpu_time(&mut self) -> Option<Duration> {
            None
        }
        fn celsius(&mut self) -> Option<f32> {
            None
        }
    }
    let settings = Settings {
        max_cpu_percent: Some(1.0),
        max_celsius: Some(1.0),
        max_fps: None,
    };
    let mut budget = Budget::new(settings, Blind);
    assert!((0..100).all(|i| budget.admit(Duration::from_millis(i * 33))));
}
