//! Whole runs, small ones: stopped and resumed, frozen, ended early, and begun by an older build.

use std::path::Path;

use super::*;
use crate::augment::Augment;
use crate::checkpoint::{Checkpoint, History, Moments};
use crate::data::{Dataset, Item, LoadOptions, Split, open};
use crate::graph::build::{Architecture, build};
use crate::graph::init;
use fer_models::{Crops, Preprocess};

fn faces() -> Dataset {
    open("synth:5:105", &LoadOptions::default())
        .unwrap()
        .dataset
}

fn start(faces: &Dataset) -> Checkpoint {
    let arch = Architecture {
        width: 0.05,
        channels: 1,
        dropout: 0.3,
        ..Architecture::published("vgg11")
    };
    Checkpoint {
        network: init::fresh(build(&arch, 7).unwrap(), 1),
        labels: faces.labels().clone(),
        input: Preprocess::fer2013(1),
        history: History::default(),
    }
}

fn options(epochs: usize) -> TrainOptions {
    TrainOptions {
        epochs,
        batch: 16,
        ..TrainOptions::default()
    }
}

fn begin<'a>(
    folder: &Path,
    faces: &'a Dataset,
    options: TrainOptions,
) -> Result<Trainer<'a>, TrainError> {
    let setup = Setup {
        start: start(faces),
        options,
        teachers: Vec::new(),
        data: "synth:5:105".into(),
    };
    Trainer::start(folder, faces, setup, &Device::Cpu)
}

/// Everything that the next step depends on, without times.
fn ended(folder: &Path) -> (Checkpoint, RunState, Moments) {
    let (checkpoint, mut state, moments) = Checkpoint::load_run(&folder.join(LAST_FILE)).unwrap();
    state.seconds = 0.0;
    state.metrics_bytes = 0;
    (checkpoint, state, moments)
}

#[test]
fn every_rule_and_schedule_goes_on_as_if_it_had_not_been_stopped() {
    let faces = faces();
    let plateau = Schedule::Plateau {
        rate: 1e-2,
        factor: 0.5,
        patience: 0,
        min_rate: 0.0,
        watch: Measure::Accuracy,
        threshold: 0.1,
    };
    let step = Schedule::Step {
        rate: 1e-2,
        factor: 0.5,
        every: 1,
        start: 0,
    };
    let milestones = Schedule::Milestones {
        rate: 1e-2,
        factor: 0.1,
        at: vec![0.5],
    };
    let constant = Schedule::Constant { rate: 1e-3 };
    for (rule, schedule, sharpness) in [
        (RuleName::Sgd, plateau, 0.0),
        (RuleName::Adam, step, 0.0),
        (RuleName::AdamW, milestones, 0.0),
        (RuleName::RAdam, constant, 0.05),
    ] {
        let mut options = options(2);
        options.optimizer = OptimizerOptions {
            ema: 0.9,
            sharpness,
            ..rule.options()
        };
        options.schedule = schedule;
        options.augment = Augment::heavy();
        options.freeze = Freeze::Count(2);
        options.penalty.l1 = 1e-4;
        options.stop = Some(EarlyStop::default());
        options.loss.center = (sharpness == 0.0).then(CenterOptions::default);

        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole");
        let outcome = begin(&whole, &faces, options.clone())
            .unwrap()
            .run(&mut |_| true);
        assert!(outcome.unwrap().finished);
        let parts = folder.path().join("parts");
        let mut trainer = begin(&parts, &faces, options).unwrap();
        let mut sessions = 1;
        loop {
            // two steps, then away
            let mut left = 2;
            let outcome = trainer.run(&mut |_| {
                left -= 1;
                left > 0
            });
            if outcome.unwrap().finished {
                break;
            }
            sessions += 1;
            trainer = Trainer::resume(&parts, &faces, &[], &Device::Cpu).unwrap();
        }
        assert!(sessions > 4, "{sessions}");
        // not assert_eq: nobody wants to read the numbers
        assert!(ended(&parts) == ended(&whole), "{rule:?}");
    }
}

#[test]
fn the_epoch_that_was_asked_for_is_kept() {
    let faces = faces();
    let folder = tempfile::tempdir().unwrap();
    let kept = |keep: Keep| {
        let run = folder.path().join(format!("{keep:?}"));
        let mut options = options(8);
        options.keep = keep;
        // a rate at which the numbers go up and down
        options.schedule = Schedule::Constant { rate: 0.05 };
        let outcome = begin(&run, &faces, options).unwrap().run(&mut |_| true);
        let text = std::fs::read_to_string(run.join(METRICS_FILE)).unwrap();
        let falls = text.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let number = |key: &str| line[key].as_f64().unwrap();
            match keep {
                Keep::Accuracy => -number("validation_accuracy"),
                Keep::Loss => number("validation_loss"),
                Keep::Last => -number("epoch"),
            }
        });
        let falls: Vec<f64> = falls.collect();
        let least = (0..falls.len()).min_by(|&a, &b| falls[a].total_cmp(&falls[b]));
        let epoch = outcome.unwrap().best.unwrap().epoch;
        assert_eq!(least.map(|at| at + 1), Some(epoch), "{keep:?}: {falls:?}");
        let best = Checkpoint::load(&run.join(BEST_FILE)).unwrap();
        let is_last = best.network.weights == ended(&run).0.network.weights;
        assert_eq!(is_last, epoch == falls.len(), "{keep:?}");
        epoch
    };
    let epochs = [Keep::Accuracy, Keep::Loss, Keep::Last].map(kept);
    assert!(
        epochs[0] != epochs[1] && epochs[1] != epochs[2],
        "{epochs:?}"
    );
}

#[test]
fn frozen_layers_keep_every_bit_of_weights_and_statistics() {
    let faces = faces();
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(1);
    // the second convolution, with its statistics, lies behind one that is trained
    options.freeze = Freeze::Layers(vec!["features.4".into(), "features.5".into()]);
    begin(folder.path(), &faces, options)
        .unwrap()
        .run(&mut |_| true)
        .unwrap();
    let before = start(&faces).network.weights;
    let after = ended(folder.path()).0.network.weights;
    for (name, before) in &before {
        let bits =
            |a: &crate::graph::Array| a.data().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let frozen = name.starts_with("features.4.") || name.starts_with("features.5.");
        assert_eq!(bits(before) == bits(&after[name]), frozen, "{name}");
    }
}

#[test]
fn a_run_that_does_not_improve_ends_early_and_stays_ended() {
    let faces = faces();
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(50);
    options.stop = Some(EarlyStop {
        watch: Measure::Loss,
        patience: 0,
    });
    // far too much: the loss soon rises
    options.schedule = Schedule::Constant { rate: 0.5 };
    let outcome = begin(folder.path(), &faces, options)
        .unwrap()
        .run(&mut |_| true)
        .unwrap();
    assert!(outcome.finished && outcome.epochs < 50, "{outcome:?}");
    let mut again = Trainer::resume(folder.path(), &faces, &[], &Device::Cpu).unwrap();
    let mut steps = 0;
    let same = again.run(&mut |_| {
        steps += 1;
        true
    });
    assert_eq!(same.unwrap(), outcome);
    assert_eq!(steps, 0);
}

/// It was written once more behind the last epoch, and whenever the finished run was resumed.
#[test]
fn the_last_checkpoint_of_a_finished_run_is_written_once() {
    let faces = faces();
    let folder = tempfile::tempdir().unwrap();
    let (last, aside) = (folder.path().join(LAST_FILE), folder.path().join("aside"));
    let outcome = begin(folder.path(), &faces, options(1))
        .unwrap()
        .run(&mut |report| {
            if report.epoch_metrics.is_some() {
                std::fs::rename(&last, &aside).unwrap();
            }
            true
        });
    assert!(outcome.unwrap().finished && !last.exists());
    std::fs::rename(&aside, &last).unwrap();
    let mut again = Trainer::resume(folder.path(), &faces, &[], &Device::Cpu).unwrap();
    std::fs::remove_file(&last).unwrap();
    assert!(again.run(&mut |_| true).unwrap().finished && !last.exists());
}

#[test]
fn what_watches_needs_something_to_watch() {
    let drawn = faces();
    let mut few = Dataset::new(drawn.labels().clone(), drawn.tile());
    // too few to hold out any
    for i in 0..14 {
        let item = Item {
            split: Split::Training,
            ..drawn.item(i).clone()
        };
        few.push(drawn.image(i), item).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(1);
    options.stop = Some(EarlyStop::default());
    let error = begin(folder.path(), &few, options).err().unwrap();
    assert!(error.to_string().contains("validate"), "{error}");
    // nothing was written: the folder can be used again
    assert!(!folder.path().join(METRICS_FILE).exists());
}

#[test]
fn a_teacher_that_saw_each_image_once_teaches_unvaried_images_the_same() {
    let faces = faces();
    let trained = |distill_crops| {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(1);
        options.augment = Augment::none();
        options.loss.distill_crops = distill_crops;
        let teacher = start(&faces);
        let setup = Setup {
            start: start(&faces),
            options,
            teachers: vec![(teacher, "teacher".into())],
            data: "synth:5:105".into(),
        };
        let mut trainer = Trainer::start(folder.path(), &faces, setup, &Device::Cpu).unwrap();
        trainer.run(&mut |_| true).unwrap();
        ended(folder.path()).0.network.weights
    };
    let (live, once) = (trained(None), trained(Some(Crops::Center)));
    for (name, live) in &live {
        let pairs = live.data().iter().zip(once[name].data());
        let gap = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(gap < 1e-4, "{name}: {gap}");
    }
    assert_ne!(trained(Some(Crops::Ten)), once);
}

#[test]
fn teachers_say_the_mean_of_what_each_says() {
    let faces = faces();
    let other = {
        let mut other = start(&faces);
        other.network = init::fresh(other.network.graph, 99);
        other
    };
    let trained = |teachers: &[&Checkpoint]| {
        let folder = tempfile::tempdir().unwrap();
        let with_paths = |teacher: &&Checkpoint| ((*teacher).clone(), "teacher".into());
        let setup = Setup {
            start: start(&faces),
            options: options(1),
            teachers: teachers.iter().map(with_paths).collect(),
            data: "synth:5:105".into(),
        };
        let mut trainer = Trainer::start(folder.path(), &faces, setup, &Device::Cpu).unwrap();
        trainer.run(&mut |_| true).unwrap();
        let (checkpoint, state, _) = ended(folder.path());
        assert_eq!(state.teachers.len(), teachers.len());
        checkpoint.network.weights
    };
    let own = start(&faces);
    let [one, two, both] = [
        trained(&[&own]),
        trained(&[&other]),
        trained(&[&own, &other]),
    ];
    assert_eq!(trained(&[&own, &own]), one);
    assert_eq!(trained(&[&other, &own]), both);
    assert!(both != one && both != two);
}

#[test]
fn a_state_names_no_teacher_one_or_more() {
    let state = RunState::start(options(1), "faces".into(), "00".into());
    let mut json = serde_json::to_value(&state).unwrap();
    for (written, read) in [
        (serde_json::json!(null), vec![]),
        (serde_json::json!("a"), vec!["a"]),
        (serde_json::json!(["a", "b"]), vec!["a", "b"]),
    ] {
        json["teacher"] = written;
        let state: RunState = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(state.teachers, read);
    }
    json["teacher"] = serde_json::json!(7);
    assert!(serde_json::from_value::<RunState>(json).is_err());
}

/// The state of a run as builds before the other optimisers wrote it.
#[test]
fn a_state_of_an_older_build_is_read_as_it_was_meant() {
    let text = r#"{"options":{"epochs":60,"batch":128,"seed":1,"precision":"bf16",
        "schedule":{"kind":"one-cycle","rate":0.08,"rise":0.2},
        "optimizer":{"momentum":0.9,"weight_decay":0.0005,"nesterov":true,"clip":{"norm":5.0},
            "sparsity":0.0,"ema":0.999},
        "loss":{"label_smoothing":0.1,"class_weights":false,"distill_share":0.7,"distill_temperature":4.0},
        "augment":{"crop":"random","flip":0.5,"rotate":12.0,"shift":0.0,"scale":0.1,"brightness":0.1,
            "contrast":0.2,"cutout":10,"mixup":0.0}},
        "data":"fer2013.csv.xz","data_sha256":"00","teacher":null,"epoch":21,"batch":7,"step":4732,
        "loss_sum":0,"correct":12,"seen":896,"best":{"accuracy":4604480259023595110,"epoch":20},
        "seconds":1.0,"metrics_bytes":5,"events_bytes":6}"#;
    let state: RunState = serde_json::from_str(text).unwrap();
    let options = &state.options;
    assert_eq!(
        options.optimizer.rule,
        Rule::Sgd {
            momentum: 0.9,
            nesterov: true
        }
    );
    assert_eq!(options.optimizer.clip, Clip::Norm(5.0));
    assert_eq!(options.loss.class_weights, ClassWeights::Even);
    assert_eq!(
        (options.freeze.clone(), options.stop),
        (Freeze::default(), None)
    );
    assert_eq!(options.augment.rotate, 12.0);
    assert_eq!(state.hold_out_seed, None);
    assert!(!options.penalty.is_on() && !state.finished());
    let again = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<RunState>(&again).unwrap(), state);
}

#[test]
fn a_damaged_optimiser_state_is_named() {
    let faces = faces();
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(1);
    options.optimizer = RuleName::Adam.options();
    begin(folder.path(), &faces, options)
        .unwrap()
        .run(&mut |_| false)
        .unwrap();
    let last = folder.path().join(LAST_FILE);
    let (checkpoint, state, mut moments) = Checkpoint::load_run(&last).unwrap();
    moments.second.remove("features.0.weight");
    checkpoint.save_run(&last, &state, &moments).unwrap();
    let error = Trainer::resume(folder.path(), &faces, &[], &Device::Cpu)
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("second/features.0.weight"),
        "{error}"
    );
}

#[test]
fn a_gradient_from_uphill_moves_the_weights_elsewhere_and_the_statistics_alike() {
    let faces = faces();
    let first_step = |sharpness: f32| {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(1);
        options.optimizer.sharpness = sharpness;
        let mut trainer = begin(folder.path(), &faces, options).unwrap();
        let mut loss = 0.0;
        trainer
            .run(&mut |report| {
                loss = report.loss;
                false
            })
            .unwrap();
        (loss, ended(folder.path()).0.network.weights)
    };
    let [(flat, here), (sharp, uphill)] = [0.0, 0.5].map(first_step);
    assert_eq!(flat, sharp, "the loss is that of where the weights are");
    for (name, here) in &here {
        let statistic = name.ends_with("running_mean") || name.ends_with("running_var");
        assert_eq!(here == &uphill[name], statistic, "{name}");
    }
    let mut both = options(1);
    both.optimizer.sharpness = 0.05;
    both.loss.center = Some(CenterOptions::default());
    let error = both.validate().unwrap_err().to_string();
    assert!(error.contains("optimizer.sharpness"), "{error}");
}

/// The step after which nothing was a number took the place of the last good checkpoint.
#[test]
fn numbers_that_overflow_leave_the_last_good_checkpoint() {
    let faces = faces();
    // a step in the middle of an epoch, and its last
    for left in [2, 1] {
        let folder = tempfile::tempdir().unwrap();
        let mut until = |report: &StepReport| report.batch.0 + left < report.batch.1;
        begin(folder.path(), &faces, options(1))
            .unwrap()
            .run(&mut until)
            .unwrap();
        let last = folder.path().join(LAST_FILE);
        let (checkpoint, mut state, mut moments) = Checkpoint::load_run(&last).unwrap();
        state.options.schedule = Schedule::Constant { rate: 100.0 };
        let velocity = moments.velocity.get_mut("classifier.weight").unwrap();
        velocity.data_mut().fill(3e38);
        checkpoint.save_run(&last, &state, &moments).unwrap();
        let before = std::fs::read(&last).unwrap();
        let resumed = Trainer::resume(folder.path(), &faces, &[], &Device::Cpu);
        let error = resumed.unwrap().run(&mut |_| false).unwrap_err();
        let batch = state.batch;
        assert!(
            matches!(error, TrainError::Diverged { batch: at, .. } if at == batch),
            "{error}"
        );
        assert!(std::fs::read(&last).unwrap() == before);
        assert!(!folder.path().join(BEST_FILE).exists());
    }
}

#[test]
fn a_state_that_no_run_can_have_is_named() {
    let faces = faces();
    let folder = tempfile::tempdir().unwrap();
    begin(folder.path(), &faces, options(1))
        .unwrap()
        .run(&mut |_| false)
        .unwrap();
    let last = folder.path().join(LAST_FILE);
    let (checkpoint, state, moments) = Checkpoint::load_run(&last).unwrap();
    for says in ["batch: is 0", "stopped at batch 9999"] {
        let mut state = state.clone();
        match says {
            "batch: is 0" => state.options.batch = 0,
            _ => state.batch = 9999,
        }
        checkpoint.save_run(&last, &state, &moments).unwrap();
        let resumed = Trainer::resume(folder.path(), &faces, &[], &Device::Cpu);
        let error = resumed.err().unwrap().to_string();
        assert!(error.contains(LAST_FILE) && error.contains(says), "{error}");
    }
}

/// The checkpoint was blamed: it had stopped behind the last batch of what is left.
#[test]
fn data_that_shrank_are_to_blame_and_not_the_checkpoint() {
    let faces = faces();
    let folder = tempfile::tempdir().unwrap();
    begin(folder.path(), &faces, options(1))
        .unwrap()
        .run(&mut |report| report.batch.0 + 1 < report.batch.1)
        .unwrap();
    let fewer = open("synth:5:35", &LoadOptions::default()).unwrap().dataset;
    let resumed = Trainer::resume(folder.path(), &fewer, &[], &Device::Cpu);
    let error = resumed.err().unwrap().to_string();
    assert!(error.starts_with("data set: `synth:5:105`"), "{error}");
}

/// A run that dies between its first best network and its state would look like one that is done.
#[test]
fn a_run_is_saved_before_its_first_best_network() {
    let faces = faces();
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = begin(folder.path(), &faces, options(1)).unwrap();
    // no file can take this place
    let best = folder.path().join(BEST_FILE);
    std::fs::create_dir(&best).unwrap();
    assert!(trainer.run(&mut |_| true).is_err());
    std::fs::remove_dir(&best).unwrap();
    let mut again = Trainer::resume(folder.path(), &faces, &[], &Device::Cpu).unwrap();
    assert!(again.run(&mut |_| true).unwrap().finished && best.is_file());
    let metrics = std::fs::read_to_string(folder.path().join(METRICS_FILE));
    assert_eq!(metrics.unwrap().lines().count(), 1);
}

#[test]
fn what_pulls_on_nothing_is_refused() {
    let faces = faces();
    let refused = |options: TrainOptions, says: &str| {
        let folder = tempfile::tempdir().unwrap();
        let error = begin(folder.path(), &faces, options).err().unwrap();
        assert!(error.to_string().contains(says), "{error}");
    };
    let mut on_norm = options(1);
    on_norm.penalty.l1 = 0.1;
    on_norm.penalty.layers = vec!["features.1".into()];
    refused(on_norm, "features.1");
    let graph = build(&Architecture::small("vgg11-imagenet").unwrap(), 7).unwrap();
    let sparse = crate::train::OptimizerOptions {
        sparsity: 1e-4,
        ..options(1).optimizer
    };
    assert!(sparse.check(&graph).is_err());
    assert!(sparse.check(&start(&faces).network.graph).is_ok());
}
