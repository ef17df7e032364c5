//! Image files with what is known about each, read on all cores.

use std::path::{Path, PathBuf};

use fer_models::Labels;
use rayon::prelude::*;

use super::dataset::{Dataset, Item};
use super::error::DataError;
use super::{LoadOptions, Loaded, picture};

/// Images decoded between two merges into the data set; bounds the memory held twice.
const BATCH: usize = 1024;

/// One image file and what its place or name says about it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) item: Item,
}

/// Which part of a picture becomes the tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// All of it, squeezed to a square.
    Whole,
    /// The largest square in the middle.
    CentreSquare,
}

/// Reads the images in their order. `root` names the data set, `notes` is what was remarked so far.
///
/// # Errors
/// An image that does not decode (unless [`LoadOptions::skip_bad`]), or no image at all.
pub(super) fn read_all(
    root: &Path,
    entries: &[Entry],
    labels: Labels,
    cut: Cut,
    options: &LoadOptions,
    mut notes: Vec<String>,
) -> Result<Loaded, DataError> {
    let mut dataset = Dataset::new(labels, options.tile);
    let mut skipped = 0;
    for entries in entries.chunks(BATCH) {
        let tiles: Vec<_> = entries
            .par_iter()
            .map(|entry| picture::read_cut(&entry.path, options.tile, cut))
            .collect();
        for (entry, tile) in entries.iter().zip(tiles) {
            match tile {
                Err(error) if options.skip_bad && error.is_skippable() => {
                    if skipped == 0 {
                        notes.push(format!("first skipped image: {error}"));
                    }
                    skipped += 1;
                }
                tile => dataset.push(&tile?, entry.item.clone())?,
            }
        }
    }
    if dataset.is_empty() {
        return Err(DataError::Empty {
            path: root.to_owned(),
            what: "images",
            skipped,
        });
    }
    Ok(Loaded {
        dataset,
        skipped,
        notes,
    })
}
