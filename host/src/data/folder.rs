//! Folders of class folders: `<root>/<class>/*` or `<root>/<split>/<class>/*`, images of any
//! format and size. CK+48 is the first layout with names that carry person and recording.
//!
//! The order is fixed: by split, then label, then file name. Names that begin with a dot are
//! ignored; other files that are no image by suffix are ignored and counted in a note.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fer_models::Labels;
use image::ImageFormat;

use super::dataset::{Item, Split};
use super::error::DataError;
use super::images::{Cut, Entry, read_all};
use super::{LoadOptions, Loaded, ck48};

/// One class folder.
struct ClassFolder {
    split: Split,
    name: String,
    path: PathBuf,
}

/// Reads a folder of class folders. Without split folders every image is Training. The class
/// names choose the label set: FER2013's where every name is one of its names or a synonym,
/// CK+'s where there is a contempt but no neutral, FER+'s where there are both, otherwise the
/// names in alphabetical order.
///
/// # Errors
/// A folder that cannot be listed, a layout with splits and classes side by side, an image that
/// does not decode (unless [`LoadOptions::skip_bad`]), or no image at all.
pub fn load(root: &Path, options: &LoadOptions) -> Result<Loaded, DataError> {
    let folders = class_folders(root)?;
    let labels = choose_labels(root, &folders)?;
    let mut notes = Vec::new();
    let entries = entries(root, &folders, &labels, &mut notes)?;
    read_all(root, &entries, labels, Cut::Whole, options, notes)
}

/// The image files of a folder of class folders, in the order in which [`load`] reads them.
///
/// # Errors
/// As [`load`], but for what is inside the images.
pub fn files(root: &Path) -> Result<Vec<PathBuf>, DataError> {
    let folders = class_folders(root)?;
    let labels = choose_labels(root, &folders)?;
    let entries = entries(root, &folders, &labels, &mut Vec::new())?;
    Ok(entries.into_iter().map(|entry| entry.path).collect())
}

/// Visible entries of a folder with their names, sorted by name.
pub(super) fn list(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let io = |source| DataError::io(folder, source);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    Ok(list(folder)?
        .into_iter()
        .filter(|(_, path)| path.is_dir())
        .collect())
}

fn class_folders(root: &Path) -> Result<Vec<ClassFolder>, DataError> {
    let top = folders(root)?;
    let is_split = |(name, _): &&(String, PathBuf)| Split::from_folder(name).is_some();
    let class = |split: Split| move |(name, path)| ClassFolder { split, name, path };
    match (
        top.iter().find(is_split),
        top.iter().find(|entry| !is_split(entry)),
    ) {
        (None, _) => Ok(top.into_iter().map(class(Split::Training)).collect()),
        (Some((split, _)), Some((other, _))) => Err(DataError::MixedLayout {
            path: root.to_owned(),
            split: split.clone(),
            class: other.clone(),
        }),
        (Some(_), None) => {
            let mut all = Vec::new();
            for (name, path) in &top {
                let split = Split::from_folder(name).unwrap_or(Split::Training);
                all.extend(folders(path)?.into_iter().map(class(split)));
            }
            Ok(all)
        }
    }
}

fn choose_labels(root: &Path, folders: &[ClassFolder]) -> Result<Labels, DataError> {
    let names: BTreeSet<String> = folders
        .iter()
        .map(|folder| folder.name.to_lowercase())
        .collect();
    if names.is_empty() {
        let reason = "there is no class folder".to_owned();
        return Err(DataError::Labels {
            path: root.to_owned(),
            reason,
        });
    }
    [Labels::fer2013(), Labels::ckplus(), Labels::ferplus()]
        .into_iter()
        .find(|known| names.iter().all(|name| known.index_of(name).is_some()))
        .map_or_else(|| Labels::new(names.into_iter().collect()), Ok)
        .map_err(|error| DataError::Labels {
            path: root.to_owned(),
            reason: error.to_string(),
        })
}

fn entries(
    root: &Path,
    folders: &[ClassFolder],
    labels: &Labels,
    notes: &mut Vec<String>,
) -> Result<Vec<Entry>, DataError> {
    let mut all = Vec::new();
    let mut ignored = 0;
    for folder in folders {
        let name = folder.name.to_lowercase();
        let label = labels
            .index_of(&name)
            .and_then(|label| u8::try_from(label).ok());
        let label = label.ok_or_else(|| DataError::Labels {
            path: root.to_owned(),
            reason: format!("{name:?} is in no label set"),
        })?;
        for (_, path) in list(&folder.path)? {
            if path.is_file() && ImageFormat::from_path(&path).is_ok() {
                let item = Item {
                    label,
                    split: folder.split,
                    subject: None,
                    sequence: None,
                };
                all.push(Entry { path, item });
            } else {
                ignored += 1;
            }
        }
    }
    if ignored > 0 {
        notes.push(format!(
            "{}: {ignored} entries that are no image ignored",
            root.display()
        ));
    }
    all.sort_by(|a, b| {
        (a.item.split, a.item.label, &a.path).cmp(&(b.item.split, b.item.label, &b.path))
    });
    if let Some(recordings) = recordings(&all) {
        for (entry, recording) in all.iter_mut().zip(recordings) {
            entry.item.subject = Some(recording.subject);
            entry.item.sequence = Some(recording.sequence);
        }
    }
    Ok(all)
}

/// Person and recording of every entry, where every name follows CK+48's pattern.
fn recordings(entries: &[Entry]) -> Option<Vec<ck48::Recording>> {
    entries
        .iter()
        .map(|entry| ck48::parse_name(entry.path.file_stem()?.to_str()?))
        .collect()
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
