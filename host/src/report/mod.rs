//! What a run leaves for people to read: measures, pictures and TensorBoard files.
//!
//! Nothing here trains or loads data; it only reads what the other modules computed.

mod augmented;
mod axes;
mod calibration;
mod canvas;
mod classes;
mod confusion;
mod curves;
mod emoji;
mod errors;
mod face;
mod histogram;
mod metrics;
mod page;
mod picture;
mod pruning;
mod sheet;
mod svg;
mod table;
mod tensorboard;
#[cfg(test)]
mod testing;

pub use augmented::augmentation_sheet;
pub use calibration::calibration_picture;
pub use classes::classes_picture;
pub use confusion::confusion_picture;
pub use curves::{CurvesError, EpochMetrics, curves_picture, read_metrics};
pub use errors::{Mistake, mistakes, mistakes_table};
pub use face::face_picture;
pub use histogram::histogram_picture;
pub use metrics::{ClassScore, ConfidenceBin, ECE_BINS, Evaluation, EvaluationError};
pub use page::Page;
pub use picture::Picture;
pub use pruning::{Cost, CostError, Costs};
pub use sheet::{Row, Sheet, Tile};
pub use svg::{Svg, SvgError};
pub use tensorboard::{EventError, EventWriter};
