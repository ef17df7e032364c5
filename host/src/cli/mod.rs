//! The command line: parse, validate, call the library, print. One file a subcommand.

mod average;
mod compute;
mod crops;
mod crossval;
mod csv;
mod data;
mod embed;
mod ensemble;
mod eval;
mod exit;
mod explain;
mod export;
mod import;
mod interrupt;
mod judged;
mod models;
mod output;
mod picture;
mod pipeline;
mod progress;
mod prune;
mod quantize;
mod recipe;
mod report;
mod seeds;
mod start;
mod train;
mod tuning;
mod value;
mod votes;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

/// Train, prune, export and judge networks that read facial expressions.
///
/// A first run without any download:
///   fer-tools train synth:7:2100 --out runs/first --arch vgg19 --width 0.125 --channels 1 --epochs 4
#[derive(Debug, Parser)]
// at a narrower terminal's width clap would break examples, which then cannot be copied
#[command(
    version,
    verbatim_doc_comment,
    propagate_version = true,
    term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say more (-v) or much more (-vv) on stderr
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Data(data::Args),
    Train(Box<train::Args>),
    Eval(eval::Args),
    Crossval(crossval::Args),
    Prune(prune::Args),
    Quantize(quantize::Args),
    Export(export::Args),
    Import(import::Args),
    Pipeline(pipeline::Args),
    Report(report::Args),
    Explain(explain::Args),
    Embed(embed::Args),
    Ensemble(ensemble::Args),
    Average(average::Args),
    Models(models::Args),
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let level = ["info", "debug", "trace"][usize::from(cli.verbose.min(2))];
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("FER_LOG")
                .unwrap_or_else(|_| format!("warn,fer_tools={level}").into()),
        )
        .init();
    let result = match cli.command {
        Command::Data(args) => data::run(args),
        Command::Train(args) => train::run(*args),
        Command::Eval(args) => eval::run(args),
        Command::Crossval(args) => crossval::run(args),
        Command::Prune(args) => prune::run(args),
        Command::Quantize(args) => quantize::run(args),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args),
        Command::Pipeline(args) => pipeline::run(args),
        Command::Report(args) => report::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Embed(args) => embed::run(args),
        Command::Ensemble(args) => ensemble::run(args),
        Command::Average(args) => average::run(args),
        Command::Models(args) => models::run(args),
    };
    exit::code(result)
}

/// Reads a subcommand's own flags, the way the program does.
#[cfg(test)]
fn parse<A: clap::Args>(line: &str) -> Result<A, clap::Error> {
    #[derive(Parser)]
    struct Line<A: clap::Args> {
        #[command(flatten)]
        args: A,
    }
    Line::try_parse_from(line.split_whitespace()).map(|line| line.args)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    /// Help is 100 columns wide wherever it is printed; what is longer would be broken.
    #[test]
    fn examples_are_as_wide_as_help_is_printed() {
        let mut todo = vec![Cli::command()];
        while let Some(command) = todo.pop() {
            let after = command.get_after_help().map(ToString::to_string);
            let lines = after.iter().flat_map(|text| text.lines());
            for line in lines.filter(|line| line.contains("fer-tools ") || line.contains(" --")) {
                assert!(
                    line.chars().count() <= 100,
                    "{}: {line}",
                    command.get_name()
                );
            }
            todo.extend(command.get_subcommands().cloned());
        }
    }
}
