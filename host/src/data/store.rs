//! Data sets on disk: folders of class folders that [`folder`](super::folder) reads, and the layout of
//! FER+'s own program.

use std::io::Cursor;
use std::path::Path;

use fer_models::write_atomic;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use super::dataset::{Dataset, Item, Split};
use super::error::DataError;
use super::votes::{LABEL_FILE, Votes, folder_of};

/// The folder of a split, as [`Split::from_folder`] reads it.
fn split_folder(split: Split) -> &'static str {
    match split {
        Split::Training => "train",
        Split::PublicTest => "valid",
        Split::PrivateTest => "test",
    }
}

/// Writes every image as `<root>/<train|valid|test>/<class>/<name>.png`, 8-bit grey. Where person and
/// recording are known as in CK+48, the name is CK+48's, so that they can be read again; otherwise it is
/// the image's number in the data set. Returns the number of files.
///
/// # Errors
/// [`DataError::Occupied`] where `root` holds something already; [`DataError::Io`] names the file that
/// could not be written.
pub fn write_folders(root: &Path, dataset: &Dataset) -> Result<usize, DataError> {
    let names = dataset.labels().names();
    make_empty(root)?;
    // a class without an image keeps its folder, so that the same classes are read again
    for split in Split::ALL {
        if dataset.items().iter().any(|item| item.split == split) {
            for class in names {
                make(&root.join(split_folder(split)).join(class))?;
            }
        }
    }
    for (index, item) in dataset.items().iter().enumerate() {
        let class = &names[usize::from(item.label)];
        let folder = root.join(split_folder(item.split)).join(class);
        let path = folder.join(format!("{}.png", name_of(index, item)));
        write_png(&path, dataset.image(index), dataset.tile())?;
    }
    Ok(dataset.len())
}

/// Writes FER2013 as FER+'s program lays it out: `FER2013Train`, `FER2013Valid` and `FER2013Test` with
/// a PNG for each image that FER+ names, and in each a `label.csv` of name, box and votes. Returns the
/// number of pictures by split.
///
/// # Errors
/// As [`write_folders`]; where images and votes do not belong together.
pub fn write_ferplus(
    root: &Path,
    dataset: &Dataset,
    votes: &Votes,
) -> Result<[(Split, usize); 3], DataError> {
    let pairs = super::votes::pair(dataset, votes)?;
    make_empty(root)?;
    let mut written = Split::ALL.map(|split| (split, 0));
    for (split, count) in &mut written {
        let folder = root.join(folder_of(*split));
        let side = dataset.tile();
        let mut table = String::new();
        for &(index, row) in pairs.iter().filter(|(_, row)| row.split == *split) {
            // the images that show no face have no name
            if row.name.is_empty() {
                continue;
            }
            if Path::new(&row.name)
                .file_name()
                .is_none_or(|f| *f != *row.name)
            {
                return Err(DataError::FileName {
                    path: votes.path.clone(),
                    problem: format!("expected a plain file name, found {:?}", row.name),
                });
            }
            make(&folder)?;
            write_png(&folder.join(&row.name), dataset.image(index), side)?;
            let counts = row.votes.map(|count| count.to_string()).join(",");
            table += &format!("{},\"(0, 0, {side}, {side})\",{counts}\n", row.name);
            *count += 1;
        }
        if *count > 0 {
            let path = folder.join(LABEL_FILE);
            write_atomic(&path, |out| out.write_all(table.as_bytes()))
                .map_err(|source| DataError::io(&path, source))?;
        }
    }
    Ok(written)
}

fn name_of(index: usize, item: &Item) -> String {
    match (&item.subject, &item.sequence) {
        (Some(subject), Some(sequence)) => {
            let name = format!("{subject}_{sequence}_{index:08}");
            match super::ck48::parse_name(&name) {
                Some(_) => name,
                None => format!("{subject}-{sequence}-{index:05}"),
            }
        }
        _ => format!("{index:05}"),
    }
}

/// Makes the folder; it must hold nothing, so that no older image is taken for one of the new ones.
fn make_empty(folder: &Path) -> Result<(), DataError> {
    make(folder)?;
    let mut found = std::fs::read_dir(folder).map_err(|source| DataError::io(folder, source))?;
    match found.next() {
        None => Ok(()),
        Some(_) => Err(DataError::Occupied {
            path: folder.to_owned(),
        }),
    }
}

fn make(folder: &Path) -> Result<(), DataError> {
    std::fs::create_dir_all(folder).map_err(|source| DataError::io(folder, source))
}

/// Writes `side`×`side` grey bytes as PNG. Not flushed to the disk one by one: there are ten thousands,
/// and a set that was cut short is written again from the start.
fn write_png(path: &Path, pixels: &[u8], side: usize) -> Result<(), DataError> {
    let mut png = Cursor::new(Vec::new());
    PngEncoder::new(&mut png)
        .write_image(pixels, side as u32, side as u32, ExtendedColorType::L8)
        .map_err(|error| DataError::Image {
            path: path.to_owned(),
            source: error.into(),
        })?;
    std::fs::write(path, png.into_inner()).map_err(|source| DataError::io(path, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::votes::Row;
    use crate::data::{LoadOptions, load, open};

    #[test]
    fn written_folders_read_back_with_pixels_splits_and_classes() {
        let data = open("synth:5:70", &LoadOptions::default()).unwrap().dataset;
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("faces");
        assert_eq!(write_folders(&root, &data).unwrap(), 70);
        let back = load(&root, &LoadOptions::default()).unwrap().dataset;
        let facts = |data: &Dataset| {
            let mut all: Vec<_> = (0..data.len())
                .map(|i| {
                    (
                        data.item(i).split,
                        data.item(i).label,
                        data.image(i).to_vec(),
                    )
                })
                .collect();
            all.sort();
            all
        };
        assert_eq!(facts(&back), facts(&data));
        let again = write_folders(&root, &data).unwrap_err();
        assert!(matches!(again, DataError::Occupied { .. }), "{again}");
    }

    #[test]
    fn ck48_names_are_kept_and_other_persons_named_too() {
        let item = |subject: &str, sequence: &str| Item {
            label: 0,
            split: Split::Training,
            subject: Some(subject.into()),
            sequence: Some(sequence.into()),
        };
        assert_eq!(name_of(7, &item("S005", "001")), "S005_001_00000007");
        assert_eq!(name_of(7, &item("KA", "AN1")), "KA-AN1-00007");
    }

    #[test]
    fn the_layout_of_ferplus_has_pictures_and_votes() {
        let data = open("synth:5:70", &LoadOptions::default()).unwrap().dataset;
        let row = |(at, item): (usize, &Item)| Row {
            split: item.split,
            name: match at {
                0 => String::new(),
                at => format!("fer{at:07}.png"),
            },
            votes: [9, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        };
        let mut votes = Votes {
            path: "votes.csv".into(),
            rows: data.items().iter().enumerate().map(row).collect(),
        };
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("ferplus");
        let written = write_ferplus(&out, &data, &votes).unwrap();
        assert_eq!(written.map(|(_, count)| count), [55, 7, 7]);
        let table = std::fs::read_to_string(out.join("FER2013Train/label.csv")).unwrap();
        assert!(
            table.starts_with("fer0000001.png,\"(0, 0, 48, 48)\",9,1,0,0,0,0,0,0,0,0\n"),
            "{table}"
        );
        let picture = image::open(out.join("FER2013Train/fer0000001.png")).unwrap();
        assert_eq!(picture.into_luma8().into_raw(), data.image(1));

        votes.rows[3].name = "../x.png".into();
        let error = write_ferplus(&root.path().join("b"), &data, &votes).unwrap_err();
        assert!(error.to_string().contains("plain file name"), "{error}");
    }
}
