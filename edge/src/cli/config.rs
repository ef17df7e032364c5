//! `fer-edge config`.

use std::io::{self, Write};

use clap::{Args, Subcommand};

use super::Failure;
use super::choices::ConfigChoice;

#[derive(Debug, Args)]
#[command(
    after_help = "Layers, later ones win: built-in values, /etc/fer/fer-edge.toml, \
    /etc/fer/conf.d/*.toml, FER_EDGE_* of the environment, flags of `run`.\n\n\
    Examples:\n  \
    fer-edge config show                            what is in force here\n  \
    sudo -u fer-edge fer-edge config show           and what for the service\n  \
    fer-edge config check --config ./fer-edge.toml  is this file right?"
)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every setting and where it comes from, as TOML; secrets stay hidden
    Show(ConfigChoice),
    /// Read and check the configuration's files, name those that were read; exit code 78 where one can't be used. Files
    /// that they name in turn, such as the model: `fer-edge doctor`
    Check(ConfigChoice),
}

pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let text = match &args.action {
        Action::Show(choice) => choice.load(Vec::new())?.show(),
        Action::Check(choice) => {
            let loaded = choice.load(Vec::new())?;
            let files = loaded.files.iter();
            let mut text: String = files.map(|file| format!("{}\n", file.display())).collect();
            text.push_str("ok\n");
            text
        }
    };
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}
