//! From ten votes to a label or a distribution, or to nothing: the rules of FER+ and of its users.

use std::fmt;
use std::str::FromStr;

use fer_models::Labels;

use super::super::{Split, TargetKind};
use super::{COLUMNS, EXPRESSIONS, Votes, VotesError};

/// What is made of an image's votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelMode {
    /// One of FER+'s eight expressions, or several; images without a clear one are dropped.
    Eight(Rule),
    /// FER2013's seven classes and rows, trained towards the votes for them; judging is by FER2013's labels.
    Soft7,
    /// FER2013's seven classes and rows, trained towards its label and, to a lesser part, towards the labels
    /// that such votes usually come with (learnt from Training); judging is by FER2013's labels.
    Mixed7,
}

/// Which of the eight expressions an image shows.
///
/// The first four are FER+'s own. Before each of them a column with a single vote counts as none.
/// They are for training: judging is by majority in all four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The one with more than half of the votes.
    Majority,
    /// One drawn in each epoch from the distribution over the leading ones.
    Probability,
    /// The distribution over the leading ones.
    CrossEntropy,
    /// Any one with at least 30 % of the votes is right.
    MultiTarget,
    /// The most votes, of two that are level the first: the rule of
    /// wtomin/FERPlus-Emotion-Recognition-using-keras, which drops fewer rows. Judging is by it too.
    Plurality,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 5] = [
        Self::Majority,
        Self::Probability,
        Self::CrossEntropy,
        Self::MultiTarget,
        Self::Plurality,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Probability => "probability",
            Self::CrossEntropy => "crossentropy",
            Self::MultiTarget => "multi_target",
            Self::Plurality => "plurality",
        }
    }

    /// The rule by which the images of `split` get their labels: only Training has soft ones.
    #[must_use]
    pub fn on(self, split: Split) -> Self {
        match (self, split) {
            (Self::Plurality, _) | (_, Split::Training) => self,
            _ => Self::Majority,
        }
    }

    /// How a network is trained towards the shares, where the label is not the target.
    pub fn target_kind(self) -> Option<TargetKind> {
        match self {
            Self::Majority | Self::Plurality => None,
            Self::Probability => Some(TargetKind::Drawn),
            Self::CrossEntropy => Some(TargetKind::Distribution),
            Self::MultiTarget => Some(TargetKind::AnyOf),
        }
    }

    /// Shares of the eight expressions, or `None` where the rule drops the image.
    pub fn shares(self, votes: &[u8; COLUMNS]) -> Option<[f32; EXPRESSIONS]> {
        match self {
            Self::Majority => majority(&without_singles(votes)),
            Self::Probability | Self::CrossEntropy => leading(&without_singles(votes)),
            Self::MultiTarget => frequent(&without_singles(votes)),
            Self::Plurality => plurality(votes),
        }
    }
}

impl LabelMode {
    /// Whether Training's images can be judged by the labels they have: not where these are for training only, nor where
    /// all of them together say what each is trained towards.
    pub fn judges_training(self) -> bool {
        match self {
            Self::Eight(rule) => rule.on(Split::PublicTest) == rule,
            Self::Soft7 => true,
            Self::Mixed7 => false,
        }
    }

    /// Every mode: the rules, and FER2013's classes.
    pub const ALL: [Self; 7] = [
        Self::Eight(Rule::Majority),
        Self::Eight(Rule::Probability),
        Self::Eight(Rule::CrossEntropy),
        Self::Eight(Rule::MultiTarget),
        Self::Eight(Rule::Plurality),
        Self::Soft7,
        Self::Mixed7,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eight(rule) => rule.name(),
            Self::Soft7 => "ferplus-soft7",
            Self::Mixed7 => "ferplus-mixed7",
        }
    }
}

impl fmt::Display for LabelMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for LabelMode {
    type Err = VotesError;

    fn from_str(name: &str) -> Result<Self, VotesError> {
        let found = Self::ALL.into_iter().find(|mode| mode.name() == name);
        found.ok_or_else(|| VotesError::Mode { found: name.into() })
    }
}

/// Columns with a single vote set to none: one of ten people was mistaken.
fn without_singles(votes: &[u8; COLUMNS]) -> [u8; COLUMNS] {
    votes.map(|count| if count == 1 { 0 } else { count })
}

fn total(votes: &[u8]) -> u32 {
    votes.iter().map(|&count| u32::from(count)).sum()
}

/// The first column with the most votes.
fn top(votes: &[u8; COLUMNS]) -> usize {
    (1..COLUMNS).fold(0, |best, i| if votes[i] > votes[best] { i } else { best })
}

/// The expressions' votes as shares; `None` where the most votes are for no expression.
fn normalised(votes: &[u8; COLUMNS]) -> Option<[f32; EXPRESSIONS]> {
    let all = total(&votes[..EXPRESSIONS]);
    (top(votes) < EXPRESSIONS && all > 0)
        .then(|| std::array::from_fn(|i| f32::from(votes[i]) / all as f32))
}

fn only(column: usize) -> [u8; COLUMNS] {
    std::array::from_fn(|i| u8::from(i == column))
}

fn majority(votes: &[u8; COLUMNS]) -> Option<[f32; EXPRESSIONS]> {
    let best = top(votes);
    (2 * u32::from(votes[best]) > total(votes))
        .then(|| normalised(&only(best)))
        .flatten()
}

/// Takes columns by falling votes, level ones together, until they have three quarters of the votes or
/// are three; what stands behind "unknown" or "no face" is not taken. Nothing where more than three
/// had to be taken or they have no more than half of the votes.
fn leading(votes: &[u8; COLUMNS]) -> Option<[f32; EXPRESSIONS]> {
    let all = total(votes);
    let mut left = *votes;
    let mut kept = [0; COLUMNS];
    let mut count = 0;
    'levels: while 4 * total(&kept) < 3 * all && count < 3 {
        let level = left[top(&left)];
        for column in 0..COLUMNS {
            if left[column] != level {
                continue;
            }
            let first = count == 0;
            if column < EXPRESSIONS || first {
                kept[column] = level;
                left[column] = 0;
                count += 1;
            }
            if column >= EXPRESSIONS {
                break 'levels;
            }
        }
    }
    (2 * total(&kept) > all && count <= 3)
        .then(|| normalised(&kept))
        .flatten()
}

/// Columns with at least 30 % of the votes; nothing where they have no more than half together.
fn frequent(votes: &[u8; COLUMNS]) -> Option<[f32; EXPRESSIONS]> {
    let all = total(votes);
    let kept = votes.map(|n| if 10 * u32::from(n) >= 3 * all { n } else { 0 });
    (2 * total(&kept) > all)
        .then(|| normalised(&kept))
        .flatten()
}

/// Nothing where unknown or no face is among the columns with the most votes, where three or more are
/// level, or where the level ones have less than half of the votes.
fn plurality(votes: &[u8; COLUMNS]) -> Option<[f32; EXPRESSIONS]> {
    let best = top(votes);
    let most = votes[best];
    let level = votes.iter().filter(|&&count| count == most).count();
    let faceless = votes[EXPRESSIONS..].contains(&most);
    let enough = 2 * level as u32 * u32::from(most) >= total(votes);
    (!faceless && level < 3 && enough)
        .then(|| normalised(&only(best)))
        .flatten()
}

/// Shares of FER2013's seven classes, in its order, of the votes for them; one for `label` where
/// nobody voted for any of the seven.
pub(super) fn shared_shares(votes: &[u8; COLUMNS], label: u8) -> [f32; 7] {
    let (own, theirs) = (Labels::fer2013(), Labels::ferplus());
    let mut shares = [0.0; 7];
    for (name, &count) in theirs.names().iter().zip(votes) {
        if let Some(class) = own.index_of(name) {
            shares[class] = f32::from(count);
        }
    }
    let sum: f32 = shares.iter().sum();
    if sum == 0.0 {
        return std::array::from_fn(|class| f32::from(u8::from(class == usize::from(label))));
    }
    shares.map(|share| share / sum)
}

/// What one rule makes of the rows of one split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Rows.
    pub rows: usize,
    /// Rows with a label, by expression (the one with the largest share, the first of level ones).
    pub kept: [usize; EXPRESSIONS],
}

impl Tally {
    /// Counts the rows of a split under `rule`.
    pub fn count(votes: &Votes, split: Split, rule: Rule) -> Self {
        let mut tally = Self {
            rows: 0,
            kept: [0; EXPRESSIONS],
        };
        for row in votes.of(split) {
            tally.rows += 1;
            if let Some(shares) = rule.shares(&row.votes) {
                tally.kept[fer_models::argmax(&shares)] += 1;
            }
        }
        tally
    }

    /// Rows with a label.
    pub fn total(&self) -> usize {
        self.kept.iter().sum()
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
