//! The report as a table for people.

use std::fmt;

use super::table::{LayerCounts, Report};

const TITLES: [&str; 4] = ["channels", "parameters", "multiply-adds", "bytes"];

/// A line of the table: a name, and four pairs before and after.
struct Line<'a> {
    name: &'a str,
    cells: [[String; 2]; 4],
}

impl<'a> Line<'a> {
    fn new(name: &'a str, before: &LayerCounts, after: &LayerCounts) -> Self {
        let pair = |cost: fn(&LayerCounts) -> u64| [grouped(cost(before)), grouped(cost(after))];
        Self {
            name,
            cells: [
                pair(|c| c.channels as u64),
                pair(|c| c.parameters),
                pair(|c| c.multiply_adds),
                pair(|c| c.bytes),
            ],
        }
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = (&self.before.cost, &self.after.cost);
        let mut lines: Vec<Line<'_>> = self
            .layers
            .iter()
            .map(|row| Line::new(&row.layer, &row.before, &row.after))
            .collect();
        lines.push(Line::new("total", before, after));

        let widest = |cell: &dyn Fn(&Line<'_>) -> usize| lines.iter().map(cell).max().unwrap_or(0);
        let name = widest(&|line| line.name.chars().count()).max(self.network.chars().count());
        let mut widths = [[0; 2]; 4];
        for (column, pair) in widths.iter_mut().enumerate() {
            *pair = [0, 1].map(|side| widest(&|line| line.cells[column][side].len()));
            // " → " stands between the two
            let title = TITLES[column].len();
            pair[0] = pair[0].max(title.saturating_sub(pair[1] + 3));
        }

        write!(f, "{:<name$}", self.network)?;
        for (title, [left, right]) in TITLES.iter().zip(widths) {
            write!(f, "   {title:>0$}", left + 3 + right)?;
        }
        writeln!(f)?;
        for line in &lines {
            write!(f, "{:<name$}", line.name)?;
            for ([before, after], [left, right]) in line.cells.iter().zip(widths) {
                write!(f, "   {before:>left$} → {after:>right$}")?;
            }
            writeln!(f)?;
        }
        let part = |before: u64, after: u64| 100.0 * after as f64 / before.max(1) as f64;
        write!(
            f,
            "{:.1} % of the parameters and {:.1} % of the multiply-adds are left; the largest \
             activations take {} bytes, before {}",
            part(before.parameters, after.parameters),
            part(before.multiply_adds, after.multiply_adds),
            grouped(self.after.activation_bytes),
            grouped(self.before.activation_bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::slim::testing::{classify, layer};
    use crate::graph::Graph;
    use crate::graph::build::GraphBuilder;

    #[test]
    fn the_table_lines_up() {
        let graph = |width| -> Graph {
            let (mut b, x) = GraphBuilder::new([1, 6, 6]);
            let x = layer(&mut b, "first", x, 1, width);
            classify(b, x, width)
        };
        let expected = "\
hand-made    channels   parameters   multiply-adds       bytes
first.conv      4 → 2      44 → 22     1,296 → 648   208 → 104
logits          3 → 3      15 →  9        12 →   6    60 →  36
total           4 → 2      59 → 31     1,308 → 654   268 → 140
52.5 % of the parameters and 50.0 % of the multiply-adds are left; the largest activations take \
576 bytes, before 1,152";
        assert_eq!(Report::between(&graph(4), &graph(2)).to_string(), expected);
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(20_038_983), "20,038,983");
    }
}
