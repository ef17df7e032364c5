//! FER+'s own layout: `FER2013Train`, `FER2013Valid` and `FER2013Test`, each with PNG files and a
//! `label.csv` of their votes.

use std::path::Path;

use fer_models::{Labels, argmax};

use super::super::images::{Cut, Entry, read_all};
use super::super::{DataError, Item, LoadOptions, Loaded, Split, Targets};
use super::read::{read_limited, votes_of, wrong_line};
use super::{COLUMNS, LabelMode, Row, Votes, VotesError};

/// How a specification of such folders begins: `ferplus:MODE:DIR`.
pub const FOLDERS: &str = "ferplus:";

/// The file of votes in each folder.
pub(in super::super) const LABEL_FILE: &str = "label.csv";

/// The folder of a split.
pub(in super::super) fn folder_of(split: Split) -> &'static str {
    match split {
        Split::Training => "FER2013Train",
        Split::PublicTest => "FER2013Valid",
        Split::PrivateTest => "FER2013Test",
    }
}

/// Reads the folder behind `ferplus:MODE:`, with the labels that the mode makes of its votes.
///
/// # Errors
/// As [`Votes::load`]; an image that does not decode; [`VotesError::Images`] for the mode with
/// FER2013's classes, which these folders do not tell.
pub fn load_folders(text: &str, options: &LoadOptions) -> Result<Loaded, DataError> {
    let parts = text.strip_prefix(FOLDERS).and_then(|t| t.split_once(':'));
    let (mode, root) = parts.ok_or_else(|| VotesError::Spec { found: text.into() })?;
    let LabelMode::Eight(rule) = mode.parse()? else {
        let found = Labels::ferplus().names().join(" ");
        return Err(VotesError::Images { found }.into());
    };
    let root = Path::new(root);
    let votes = Votes::load(root)?;
    let (mut entries, mut rows) = (Vec::new(), Vec::new());
    for row in &votes.rows {
        let Some(shares) = rule.on(row.split).shares(&row.votes) else {
            continue;
        };
        let item = Item {
            label: argmax(&shares) as u8,
            split: row.split,
            subject: None,
            sequence: None,
        };
        let path = root.join(folder_of(row.split)).join(&row.name);
        entries.push(Entry { path, item });
        rows.extend(shares);
    }
    let strict = LoadOptions {
        // a picture that is left out would leave its votes behind
        skip_bad: false,
        ..options.clone()
    };
    let labels = Labels::ferplus();
    let mut loaded = read_all(root, &entries, labels, Cut::Whole, &strict, Vec::new())?;
    if let Some(kind) = rule.target_kind() {
        loaded.dataset.set_targets(Targets::new(kind, rows))?;
    }
    Ok(loaded)
}

/// The rows of the `label.csv` files in a folder, by split.
pub(super) fn read(root: &Path) -> Result<Vec<Row>, VotesError> {
    let mut rows = Vec::new();
    for split in Split::ALL {
        let path = root.join(folder_of(split)).join(LABEL_FILE);
        if path.exists() {
            rows.extend(parse(&path, split)?);
        }
    }
    if rows.is_empty() {
        let problem = "expected FER2013Train, FER2013Valid or FER2013Test with a label.csv";
        return Err(wrong_line(root, 0, problem.into()));
    }
    Ok(rows)
}

/// Rows of a name, a box that may be missing, and ten votes.
fn parse(path: &Path, split: Split) -> Result<Vec<Row>, VotesError> {
    let text = read_limited(path)?;
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let wrong = |problem| wrong_line(path, number, problem);
        let fields: Vec<&[u8]> = line.split(|&b| b == b',').map(<[u8]>::trim_ascii).collect();
        // the box holds commas of its own
        let (Some(name), Some(counts)) = (fields.first(), fields.last_chunk::<COLUMNS>()) else {
            let found = fields.len();
            return Err(wrong(format!(
                "expected a name and 10 votes, found {found} fields"
            )));
        };
        if fields.len() == COLUMNS {
            return Err(wrong("expected a name before 10 votes".into()));
        }
        let name = String::from_utf8_lossy(name).into_owned();
        if Path::new(&name)
            .file_name()
            .is_none_or(|file| *file != *name)
        {
            return Err(wrong(format!("expected a plain file name, found {name:?}")));
        }
        let votes = votes_of(counts).map_err(wrong)?;
        rows.push(Row { split, name, votes });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::super::super::{open, store};
    use super::*;

    #[test]
    fn what_store_writes_reads_back_with_labels_and_targets() {
        let images = open("synth:5:70", &LoadOptions::default()).unwrap().dataset;
        let row = |item: &Item| Row {
            split: item.split,
            name: format!("fer{}.png", item.label),
            votes: [6, 4, 0, 0, 0, 0, 0, 0, 0, 0],
        };
        let mut rows: Vec<Row> = images.items().iter().map(row).collect();
        for (number, row) in rows.iter_mut().enumerate() {
            row.name = format!("fer{number:07}.png");
        }
        rows[2].votes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 10];
        let votes = Votes {
            path: "votes.csv".into(),
            rows,
        };
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("fp");
        store::write_ferplus(&root, &images, &votes).unwrap();
        let back = Votes::load(&root).unwrap();
        assert_eq!(back.rows, votes.rows);

        let spec = format!("ferplus:crossentropy:{}", root.display());
        let read = open(&spec, &LoadOptions::default()).unwrap().dataset;
        assert_eq!(read.len(), 69);
        assert_eq!(
            read.image(2),
            images.image(3),
            "the faceless one is left out"
        );
        assert_eq!(read.targets().unwrap().row(8, 0)[..2], [0.6, 0.4]);
        assert_eq!(read.targets().unwrap().row(8, 68)[..2], [1.0, 0.0]);

        let soft7 = format!("ferplus:ferplus-soft7:{}", root.display());
        assert!(open(&soft7, &LoadOptions::default()).is_err());
        std::fs::remove_file(root.join("FER2013Train/fer0000003.png")).unwrap();
        assert!(open(&spec, &LoadOptions::default()).is_err());
    }

    #[test]
    fn wrong_rows_of_votes_are_named() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("FER2013Valid");
        std::fs::create_dir_all(&folder).unwrap();
        for (row, says) in [
            ("a.png,1,2", "found 3 fields"),
            ("0,0,0,0,0,0,0,0,0,0", "a name before"),
            ("../a.png,0,0,0,0,0,0,0,0,0,0", "plain file name"),
            (
                "a.png,\"(0, 0, 48, 48)\",0,0,0,0,0,0,0,0,0,x",
                "NF: expected",
            ),
        ] {
            std::fs::write(folder.join(LABEL_FILE), format!("\n{row}\n")).unwrap();
            let error = Votes::load(root.path()).unwrap_err().to_string();
            assert!(
                error.contains("label.csv:2: ") && error.contains(says),
                "{error}"
            );
        }
        std::fs::write(folder.join(LABEL_FILE), "a.png,3,0,0,0,0,0,0,0,0,7\n").unwrap();
        assert_eq!(Votes::load(root.path()).unwrap().rows.len(), 1);
    }
}
