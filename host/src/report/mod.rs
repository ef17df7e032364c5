//! What a run leaves for people to read: measures, pictures and TensorBoard files.
//!
//! Nothing here trains or loads data; it only reads what the other modules computed.

mod axes;
mod canvas;
mod confusion;
mod curves;
mod errors;
mod metrics;
mod picture;
mod sheet;
mod svg;
mod table;
mod tensorboard;

pub use confusion::confusion_picture;
pub use curves::{CurvesError, EpochMetrics, curves_picture, read_metrics};
pub use errors::{Mistake, mistakes, mistakes_table};
pub use metrics::{ClassScore, ECE_BINS, Evaluation, EvaluationError};
pub use picture::Picture;
pub use sheet::{Row, Sheet, Tile};
pub use svg::{Svg, SvgError};
pub use tensorboard::{EventError, EventWriter};
