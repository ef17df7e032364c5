//! `fer-tools data votes`: what each rule makes of FER+'s votes.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use fer_models::Labels;
use fer_tools::data::Split;
use fer_tools::data::votes::{Rule, Tally, Votes};
use serde_json::json;

/// Count what each labelling rule keeps of FER+'s votes, by split and class; needs no images.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// FER+'s votes: fer2013new.csv, or a folder with FER2013Train/label.csv and its like
    #[arg(value_name = "VOTES")]
    votes: PathBuf,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let votes = Votes::load(&args.votes)?;
    let labels = Labels::ferplus();
    let mut out = std::io::stdout().lock();
    let mut all = Vec::new();
    for rule in Rule::ALL {
        let tallies = Split::ALL.map(|split| (split, Tally::count(&votes, split, rule)));
        if args.json {
            let splits = tallies.iter().map(|(split, tally)| {
                json!({"split": split, "rows": tally.rows, "kept": tally.total(), "counts": tally.kept})
            });
            all.push(json!({"rule": rule.name(), "splits": splits.collect::<Vec<_>>()}));
            continue;
        }
        let (rows, kept) = tallies.iter().fold((0, 0), |(rows, kept), (_, tally)| {
            (rows + tally.rows, kept + tally.total())
        });
        writeln!(
            out,
            "{}: {kept} of {rows} kept, {} dropped",
            rule.name(),
            rows - kept
        )?;
        write!(out, "  {:<12} {:>6} {:>6} ", "split", "rows", "kept")?;
        for name in labels.names() {
            write!(out, " {name:>9}")?;
        }
        writeln!(out)?;
        for (split, tally) in &tallies {
            write!(out, "  {split:<12} {:>6} {:>6} ", tally.rows, tally.total())?;
            for count in tally.kept {
                write!(out, " {count:>9}")?;
            }
            writeln!(out)?;
        }
    }
    if args.json {
        writeln!(out, "{}", json!({"labels": labels, "rules": all}))?;
    }
    Ok(())
}
