//! Data sets: labelled 8-bit grey tiles and the readers that fill them.
//!
//! | source | reader |
//! | --- | --- |
//! | FER2013 CSV, plain or `.gz .xz .zst .zip` | [`fer2013`] |
//! | folders of class folders, any image format | [`folder`] |
//! | CK+48 folders (subject and sequence in the file name) | [`folder`] with [`ck48`] |
//! | JAFFE, `jaffe:DIR`, and KDEF, `kdef:ANGLES:DIR`, by file name | [`named`] |
//! | FER2013 with FER+ votes, `votes:MODE:VOTES:DATA`, or in FER+'s folders, `ferplus:MODE:DIR` | [`votes`] |
//! | drawn faces, `synth:SEED:COUNT` | [`synth`] |
//!
//! [`open`] picks the reader from what it finds, never from a file's suffix. [`folds`] and [`part`]
//! divide a data set, [`store`] writes one, [`duplicates`] finds what two splits share.

pub mod average;
pub mod ck48;
mod compressed;
mod dataset;
pub mod duplicates;
mod error;
pub mod fer2013;
pub mod folder;
pub mod folds;
mod images;
pub mod named;
pub mod part;
mod picture;
pub mod store;
pub mod summary;
pub mod synth;
mod targets;
pub mod votes;

use std::path::Path;

pub use dataset::{Dataset, Item, Split};
pub use error::{DataError, RowError};
pub use fer_models::MAX_TILE;
pub use picture::read_tile;
pub use targets::{ANY_OF_EPSILON, TargetKind, Targets};

/// How a data set is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// Count wrong rows and unreadable images instead of failing on the first one.
    pub skip_bad: bool,
    /// Side of the square tiles in pixels, `1..=`[`MAX_TILE`]; images of another size are resized.
    pub tile: usize,
}

impl Default for LoadOptions {
    /// Fail on the first wrong row; 48×48 tiles, FER2013's size.
    fn default() -> Self {
        Self {
            skip_bad: false,
            tile: fer2013::SIDE,
        }
    }
}

/// What a reader returns: the data set and what the user should hear about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The rows or images that were read.
    pub dataset: Dataset,
    /// Rows or images left out because of [`LoadOptions::skip_bad`].
    pub skipped: usize,
    /// Remarks in plain sentences: a missing column, the first skipped row, ignored files.
    pub notes: Vec<String>,
}

/// Reads the data set at `path`: a CSV file (compressed or not) or a folder of class folders.
///
/// # Errors
/// [`DataError`] names the file, and for a CSV the line, with what was expected and found.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, DataError> {
    check_tile(options)?;
    let kind = std::fs::metadata(path).map_err(|source| DataError::io(path, source))?;
    let loaded = if kind.is_dir() {
        folder::load(path, options)?
    } else {
        fer2013::load(path, options)?
    };
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    Ok(loaded)
}

/// Like [`load`], and also takes `synth:SEED:COUNT` (for example `synth:7:700`): drawn faces,
/// made in memory; `jaffe:DIR` and `kdef:ANGLES:DIR`; `votes:MODE:VOTES:DATA`, FER2013 with the labels
/// that a [`votes::LabelMode`] makes of FER+'s votes, and `ferplus:MODE:DIR`, FER+'s own folders.
///
/// # Errors
/// As [`load`]; an error that names what is wrong with a specification.
pub fn open(spec: &str, options: &LoadOptions) -> Result<Loaded, DataError> {
    check_tile(options)?;
    let loaded = if spec.starts_with(synth::PREFIX) {
        let (seed, count) = synth::parse_spec(spec)?;
        Loaded {
            dataset: synth::dataset(seed, count, options.tile)?,
            skipped: 0,
            notes: Vec::new(),
        }
    } else if spec.starts_with(named::JAFFE) {
        named::load_jaffe(spec, options)?
    } else if spec.starts_with(named::KDEF) {
        named::load_kdef(spec, options)?
    } else if spec.starts_with(votes::PREFIX) {
        votes::load(spec, options)?
    } else if spec.starts_with(votes::FOLDERS) {
        votes::load_folders(spec, options)?
    } else {
        // tells its notes itself
        return load(Path::new(spec), options);
    };
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    Ok(loaded)
}

fn check_tile(options: &LoadOptions) -> Result<(), DataError> {
    if (1..=MAX_TILE).contains(&options.tile) {
        return Ok(());
    }
    Err(DataError::Tile {
        found: options.tile,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_draws_faces_for_a_synth_spec() {
        let loaded = open("synth:7:70", &LoadOptions::default()).unwrap();
        assert_eq!(loaded.dataset.len(), 70);
        let options = LoadOptions {
            tile: 32,
            ..LoadOptions::default()
        };
        assert_eq!(
            open("synth:7:70", &options).unwrap().dataset.image(0).len(),
            32 * 32
        );
    }

    #[test]
    fn a_tile_out_of_range_is_refused() {
        for tile in [0, MAX_TILE + 1] {
            let options = LoadOptions {
                tile,
                ..LoadOptions::default()
            };
            assert!(matches!(
                open("synth:7:70", &options),
                Err(DataError::Tile { .. })
            ));
            assert!(matches!(open("/", &options), Err(DataError::Tile { .. })));
        }
    }

    #[test]
    fn a_missing_path_is_named() {
        let error = open("/no/such/faces.csv", &LoadOptions::default()).unwrap_err();
        assert!(error.to_string().contains("/no/such/faces.csv"), "{error}");
    }
}
