//! Fields of CSV files.

use std::borrow::Cow;

/// The text as a field (RFC 4180): in quotes where it would end the field or the line otherwise.
pub(super) fn field(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\"")).into();
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_quotes_has_them() {
        assert_eq!(field("happy"), "happy");
        assert_eq!(field("calm, cool"), "\"calm, cool\"");
        assert_eq!(field("he said \"x\""), "\"he said \"\"x\"\"\"");
    }
}
