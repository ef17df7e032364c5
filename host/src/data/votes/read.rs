//! `fer2013new.csv`: one row of votes an image.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::Split;
use super::super::error::excerpt;
use super::{COLUMNS, VotesError};

/// The header, whose order the readers of FER+ rely on.
const HEADER: [&str; 2 + COLUMNS] = [
    "Usage",
    "Image name",
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
];
/// Largest file that is read, in bytes: ten times FER+.
const MAX_FILE: u64 = 16 << 20;
/// Most votes one column may have; FER+ asked ten people.
const MAX_VOTES: u8 = 100;

/// One image's votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its split, FER2013's.
    pub split: Split,
    /// FER+'s name of the image, `fer0000000.png`; empty for the images that show no face.
    pub name: String,
    /// Votes by column: the eight expressions in [`Labels::ferplus`](fer_models::Labels::ferplus)'s
    /// order, unknown, no face.
    pub votes: [u8; COLUMNS],
}

/// The rows of a votes file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Votes {
    /// Where they came from, for messages.
    pub path: PathBuf,
    /// One row an image.
    pub rows: Vec<Row>,
}

impl Votes {
    /// Reads a votes file, or the `label.csv` files of a folder in FER+'s own layout.
    ///
    /// # Errors
    /// Names the file, and the line with what was expected and found.
    pub fn load(path: &Path) -> Result<Self, VotesError> {
        if path.is_dir() {
            return Ok(Self {
                path: path.to_owned(),
                rows: super::folders::read(path)?,
            });
        }
        Self::parse(path, &read_limited(path)?)
    }

    /// Reads votes from memory; `path` only names them in errors.
    ///
    /// # Errors
    /// As [`Votes::load`].
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, VotesError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let wrong = |line: usize, problem: String| wrong_line(path, line + 1, problem);
        let mut lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let header = lines.next().unwrap_or_default();
        let names = header.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        if !names.eq(HEADER.iter().map(|name| name.as_bytes())) {
            let problem = format!(
                "expected the header {:?}, found {:?}",
                HEADER.join(","),
                excerpt(header)
            );
            return Err(wrong(0, problem));
        }
        let mut rows = Vec::new();
        for (number, line) in (1..).zip(lines) {
            if !line.is_empty() {
                rows.push(row(line).map_err(|problem| wrong(number, problem))?);
            }
        }
        if rows.is_empty() {
            return Err(wrong(0, "expected rows of votes, found none".into()));
        }
        Ok(Self {
            path: path.to_owned(),
            rows,
        })
    }

    /// Rows of a split, in order.
    pub fn of(&self, split: Split) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.split == split)
    }
}

fn row(line: &[u8]) -> Result<Row, String> {
    let fields: Vec<&[u8]> = line.split(|&b| b == b',').map(<[u8]>::trim_ascii).collect();
    let Ok([usage, name, counts @ ..]) = <&[&[u8]; 2 + COLUMNS]>::try_from(&fields[..]) else {
        return Err(format!(
            "expected {} fields, found {}",
            HEADER.len(),
            fields.len()
        ));
    };
    let split = Split::from_bytes(usage).ok_or_else(|| {
        format!(
            "Usage: expected Training, PublicTest or PrivateTest, found {:?}",
            excerpt(usage)
        )
    })?;
    Ok(Row {
        split,
        name: String::from_utf8_lossy(name).into_owned(),
        votes: votes_of(counts)?,
    })
}

/// Ten votes in the header's order.
pub(super) fn votes_of(fields: &[&[u8]; COLUMNS]) -> Result<[u8; COLUMNS], String> {
    let mut votes = [0; COLUMNS];
    for ((vote, field), column) in votes.iter_mut().zip(fields).zip(&HEADER[2..]) {
        let number = std::str::from_utf8(field).ok().and_then(|t| t.parse().ok());
        *vote = number.filter(|&n: &u8| n <= MAX_VOTES).ok_or_else(|| {
            format!(
                "{column}: expected 0 to {MAX_VOTES} votes, found {:?}",
                excerpt(field)
            )
        })?;
    }
    Ok(votes)
}

/// Reads a whole file that is not too large for votes.
pub(super) fn read_limited(path: &Path) -> Result<Vec<u8>, VotesError> {
    let io = |source| VotesError::Io {
        path: path.to_owned(),
        source,
    };
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(io)?;
    file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(io)?;
    if text.len() as u64 > MAX_FILE {
        let problem = format!("the file has more than {MAX_FILE} bytes");
        return Err(wrong_line(path, 1, problem));
    }
    Ok(text)
}

pub(super) fn wrong_line(path: &Path, line: usize, problem: String) -> VotesError {
    VotesError::Line {
        path: path.to_owned(),
        line,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Votes, String> {
        Votes::parse(Path::new("v.csv"), text.as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn rows_are_read_with_their_split_and_name() {
        let text = format!(
            "\u{feff}{}\r\nTraining,fer0000000.png,4,0,0,1,3,2,0,0,0,0\r\nPrivateTest,,0,0,0,0,0,0,0,0,0,10\n",
            HEADER.join(",")
        );
        let votes = parse(&text).unwrap();
        assert_eq!(votes.rows.len(), 2);
        assert_eq!(votes.rows[0].name, "fer0000000.png");
        assert_eq!(votes.rows[0].votes[..6], [4, 0, 0, 1, 3, 2]);
        assert_eq!(votes.of(Split::PrivateTest).count(), 1);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let header = HEADER.join(",");
        for (body, says) in [
            ("Training,a,1", "v.csv:2: expected 12 fields, found 3"),
            ("Test,a,1,0,0,0,0,0,0,0,0,0", "v.csv:2: Usage"),
            (
                "Training,a,1,0,0,0,0,0,0,0,0,x",
                "v.csv:2: NF: expected 0 to 100 votes, found \"x\"",
            ),
            ("\nTraining,a,1,0,0,0,0,0,-1,0,0,0", "v.csv:3: fear"),
            ("", "found none"),
        ] {
            let error = parse(&format!("{header}\n{body}")).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let error = parse("emotion,pixels,Usage\n").unwrap_err();
        assert!(error.starts_with("v.csv:1: expected the header"), "{error}");
    }

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let pieces = [
            ",",
            ",",
            ",",
            "\n",
            "\r\n",
            "Training",
            "PublicTest",
            "Test",
            "fer0000000.png",
            "0",
            "10",
            "100",
            "101",
            "-1",
            "1.5",
            " ",
            "\"",
            "\u{feff}",
            "é",
            "99999999999999999999",
        ];
        let piece = prop_oneof![
            8 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
            4 => prop::sample::select(vec![0u8, 1, 10, 100, 101])
                .prop_map(|n| format!("\nTraining,a,{n},0,0,0,0,0,0,0,0,10").into_bytes()),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    /// Rows of which none is wrong: pieces hardly ever give such.
    fn right_rows() -> impl Strategy<Value = Vec<u8>> {
        let row = (0..=MAX_VOTES).prop_map(|n| format!("\nTraining,a,{n},0,0,0,0,0,0,0,0,10"));
        prop::collection::vec(row, 1..40).prop_map(|rows| rows.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn any_rows_are_votes_or_an_error_with_its_line(
            body in prop_oneof![right_rows(), pieces()],
        ) {
            let text = [HEADER.join(",").as_bytes(), &body].concat();
            match Votes::parse(Path::new("v.csv"), &text) {
                Ok(votes) => {
                    let lines = text.split(|&byte| byte == b'\n').skip(1);
                    let filled = lines.filter(|line| !line.trim_ascii().is_empty()).count();
                    prop_assert_eq!(votes.rows.len(), filled);
                    prop_assert!(votes.rows.iter().flat_map(|row| row.votes).all(|n| n <= MAX_VOTES));
                }
                Err(error) => {
                    let error = error.to_string();
                    let place = error.strip_prefix("v.csv:").and_then(|rest| rest.split_once(':'));
                    let line = place.and_then(|(line, _)| line.parse::<usize>().ok());
                    let lines = text.split(|&byte| byte == b'\n').count();
                    prop_assert!(line.is_some_and(|n| (1..=lines).contains(&n)), "{}", error);
                }
            }
        }
    }
}
