//! Values of flags.

use clap::ValueEnum;

/// The name of a value as it is written on the command line.
pub(super) fn value_name(value: &impl ValueEnum) -> String {
    let possible = value.to_possible_value();
    possible.map_or_else(String::new, |v| v.get_name().to_owned())
}
