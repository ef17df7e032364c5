//! The flags that replace FER2013's labels by FER+'s.

use std::path::PathBuf;

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fer_tools::data::votes::{self, LabelMode, Rule};

use super::exit::Usage;

/// FER+'s votes beside FER2013's images.
#[derive(Debug, clap::Args)]
#[group(id = "votes", multiple = true)]
pub(super) struct VoteFlags {
    /// FER+'s votes, fer2013new.csv: their labels replace those of the FER2013 CSV that DATA is
    #[arg(long, value_name = "FILE")]
    ferplus: Option<PathBuf>,
    /// What is made of the votes; majority if not given. Soft labels are for training only: judging is
    /// by majority (plurality and those of FER2013's seven classes: by their own labels)
    #[arg(long, value_name = "MODE", value_parser = modes(), requires = "ferplus")]
    labels: Option<LabelMode>,
}

/// The modes by name.
fn modes() -> impl TypedValueParser<Value = LabelMode> {
    PossibleValuesParser::new(LabelMode::ALL.map(LabelMode::name))
        .try_map(|name| name.parse::<LabelMode>())
}

impl VoteFlags {
    /// Whether they are given.
    pub(super) fn given(&self) -> bool {
        self.ferplus.is_some()
    }

    /// The DATA that is meant: with votes a `votes:MODE:VOTES:DATA`, which every command reads.
    pub(super) fn spec(&self, data: &str) -> Result<String> {
        let Some(file) = &self.ferplus else {
            return Ok(data.to_owned());
        };
        let mode = self.labels.unwrap_or(LabelMode::Eight(Rule::Majority));
        let spec = votes::spec(mode, file, data);
        // a colon in the file's name would move the parts
        match votes::parse_spec(&spec) {
            Ok((_, path, rest)) if path == *file && rest == data => Ok(spec),
            _ => Err(Usage(format!(
                "--ferplus: expected a path without a colon, found {}",
                file.display()
            ))
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::parse;

    #[test]
    fn flags_become_one_specification() {
        let of = |line: &str| parse::<VoteFlags>(line).unwrap().spec("f.csv");
        assert_eq!(of("x").unwrap(), "f.csv");
        assert_eq!(
            of("x --ferplus v.csv").unwrap(),
            "votes:majority:v.csv:f.csv"
        );
        let soft = of("x --ferplus v.csv --labels ferplus-soft7").unwrap();
        assert_eq!(soft, "votes:ferplus-soft7:v.csv:f.csv");
        assert!(of("x --ferplus a:v.csv").is_err());
        assert!(parse::<VoteFlags>("x --labels majority").is_err());
        assert!(parse::<VoteFlags>("x --ferplus v --labels most").is_err());
    }
}
