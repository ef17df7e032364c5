//! What an examination found, and what to do about it.

use std::fmt;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// It works, but should be known.
    Note,
    /// It doesn't work.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, such as `camera`.
    pub subject: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What was seen.
    pub seen: String,
    /// What to do; empty where nothing is to be done.
    pub advice: String,
}

impl Finding {
    /// All is well.
    pub fn good(subject: &'static str, seen: impl Into<String>) -> Self {
        Self {
            subject,
            level: Level::Good,
            seen: seen.into(),
            advice: String::new(),
        }
    }

    /// Something to know.
    pub fn note(subject: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            level: Level::Note,
            advice: advice.into(),
            ..Self::good(subject, seen)
        }
    }

    /// Something to mend.
    pub fn problem(
        subject: &'static str,
        seen: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Problem,
            advice: advice.into(),
            ..Self::good(subject, seen)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Good => "ok",
            Level::Note => "note",
            Level::Problem => "problem",
        };
        write!(f, "{level:<9}{:<13}{}", self.subject, self.seen)?;
        if !self.advice.is_empty() {
            write!(f, "\n{:<22}-> {}", "", self.advice)?;
        }
        Ok(())
    }
}
