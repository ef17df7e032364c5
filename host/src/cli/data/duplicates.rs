//! `fer-tools data duplicates`: what a test has of the pictures that were trained on.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use fer_tools::data::duplicates::{Duplicate, LIKENESS, duplicates, without};
use fer_tools::data::{self, Dataset, Split};
use serde_json::json;

use super::{convert, options};

/// Find the pictures of PublicTest and PrivateTest that stand in an earlier split as well.
///
/// A network that has learnt those by heart recognises them without having understood anything, and its
/// accuracy says too much. Pictures are compared by the correlation of their pixels, mirrored too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  How many, and how many of those have the same label in both splits:
    fer-tools data duplicates fer2013.csv
  The accuracy on faces that were never trained on:
    fer-tools data duplicates fer2013.csv --out apart.csv
    fer-tools eval models/zoo/vgg19-slim apart.csv --crops ten")]
pub(super) struct Args {
    /// FER2013 CSV, folder of class folders, jaffe:DIR, kdef:ANGLES:DIR or synth:SEED:COUNT
    #[arg(value_name = "DATA")]
    data: String,
    /// Correlation of the pixels from which on two pictures are the same one
    #[arg(long, value_name = "R", default_value_t = LIKENESS, value_parser = parse_likeness)]
    likeness: f32,
    /// Write the data set without them, 48×48 grey pixels an image (networks that read more are then fed
    /// enlarged ones): a new or empty folder, or a file in .csv
    #[arg(long, value_name = "DIR|FILE")]
    out: Option<PathBuf>,
    /// Print every pair as JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Leave out wrong rows and unreadable images instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
}

fn parse_likeness(text: &str) -> Result<f32, String> {
    let likeness = text.parse().ok().filter(|r| (0.5..=1.0).contains(r));
    likeness.ok_or_else(|| "expected a correlation from 0.5 to 1".into())
}

pub(super) fn run(args: &Args) -> Result<()> {
    let dataset = data::open(&args.data, &options(args.skip_bad))?.dataset;
    let splits = Split::ALL.into_iter();
    ensure!(
        splits
            .filter(|&split| dataset.counts(split).iter().sum::<usize>() > 0)
            .count()
            > 1,
        "{}: expected images in at least two splits",
        args.data
    );
    let found = duplicates(&dataset, args.likeness);
    let mut out = std::io::stdout().lock();
    if args.json {
        let pairs = found.iter().map(|pair| {
            let (image, of) = (dataset.item(pair.image), dataset.item(pair.of));
            let names = dataset.labels().names();
            json!({
                "image": pair.image, "split": image.split, "label": names[usize::from(image.label)],
                "of": pair.of, "of_split": of.split, "of_label": names[usize::from(of.label)],
                "likeness": decimal(pair.likeness),
            })
        });
        let pairs: Vec<_> = pairs.collect();
        writeln!(
            out,
            "{}",
            json!({"likeness": decimal(args.likeness), "duplicates": pairs})
        )?;
    } else {
        write!(out, "{}", table(&dataset, &found))?;
    }
    drop(out);
    let Some(path) = &args.out else {
        return Ok(());
    };
    let images = convert::write(path, &without(&dataset, &found))?;
    if args.json {
        tracing::info!("wrote {}: {images} images", path.display());
        return Ok(());
    }
    convert::tell(path, images)
}

/// The number as it is written: 0.95, not what `f64` makes of the `f32`.
fn decimal(number: f32) -> f64 {
    (f64::from(number) * 1e6).round() / 1e6
}

/// A row for each split after Training: its images, those that stand in an earlier one, and those of them
/// with the same label there.
fn table(dataset: &Dataset, found: &[Duplicate]) -> String {
    let mut text = format!(
        "{:<12}{:>9}{:>17}{:>17}\n",
        "split", "images", "also earlier", "same label"
    );
    for split in [Split::PublicTest, Split::PrivateTest] {
        let images = dataset.indices(split).len();
        let pairs: Vec<_> = found
            .iter()
            .filter(|pair| dataset.item(pair.image).split == split)
            .collect();
        let same = pairs
            .iter()
            .filter(|pair| dataset.item(pair.image).label == dataset.item(pair.of).label)
            .count();
        if images > 0 {
            text += &format!(
                "{split:<12}{images:>9}{:>17}{:>17}\n",
                counted(pairs.len(), images),
                counted(same, pairs.len())
            );
        }
    }
    text
}

/// `440 (12.3 %)`.
fn counted(count: usize, of: usize) -> String {
    if of == 0 {
        return count.to_string();
    }
    format!("{count} ({:.1} %)", 100.0 * count as f64 / of as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_pairs_and_those_with_one_label() {
        let dataset = fer_tools::data::synth::dataset(7, 70, 48).unwrap();
        let image = dataset.indices(Split::PublicTest)[0];
        let label = dataset.item(image).label;
        let trained = dataset.indices(Split::Training);
        let with = |same: bool| {
            let of = *trained
                .iter()
                .find(|&&of| (dataset.item(of).label == label) == same)
                .unwrap();
            Duplicate {
                image,
                of,
                likeness: 0.97,
            }
        };
        let text = table(&dataset, &[with(true), with(false)]);
        let line = text.lines().find(|line| line.starts_with("PublicTest"));
        assert_eq!(
            line.unwrap().split_whitespace().collect::<Vec<_>>(),
            ["PublicTest", "7", "2", "(28.6", "%)", "1", "(50.0", "%)"]
        );
        assert!(
            table(&dataset, &[])
                .lines()
                .all(|line| !line.contains("NaN"))
        );
    }
}
