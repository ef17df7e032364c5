//! Logs on stderr: with time and colour for people, with the level in front for the journal.

use std::fmt;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::linux::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging; `RUST_LOG` says how much, as levels and `target=level` pairs.
///
/// Not `EnvFilter`: its patterns within spans would bring a regular expression engine to every board.
pub(super) fn start() {
    let asked = std::env::var("RUST_LOG").ok();
    let parsed = asked.as_deref().map(str::parse::<Targets>);
    let understood = !matches!(parsed, Some(Err(_)));
    let targets = parsed.and_then(Result::ok).unwrap_or_else(|| {
        Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("fer_edge", LevelFilter::INFO)
    });
    let builder = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        // to say on stderr that stderr is gone would panic
        .log_internal_errors(false)
        .with_writer(io::stderr);
    if stderr_is_the_journal() {
        let format = Format::default().without_time().with_ansi(false);
        builder
            .event_format(Journal(format.with_level(false)))
            .finish()
            .with(targets)
            .init();
    } else {
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        builder.with_ansi(colour).finish().with(targets).init();
    }
    if !understood {
        tracing::warn!(
            "RUST_LOG is not understood, expected a level such as debug or fer_edge=debug"
        );
    }
}

/// Whether what goes to stderr ends up in systemd's journal (systemd.exec(5), `JOURNAL_STREAM`). The
/// variable alone isn't enough: children that write elsewhere inherit it.
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    fs::metadata("/proc/self/fd/2")
        .is_ok_and(|meta| stream == format!("{}:{}", meta.st_dev(), meta.st_ino()))
}

/// The level as `<4>` at the start of the line, which the journal takes off and files the message
/// under (sd-daemon(3)); it adds the time itself.
struct Journal(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}
