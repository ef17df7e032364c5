//! Values of flags.

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser};
use fer_tools::augment::{PRESETS, Preset};

/// The name of a value as it is written on the command line.
pub(super) fn value_name(value: &impl ValueEnum) -> String {
    let possible = value.to_possible_value();
    possible.map_or_else(String::new, |v| v.get_name().to_owned())
}

/// The names of augmentations, each with what it does.
pub(super) fn augmentations() -> PossibleValuesParser {
    let named = |preset: &Preset| PossibleValue::new(preset.name).help(preset.about);
    PossibleValuesParser::new(PRESETS.iter().map(named))
}
