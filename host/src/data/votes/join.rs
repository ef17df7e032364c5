//! FER2013's images with FER+'s labels.

use std::path::Path;

use fer_models::{Labels, argmax};

use super::super::{
    DataError, Dataset, Item, LoadOptions, Loaded, Split, TargetKind, Targets, open,
};
use super::posterior::Posterior;
use super::{LabelMode, PREFIX, Row, Rule, Votes, VotesError, shared_shares};

/// Below this share of images whose label in FER2013 is FER+'s majority, the rows are most likely not
/// in the same order. On FER2013 itself two thirds agree.
const LEAST_AGREEMENT: f64 = 0.35;

/// The share of the votes in a [`LabelMode::Mixed7`] target. Votes know what the label's noise hides, and lack what the
/// label alone tells: they name the label of fewer images than a network does. Each gets half.
const VOTES_SHARE: f32 = 0.5;

/// What [`parse_spec`] reads, written: `votes:MODE:VOTES:DATA`.
pub fn spec(mode: LabelMode, votes: &Path, data: &str) -> String {
    format!("{PREFIX}{mode}:{}:{data}", votes.display())
}

/// The mode, the votes file and the images of a `votes:MODE:VOTES:DATA`.
///
/// # Errors
/// When it has fewer parts, or the mode is none.
pub fn parse_spec(text: &str) -> Result<(LabelMode, &Path, &str), VotesError> {
    let parts = text.strip_prefix(PREFIX).and_then(|rest| {
        let (mode, rest) = rest.split_once(':')?;
        let (votes, data) = rest.split_once(':')?;
        (!votes.is_empty() && !data.is_empty()).then_some((mode, Path::new(votes), data))
    });
    let (mode, votes, data) = parts.ok_or_else(|| VotesError::Spec { found: text.into() })?;
    Ok((mode.parse()?, votes, data))
}

/// Reads the images and the votes that a `votes:MODE:VOTES:DATA` names, and joins them.
///
/// # Errors
/// As [`open`], [`Votes::load`] and [`join`]; [`VotesError::Skipped`] where rows had to be skipped.
pub fn load(text: &str, options: &LoadOptions) -> Result<Loaded, DataError> {
    let (mode, path, data) = parse_spec(text)?;
    let votes = Votes::load(path)?;
    let loaded = open(data, options)?;
    if loaded.skipped > 0 {
        let skipped = loaded.skipped;
        return Err(VotesError::Skipped { skipped }.into());
    }
    let mut notes = Vec::new();
    let agreement = agreement(&loaded.dataset, &votes);
    if agreement < LEAST_AGREEMENT {
        notes.push(format!(
            "only {:.0} % of FER+'s majority labels are FER2013's: are {data} and {} in the same order?",
            100.0 * agreement,
            path.display()
        ));
    }
    let dataset = join(&loaded.dataset, &votes, mode)?;
    for split in Split::ALL {
        let rows = loaded.dataset.indices(split).len();
        if rows > 0 {
            tracing::info!(
                "FER+ {mode}, {split}: {} of {rows} images kept",
                dataset.indices(split).len()
            );
        }
    }
    Ok(Loaded {
        dataset,
        skipped: 0,
        notes,
    })
}

/// FER2013's images, in their order, with the labels that `mode` makes of their votes. Images that it
/// drops are left out. A split that the images lack may be missing; the n-th row of a split in the
/// votes belongs to its n-th image.
///
/// # Errors
/// [`VotesError::Images`] and [`VotesError::Rows`] where they do not belong together.
pub fn join(images: &Dataset, votes: &Votes, mode: LabelMode) -> Result<Dataset, DataError> {
    let pairs = pair(images, votes)?;
    let labels = match mode {
        LabelMode::Eight(_) => Labels::ferplus(),
        LabelMode::Soft7 | LabelMode::Mixed7 => Labels::fer2013(),
    };
    let posterior = (mode == LabelMode::Mixed7).then(|| posterior(images, &pairs));
    let mut joined = Dataset::new(labels, images.tile());
    let mut rows = Vec::new();
    for (index, row) in pairs {
        let item = images.item(index);
        let (label, shares) = match mode {
            LabelMode::Soft7 | LabelMode::Mixed7 => {
                let shares = match &posterior {
                    Some(posterior) => mixed(item.label, posterior.of(&row.votes)),
                    None => shared_shares(&row.votes, item.label),
                };
                (item.label, soft_or_hard(item, &shares))
            }
            LabelMode::Eight(rule) => {
                let Some(shares) = rule.on(item.split).shares(&row.votes) else {
                    continue;
                };
                (argmax(&shares) as u8, shares.to_vec())
            }
        };
        let item = Item {
            label,
            ..item.clone()
        };
        joined.push(images.image(index), item)?;
        rows.extend(shares);
    }
    let kind = match mode {
        LabelMode::Eight(rule) => rule.target_kind(),
        LabelMode::Soft7 | LabelMode::Mixed7 => Some(TargetKind::Distribution),
    };
    if let Some(kind) = kind {
        joined.set_targets(Targets::new(kind, rows))?;
    }
    Ok(joined)
}

/// Which labels votes come with, from the Training images.
fn posterior(images: &Dataset, pairs: &[(usize, &Row)]) -> Posterior {
    let labelled = pairs.iter().map(|&(index, row)| (images.item(index), row));
    let training = labelled.filter(|(item, _)| item.split == Split::Training);
    Posterior::fit(training.map(|(item, row)| (item.label, &row.votes)))
}

/// The label, and beside it [`VOTES_SHARE`] of `shares`.
fn mixed(label: u8, mut shares: [f32; 7]) -> [f32; 7] {
    for share in &mut shares {
        *share *= VOTES_SHARE;
    }
    shares[usize::from(label)] += 1.0 - VOTES_SHARE;
    shares
}

/// The shares for training, the label alone elsewhere.
fn soft_or_hard(item: &Item, shares: &[f32]) -> Vec<f32> {
    if item.split == Split::Training {
        return shares.to_vec();
    }
    let label = usize::from(item.label);
    let hard = (0..shares.len()).map(|class| f32::from(u8::from(class == label)));
    hard.collect()
}

/// Each image with its row of votes, in the images' order.
///
/// # Errors
/// As [`join`].
pub(in super::super) fn pair<'a>(
    images: &Dataset,
    votes: &'a Votes,
) -> Result<Vec<(usize, &'a Row)>, VotesError> {
    if images.labels() != &Labels::fer2013() {
        let found = images.labels().names().join(" ");
        return Err(VotesError::Images { found });
    }
    let mut pairs = Vec::with_capacity(images.len());
    for split in Split::ALL {
        let indices = images.indices(split);
        let rows = votes.of(split).count();
        if !indices.is_empty() && indices.len() != rows {
            return Err(VotesError::Rows {
                path: votes.path.clone(),
                split,
                votes: rows,
                images: indices.len(),
            });
        }
        pairs.extend(indices.into_iter().zip(votes.of(split)));
    }
    pairs.sort_unstable_by_key(|&(index, _)| index);
    Ok(pairs)
}

/// Of the images with a majority that FER2013 knows too, the share that has it as its label; 1 where
/// nothing can be compared.
fn agreement(images: &Dataset, votes: &Votes) -> f64 {
    let (own, theirs) = (Labels::fer2013(), Labels::ferplus());
    let (mut same, mut all) = (0u32, 0u32);
    for (index, row) in pair(images, votes).unwrap_or_default() {
        let shares = Rule::Majority.shares(&row.votes);
        let class = shares.and_then(|shares| own.index_of(&theirs.names()[argmax(&shares)]));
        if let Some(class) = class {
            all += 1;
            same += u32::from(class == usize::from(images.item(index).label));
        }
    }
    if all == 0 {
        1.0
    } else {
        f64::from(same) / f64::from(all)
    }
}

#[cfg(test)]
#[path = "join_tests.rs"]
mod tests;
