//! An [`Evaluation`] as plain text.

use std::fmt::Write;

use super::metrics::{Evaluation, ratio};

impl Evaluation {
    /// The evaluation as a plain-text table that ends in a newline: totals, scores by class, and
    /// the confusion matrix (rows true, columns predicted) with each count's share of its row
    /// below it. A row without images shows `-`.
    pub fn table(&self) -> String {
        let mut out = String::new();
        // Writing to a String can't fail.
        let _ = self.write_table(&mut out);
        out
    }

    fn write_table(&self, out: &mut String) -> std::fmt::Result {
        let names = self.labels().names();
        let width = |text: &str| text.chars().count();
        let first = names.iter().map(|n| width(n)).max().unwrap_or(0).max(12);

        writeln!(
            out,
            "images {}  accuracy {:.2} %  loss {:.4}  macro F1 {:.4}  ECE {:.4}\n",
            self.count(),
            self.accuracy() * 100.0,
            self.loss(),
            self.macro_f1(),
            self.ece(),
        )?;

        writeln!(
            out,
            "{:<first$}  precision  recall      F1  images",
            "class"
        )?;
        for (name, c) in names.iter().zip(self.classes()) {
            writeln!(
                out,
                "{name:<first$}  {:>9.4}  {:>6.4}  {:>6.4}  {:>6}",
                c.precision, c.recall, c.f1, c.support
            )?;
        }

        let counts = self.confusion().iter().flatten();
        let digits = width(&counts.max().copied().unwrap_or(0).to_string());
        let columns: Vec<usize> = names.iter().map(|n| width(n).max(digits).max(6)).collect();
        write!(out, "\n{:<first$}", "true \\ pred")?;
        for (name, &column) in names.iter().zip(&columns) {
            write!(out, "  {name:>column$}")?;
        }
        writeln!(out, "   total")?;
        for ((name, row), c) in names.iter().zip(self.confusion()).zip(self.classes()) {
            write!(out, "{name:<first$}")?;
            for (count, &column) in row.iter().zip(&columns) {
                write!(out, "  {count:>column$}")?;
            }
            write!(out, "  {:>6}\n{:<first$}", c.support, "")?;
            for (&count, &column) in row.iter().zip(&columns) {
                write!(out, "  {:>column$}", share(count, c.support))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// `part` of `whole` in percent with one decimal, or `-` where there is no whole.
pub(super) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".into();
    }
    format!("{:.1}%", ratio(part, whole) * 100.0)
}

#[cfg(test)]
mod tests {
    use fer_models::Labels;

    use super::*;

    #[test]
    fn table_reads_as_written() {
        let labels =
            Labels::new(vec!["happy".into(), "naïveté".into(), "none".into()]).expect("labels");
        let logits = [
            9.0, 0.0, 0.0, // happy → happy
            9.0, 0.0, 0.0, // happy → happy
            0.0, 9.0, 0.0, // happy → second
            0.0, 9.0, 0.0, // second → second
        ];
        let e = Evaluation::from_logits(&labels, &logits, &[0, 0, 0, 1]).expect("valid");
        let expected = "\
images 4  accuracy 75.00 %  loss 2.2502  macro F1 0.4889  ECE 0.2498

class         precision  recall      F1  images
happy            1.0000  0.6667  0.8000       3
naïveté          0.5000  1.0000  0.6667       1
none             0.0000  0.0000  0.0000       0

true \\ pred    happy  naïveté    none   total
happy              2        1       0       3
               66.7%    33.3%    0.0%
naïveté            0        1       0       1
                0.0%   100.0%    0.0%
none               0        0       0       0
                   -        -       -
";
        assert_eq!(e.table(), expected, "\n{}", e.table());
    }

    #[test]
    fn every_line_of_the_matrix_is_equally_wide() {
        let labels = Labels::fer2013();
        let targets: Vec<u8> = (0..70).map(|i| i % 7).collect();
        let logits: Vec<f32> = (0..490).map(|i| ((i * 37) % 11) as f32).collect();
        let table = Evaluation::from_logits(&labels, &logits, &targets)
            .expect("valid")
            .table();
        let mut lines = table.lines().skip_while(|l| !l.starts_with("true"));
        let header = lines.next().expect("header").chars().count();
        for (i, line) in lines.enumerate() {
            // The line of percentages has no total.
            let total = if i % 2 == 0 { 0 } else { 8 };
            assert_eq!(line.chars().count() + total, header, "{line}");
        }
    }
}
