//! From an error to an exit code: 0 done, 1 the work failed, 2 wrong usage, 78 wrong configuration, 130 and 143 a signal.

use std::process::ExitCode;

use fer_tools::judge::JudgeError;
use fer_tools::train::TrainError;

use super::interrupt::Interrupted;

/// A recipe, manifest or pipeline file that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Configuration(pub(crate) String);

/// Flags that do not go together in a way that clap cannot say.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Prints the error, if there is one, and says how the process ends.
pub(crate) fn code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    if error.chain().any(is_broken_pipe) {
        // the reader of our output has seen enough
        return ExitCode::SUCCESS;
    }
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        tracing::warn!("{interrupted}");
        return ExitCode::from(interrupted.code());
    }
    tracing::error!("{error:#}");
    let any = |test: &dyn Fn(&(dyn std::error::Error + 'static)) -> bool| error.chain().any(test);
    if any(&|e| e.is::<Usage>() || matches!(e.downcast_ref(), Some(TrainError::Option { .. }))) {
        return ExitCode::from(2);
    }
    let configuration = any(&|e| {
        e.is::<Configuration>()
            || e.downcast_ref::<JudgeError>()
                .is_some_and(JudgeError::is_configuration)
    });
    ExitCode::from(if configuration { 78 } else { 1 })
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    // serde_json does not name the I/O error that it wraps as its source
    let kind = match (error.downcast_ref(), error.downcast_ref()) {
        (Some(io), _) => Some(std::io::Error::kind(io)),
        (_, Some(json)) => serde_json::Error::io_error_kind(json),
        _ => None,
    };
    kind == Some(std::io::ErrorKind::BrokenPipe)
}
