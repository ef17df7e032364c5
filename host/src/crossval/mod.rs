//! Cross-validation: one network a fold, each judged on images that had no say in it.
//!
//! A [`Plan`] says everything that decides the outcome and stands in `crossval.json` of the folder.
//! Each fold has a run folder of its own and leaves a [`FoldResult`]; a fold that was interrupted goes
//! on where it was, one that is done is not trained again. Folds may be trained in one folder or in
//! several, on as many machines, and [`merge`] puts them together: what is merged must follow the same
//! plan. The test fold never chooses anything: the network is that of the last epoch, or of the best
//! on a validation part of the training folds.

mod error;
mod fold;
mod plan;
mod summary;

pub use error::CrossvalError;
pub use fold::{FoldResult, Work};
pub use plan::{Plan, merge};
pub use summary::{FoldScore, Summary};
