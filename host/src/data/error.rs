//! What can be wrong with a data set, always with its subject: file, line, field.

use std::io;
use std::path::{Path, PathBuf};

/// Why a data set could not be read or written. The cause, where there is one, is the error's
/// `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file system said no.
    #[error("{}: cannot be read or written", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A compressed file ends early or does not decode.
    #[error("{}: the {format} data is damaged or cut short after line {line}", path.display())]
    Compressed {
        /// The compressed file.
        path: PathBuf,
        /// `gzip`, `xz`, `zstd` or `zip`.
        format: &'static str,
        /// Last whole line that was read, counted from 1; 0 when there was none.
        line: u64,
        /// What the decoder said.
        source: io::Error,
    },
    /// A zip archive from which no single CSV can be chosen.
    #[error("{}: expected one CSV file (or fer2013.csv, icml_face_data.csv) in the archive, found {found}", path.display())]
    ZipMembers {
        /// The archive.
        path: PathBuf,
        /// The names in the archive, shortened.
        found: String,
    },
    /// The first line lacks a column.
    #[error("{}:1: expected a header with the columns emotion, pixels and (optional) Usage; {missing:?} is missing, found {found:?}", path.display())]
    Header {
        /// The CSV file.
        path: PathBuf,
        /// Name of the missing column.
        missing: &'static str,
        /// The header as found, shortened.
        found: String,
    },
    /// One row is wrong.
    #[error("{}:{line}: {reason}", path.display())]
    Row {
        /// The CSV file.
        path: PathBuf,
        /// Line number, counted from 1 with the header as line 1.
        line: u64,
        /// What is wrong with the row.
        reason: RowError,
    },
    /// A line longer than any row can be: not a FER2013 CSV, or a decompression bomb.
    #[error("{}:{line}: the line is longer than {limit} bytes; expected 2304 pixels a row", path.display())]
    LineTooLong {
        /// The CSV file.
        path: PathBuf,
        /// Line number, counted from 1.
        line: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// More lines than a data set may have.
    #[error("{}: more than {limit} lines", path.display())]
    TooManyLines {
        /// The CSV file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// Nothing usable was found.
    #[error("{}: no usable {what}, {skipped} skipped", path.display())]
    Empty {
        /// File or folder.
        path: PathBuf,
        /// `rows` or `images`.
        what: &'static str,
        /// Number left out by `skip_bad`.
        skipped: usize,
    },
    /// An image does not decode.
    #[error("{}: the image cannot be decoded", path.display())]
    Image {
        /// The image file.
        path: PathBuf,
        /// What the decoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A folder holds split folders and other folders side by side.
    #[error("{}: expected class folders or split folders (train, valid, test), found both: {split:?} and {class:?}", path.display())]
    MixedLayout {
        /// The data set's root.
        path: PathBuf,
        /// A folder named like a split.
        split: String,
        /// A folder named like a class.
        class: String,
    },
    /// The class names do not make a label set.
    #[error("{}: the class folders do not make a label set: {reason}", path.display())]
    Labels {
        /// The data set's root.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A tile side out of range.
    #[error(
        "tile: expected a side of 1 to {} pixels, found {found}",
        super::MAX_TILE
    )]
    Tile {
        /// The side asked for.
        found: usize,
    },
    /// An image pushed into a data set has another size than its tiles.
    #[error("image: expected {expected} pixels, found {found}")]
    ImageSize {
        /// `tile * tile`.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A label index that the label set does not have.
    #[error("label: expected 0 to {}, found {found}", classes.saturating_sub(1))]
    Label {
        /// Number of classes.
        classes: usize,
        /// The label given.
        found: u8,
    },
    /// Soft targets that are not one distribution an image.
    #[error("soft targets: {problem}")]
    Targets {
        /// What was expected and found.
        problem: String,
    },
    /// FER+ votes that cannot be read or joined.
    #[error(transparent)]
    Votes(#[from] super::votes::VotesError),
    /// Image files whose names do not say what they show.
    #[error("{}: {problem}", path.display())]
    FileName {
        /// The folder or the file.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
    },
    /// A `synth:` specification that does not parse.
    #[error(
        "{spec:?}: expected synth:SEED:COUNT with COUNT from {} to {}, for example synth:7:700",
        super::synth::MIN_COUNT,
        super::synth::MAX_COUNT
    )]
    SynthSpec {
        /// The specification as given.
        spec: String,
    },
    /// A data set that the FER2013 CSV cannot hold.
    #[error("{}: a FER2013 CSV holds 48x48 tiles with the seven FER2013 labels, found {found}", path.display())]
    NotFer2013 {
        /// The file that was to be written.
        path: PathBuf,
        /// Tile size and labels found.
        found: String,
    },
    /// A folder that should be new holds something.
    #[error("{}: expected a new or empty folder", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// Too few faces to average without showing a person.
    #[error(
        "class {class:?}: expected at least {limit} faces to average (an average of fewer could show a person), found {found}"
    )]
    TooFewFaces {
        /// The class.
        class: String,
        /// The limit.
        limit: usize,
        /// Faces of the class in the split.
        found: usize,
    },
}

impl DataError {
    /// An I/O error with the path it happened on.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// True for errors about a single row or image, which `skip_bad` may count instead.
    pub(super) fn is_skippable(&self) -> bool {
        matches!(self, Self::Row { .. } | Self::Image { .. })
    }
}

/// What is wrong with one CSV row. `found` is a shortened copy of the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// Not as many fields as the header has.
    #[error("expected {expected} fields, found {found}")]
    FieldCount {
        /// Fields in the header.
        expected: usize,
        /// Fields in the row.
        found: usize,
    },
    /// The label is not a whole number.
    #[error("emotion: expected an integer from 0 to 6, found {found:?}")]
    LabelSyntax {
        /// The field.
        found: String,
    },
    /// The label is a whole number without a class.
    #[error("emotion: expected a label from 0 to 6, found {found}")]
    LabelRange {
        /// The label.
        found: i64,
    },
    /// Too few or too many pixels.
    #[error("pixels: expected {expected} values, found {found}")]
    PixelCount {
        /// 48 × 48.
        expected: usize,
        /// Values in the row.
        found: usize,
    },
    /// A pixel that is not 0 to 255.
    #[error("pixels: expected an integer from 0 to 255 at position {index}, found {found:?}")]
    Pixel {
        /// Position in the row, counted from 0.
        index: usize,
        /// The value.
        found: String,
    },
    /// A split that FER2013 does not have.
    #[error("Usage: expected Training, PublicTest or PrivateTest, found {found:?}")]
    Usage {
        /// The field.
        found: String,
    },
}

/// A printable copy of at most 40 characters of a field, for messages.
pub(super) fn excerpt(field: &[u8]) -> String {
    const LIMIT: usize = 40;
    let text = String::from_utf8_lossy(&field[..field.len().min(4 * LIMIT)]);
    let mut short: String = text.chars().take(LIMIT).collect();
    if short.len() < field.len() && text.chars().count() > LIMIT {
        short.push('…');
    }
    short
}
