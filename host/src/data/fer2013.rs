//! The FER2013 CSV: `emotion,pixels,Usage`, one 48×48 face a row.
//!
//! Goodfellow et al., "Challenges in Representation Learning" (2013). Kaggle publishes it twice,
//! as `fer2013.csv` and as `icml_face_data.csv`, whose header is `emotion, Usage, pixels`; columns
//! are therefore found by name. Reads are streamed, and limits on line length and line count keep
//! a small compressed file from growing without end in memory.

use std::io::{BufRead, Read};
use std::path::Path;

use fer_models::{GrayView, Labels, write_atomic};

use super::compressed::{Format, with_plain_bytes};
use super::dataset::{Dataset, Item, Split};
use super::error::{DataError, RowError, excerpt};
use super::{LoadOptions, Loaded};

/// Side of a FER2013 image in pixels.
pub const SIDE: usize = 48;
/// Longest line in bytes: a row of three-digit pixels takes 9,230.
pub const MAX_LINE: u64 = 64 << 10;
/// Most lines a file may have, wrong and blank ones counted: 28 times FER2013.
pub const MAX_LINES: u64 = 1_000_000;

const PIXELS: usize = SIDE * SIDE;

/// Reads a FER2013 CSV file, plain or packed with gzip, xz, zstd or zip (seen from its content).
///
/// # Errors
/// The first wrong row unless [`LoadOptions::skip_bad`] is set; a header without the columns,
/// damaged compressed data and a file without a usable row in any case.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, DataError> {
    with_plain_bytes(path, |input, format| read_as(path, input, format, options))
}

/// Reads a FER2013 CSV from memory or a pipe; `path` only names it in errors.
///
/// # Errors
/// As [`load`].
pub fn read(
    path: &Path,
    input: &mut dyn BufRead,
    options: &LoadOptions,
) -> Result<Loaded, DataError> {
    read_as(path, input, Format::Plain, options)
}

fn read_as(
    path: &Path,
    input: &mut dyn BufRead,
    format: Format,
    options: &LoadOptions,
) -> Result<Loaded, DataError> {
    let mut lines = Lines {
        path,
        input,
        format,
        number: 0,
        text: Vec::new(),
    };
    lines.advance()?;
    let columns = Columns::find(path, lines.row())?;
    let mut dataset = Dataset::new(Labels::fer2013(), options.tile);
    let mut skipped = 0;
    let mut notes = Vec::new();
    if columns.usage.is_none() {
        notes.push(format!(
            "{}: no Usage column, so every row is Training",
            path.display()
        ));
    }
    let mut face = [0; PIXELS];
    let mut tile = vec![0; options.tile * options.tile];
    while lines.advance()? {
        let row = lines.row();
        if row.is_empty() {
            continue;
        }
        match columns.parse(row, &mut face) {
            Ok(item) if options.tile == SIDE => dataset.push(&face, item)?,
            Ok(item) => {
                resize(&face, options.tile, &mut tile);
                dataset.push(&tile, item)?;
            }
            Err(reason) => {
                let error = DataError::Row {
                    path: path.to_owned(),
                    line: lines.number,
                    reason,
                };
                if !options.skip_bad {
                    return Err(error);
                }
                if skipped == 0 {
                    notes.push(format!("first skipped row: {error}"));
                }
                skipped += 1;
            }
        }
    }
    if dataset.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
            what: "rows",
            skipped,
        });
    }
    Ok(Loaded {
        dataset,
        skipped,
        notes,
    })
}

/// Resizes a FER2013 face to `side`×`side`, with the one resampler of the project.
pub(super) fn resize(face: &[u8; PIXELS], side: usize, out: &mut [u8]) {
    if let Ok(view) = GrayView::new(SIDE, SIDE, SIDE, face) {
        fer_models::resize(view, side, side, out);
    }
}

/// Lines of bounded length, counted.
struct Lines<'a> {
    path: &'a Path,
    input: &'a mut dyn BufRead,
    format: Format,
    number: u64,
    text: Vec<u8>,
}

impl Lines<'_> {
    /// Reads the next line; false at the end.
    fn advance(&mut self) -> Result<bool, DataError> {
        self.text.clear();
        let read = (&mut *self.input)
            .take(MAX_LINE + 1)
            .read_until(b'\n', &mut self.text);
        let length =
            read.map_err(|source| self.format.error(self.path, self.number, source))? as u64;
        if length == 0 {
            return Ok(false);
        }
        self.number += 1;
        let path = || self.path.to_owned();
        if length > MAX_LINE {
            return Err(DataError::LineTooLong {
                path: path(),
                line: self.number,
                limit: MAX_LINE,
            });
        }
        if self.number > MAX_LINES {
            return Err(DataError::TooManyLines {
                path: path(),
                limit: MAX_LINES,
            });
        }
        Ok(true)
    }

    /// The line without its end and without a byte order mark.
    fn row(&self) -> &[u8] {
        let text = self
            .text
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.text);
        text.trim_ascii()
    }
}

/// Where the columns are, by position in the header.
#[derive(Debug, PartialEq, Eq)]
struct Columns {
    count: usize,
    emotion: usize,
    pixels: usize,
    usage: Option<usize>,
}

impl Columns {
    fn find(path: &Path, header: &[u8]) -> Result<Self, DataError> {
        let names: Vec<&[u8]> = header.split(|&byte| byte == b',').map(unquote).collect();
        let position = |name: &str| {
            names
                .iter()
                .position(|found| found.eq_ignore_ascii_case(name.as_bytes()))
        };
        let need = |name: &'static str| {
            position(name).ok_or_else(|| DataError::Header {
                path: path.to_owned(),
                missing: name,
                found: excerpt(header),
            })
        };
        Ok(Self {
            count: names.len(),
            emotion: need("emotion")?,
            pixels: need("pixels")?,
            usage: position("usage"),
        })
    }

    /// Parses one row; the pixels go to `face`.
    fn parse(&self, row: &[u8], face: &mut [u8; PIXELS]) -> Result<Item, RowError> {
        let (mut emotion, mut pixels, mut usage) = (&row[..0], &row[..0], &row[..0]);
        let mut found = 0;
        for (index, field) in row.split(|&byte| byte == b',').enumerate() {
            if index == self.emotion {
                emotion = unquote(field);
            } else if index == self.pixels {
                pixels = unquote(field);
            } else if Some(index) == self.usage {
                usage = unquote(field);
            }
            found += 1;
        }
        if found != self.count {
            return Err(RowError::FieldCount {
                expected: self.count,
                found,
            });
        }
        let label = parse_label(emotion)?;
        let split = match self.usage {
            None => Split::Training,
            Some(_) => Split::from_bytes(usage).ok_or_else(|| RowError::Usage {
                found: excerpt(usage),
            })?,
        };
        parse_pixels(pixels, face)?;
        Ok(Item {
            label,
            split,
            subject: None,
            sequence: None,
        })
    }
}

/// A field without blanks around it and without one pair of double quotes. The columns that are
/// read hold no commas, so nothing else of RFC 4180's quoting can occur in them.
fn unquote(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii();
    match field {
        [b'"', inner @ .., b'"'] => inner.trim_ascii(),
        _ => field,
    }
}

fn parse_label(field: &[u8]) -> Result<u8, RowError> {
    let number = std::str::from_utf8(field)
        .ok()
        .and_then(|text| text.parse::<i64>().ok());
    match number {
        None => Err(RowError::LabelSyntax {
            found: excerpt(field),
        }),
        Some(label @ 0..=6) => Ok(label as u8),
        Some(found) => Err(RowError::LabelRange { found }),
    }
}

/// Parses blank-separated values by hand: the standard parser takes five times as long, and a
/// data set has 74 million values.
fn parse_pixels(field: &[u8], face: &mut [u8; PIXELS]) -> Result<(), RowError> {
    let mut count = 0;
    let mut at = 0;
    while at < field.len() {
        if field[at] == b' ' || field[at] == b'\t' {
            at += 1;
            continue;
        }
        let start = at;
        let mut value = 0_u32;
        while at < field.len() && field[at].is_ascii_digit() && at - start < 4 {
            value = value * 10 + u32::from(field[at] - b'0');
            at += 1;
        }
        let ends = at == field.len() || field[at] == b' ' || field[at] == b'\t';
        let Some(byte) = u8::try_from(value).ok().filter(|_| ends && at > start) else {
            let rest = &field[start..];
            let end = rest
                .iter()
                .position(u8::is_ascii_whitespace)
                .unwrap_or(rest.len());
            return Err(RowError::Pixel {
                index: count,
                found: excerpt(&rest[..end]),
            });
        };
        if let Some(pixel) = face.get_mut(count) {
            *pixel = byte;
        }
        count += 1;
    }
    if count == PIXELS {
        Ok(())
    } else {
        Err(RowError::PixelCount {
            expected: PIXELS,
            found: count,
        })
    }
}

/// The images of several data sets, one behind the other; the paths are for messages.
///
/// # Errors
/// [`DataError::NotFer2013`] names the first whose tiles are not 48×48 or whose labels are another set.
pub fn join(sets: &[(&Path, Dataset)]) -> Result<Dataset, DataError> {
    let mut joined = Dataset::new(Labels::fer2013(), SIDE);
    for (path, dataset) in sets {
        check(path, dataset)?;
        for (index, item) in dataset.items().iter().enumerate() {
            joined.push(dataset.image(index), item.clone())?;
        }
    }
    Ok(joined)
}

fn check(path: &Path, dataset: &Dataset) -> Result<(), DataError> {
    if dataset.tile() == SIDE && *dataset.labels() == Labels::fer2013() {
        return Ok(());
    }
    Err(DataError::NotFer2013 {
        path: path.to_owned(),
        found: format!(
            "{0}x{0} with {1:?}",
            dataset.tile(),
            dataset.labels().names().join(" ")
        ),
    })
}

/// Writes a data set as a FER2013 CSV; the file appears whole or not at all.
///
/// # Errors
/// [`DataError::NotFer2013`] where the tiles are not 48×48 or the labels are another set;
/// [`DataError::Io`] where the file cannot be written.
pub fn write(path: &Path, dataset: &Dataset) -> Result<(), DataError> {
    check(path, dataset)?;
    write_atomic(path, |out| {
        out.write_all(b"emotion,pixels,Usage\n")?;
        for (index, item) in dataset.items().iter().enumerate() {
            write!(out, "{},", item.label)?;
            for (at, pixel) in dataset.image(index).iter().enumerate() {
                let blank = if at == 0 { "" } else { " " };
                write!(out, "{blank}{pixel}")?;
            }
            writeln!(out, ",{}", item.split)?;
        }
        Ok(())
    })
    .map_err(|source| DataError::io(path, source))
}

#[cfg(test)]
#[path = "fer2013_tests.rs"]
mod tests;
