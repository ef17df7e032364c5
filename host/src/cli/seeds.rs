//! `fer-tools train --seeds 1,2,3`: one training with several seeds.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use fer_tools::checkpoint::Checkpoint;
use fer_tools::train::{BEST_FILE, LAST_FILE, Outcome, Seeds};

use super::exit::Usage;

/// The seeds that `--seeds` or `--repeat` ask for; `None` where neither is given.
pub(super) fn asked(seeds: &[u64], repeat: Option<u16>, first: u64) -> Result<Option<Vec<u64>>> {
    let mut sorted = seeds.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < seeds.len() {
        return Err(Usage("--seeds: a seed stands there twice".into()).into());
    }
    Ok(match repeat {
        Some(n) => Some((0..u64::from(n)).map(|i| first.wrapping_add(i)).collect()),
        None if seeds.is_empty() => None,
        None => Some(seeds.to_vec()),
    })
}

/// Starts, goes on with or skips the run of each seed, and prints what they came to.
///
/// `plan` is what a folder that is gone on with must agree in. `start(seed, folder)` and
/// `resume(folder)` do one run to its end.
pub(super) fn run(
    out: &Path,
    plan: serde_json::Value,
    seeds: &[u64],
    mut start: impl FnMut(u64, &Path) -> Result<Outcome>,
    mut resume: impl FnMut(&Path) -> Result<Outcome>,
) -> Result<()> {
    let mut all = Seeds::open(out, plan, seeds)?;
    all.save(out)?;
    for i in 0..all.runs.len() {
        let run = &all.runs[i];
        let (seed, folder) = (run.seed, out.join(&run.folder));
        // the state, large and of no more use, may have been deleted
        if run.finished && folder.join(BEST_FILE).exists() {
            tracing::info!("seed {seed}: done before");
            continue;
        }
        let last = folder.join(LAST_FILE);
        let outcome = if last.exists() {
            let (_, state, _) = Checkpoint::load_run(&last)?;
            if state.finished() {
                tracing::info!("seed {seed}: done before");
                Outcome {
                    finished: true,
                    epochs: state.epoch,
                    best: state.best,
                }
            } else {
                tracing::info!("seed {seed}: going on");
                resume(&folder)?
            }
        } else {
            tracing::info!("seed {seed}: starting");
            start(seed, &folder)?
        };
        let run = &mut all.runs[i];
        run.finished = outcome.finished;
        run.epochs = outcome.epochs;
        run.best_epoch = outcome.best.map(|best| best.epoch);
        run.validation_accuracy = outcome.best.map(|best| best.accuracy);
        all.save(out)?;
    }
    write!(std::io::stdout().lock(), "{}", all.table())?;
    Ok(())
}
