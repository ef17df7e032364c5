//! What a run leaves for people to read: measures, pictures and TensorBoard files.
//!
//! Nothing here trains or loads data; it only reads what the other modules computed.

mod axes;
mod canvas;
mod confusion;
mod curves;
mod errors;
mod gray;
mod histogram;
mod metrics;
mod sheet;
mod svg;
mod table;
mod tensorboard;

pub use confusion::confusion_picture;
pub use curves::{CurvesError, EpochMetrics, curves_picture, read_metrics};
pub use errors::{Mistake, mistakes, mistakes_table};
pub use histogram::histogram_picture;
pub use metrics::{ClassScore, ECE_BINS, Evaluation, EvaluationError};
pub use sheet::{Sheet, sheet_picture};
pub use svg::{Svg, SvgError};
pub use tensorboard::{EventError, EventWriter};
