//! How much of a cost may be left, as a user writes it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A limit on parameters or multiply-adds; written `0.25`, `25%`, `4850000`, `800k`, `4.85M` or `1.2G`.
/// Numbers up to 1 are fractions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Budget {
    /// This part of the count before, above 0 up to 1.
    Fraction(f64),
    /// This many.
    Absolute(u64),
}

/// A text that is no budget.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error(
    "`{0}` is no budget; expected a part such as 0.25 or 25%, or a number such as 4850000 or 4.85M"
)]
pub struct BudgetError(String);

impl Budget {
    /// The limit in units, for a count before.
    ///
    /// # Errors
    /// The fraction, when it is not above 0 up to 1.
    pub fn limit(self, before: u64) -> Result<u64, f64> {
        match self {
            Self::Fraction(part) if part > 0.0 && part <= 1.0 => Ok((before as f64 * part) as u64),
            Self::Fraction(part) => Err(part),
            Self::Absolute(limit) => Ok(limit),
        }
    }
}

impl FromStr for Budget {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let wrong = || BudgetError(text.into());
        let number = |digits: &str| -> Result<f64, BudgetError> {
            let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let value = digits.parse::<f64>().ok().filter(|v| plain && *v > 0.0);
            value.ok_or_else(wrong)
        };
        if let Some(digits) = text.strip_suffix('%') {
            let part = number(digits)? / 100.0;
            return if part <= 1.0 {
                Ok(Self::Fraction(part))
            } else {
                Err(wrong())
            };
        }
        let (digits, unit) = match text.char_indices().next_back() {
            Some((end, 'k' | 'K')) => (&text[..end], 1e3),
            Some((end, 'm' | 'M')) => (&text[..end], 1e6),
            Some((end, 'g' | 'G')) => (&text[..end], 1e9),
            _ => (text, 1.0),
        };
        let value = number(digits)?;
        if unit == 1.0 && value <= 1.0 {
            return Ok(Self::Fraction(value));
        }
        let units = (value * unit).round();
        // 4.85 alone is neither a part nor a whole number
        if (unit == 1.0 && value.fract() != 0.0) || !(1.0..=1e15).contains(&units) {
            return Err(wrong());
        }
        Ok(Self::Absolute(units as u64))
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fraction(part) => write!(f, "{part}"),
            Self::Absolute(limit) => write!(f, "{limit}"),
        }
    }
}

impl TryFrom<String> for Budget {
    type Error = BudgetError;

    fn try_from(text: String) -> Result<Self, BudgetError> {
        text.parse()
    }
}

impl From<Budget> for String {
    fn from(budget: Budget) -> Self {
        budget.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_as_users_write_them() {
        let cases = [
            ("0.25", Budget::Fraction(0.25)),
            ("25%", Budget::Fraction(0.25)),
            ("1", Budget::Fraction(1.0)),
            ("100%", Budget::Fraction(1.0)),
            ("4850000", Budget::Absolute(4_850_000)),
            ("4.85M", Budget::Absolute(4_850_000)),
            ("800k", Budget::Absolute(800_000)),
            ("1.2G", Budget::Absolute(1_200_000_000)),
        ];
        for (text, budget) in cases {
            assert_eq!(text.parse(), Ok(budget), "{text}");
        }
    }

    #[test]
    fn what_is_no_budget_is_refused() {
        for text in [
            "",
            "0",
            "-1",
            "1.5",
            "150%",
            "%",
            "M",
            "0.0001k",
            "nan",
            "inf",
            "1e5",
            "9999999G",
            "ß",
            "1e400",
            "9999999999999999999999",
        ] {
            let error = text.parse::<Budget>().expect_err(text);
            assert!(error.to_string().contains("0.25"), "{error}");
        }
    }

    #[test]
    fn display_reads_back() {
        for budget in [Budget::Fraction(0.3), Budget::Absolute(12_345)] {
            assert_eq!(budget.to_string().parse(), Ok(budget));
        }
    }
}
