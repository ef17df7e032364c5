//! Accuracy against cost, before and after pruning.

use serde::{Deserialize, Serialize};

use super::axes::{GRID, MUTED, Ticks, part};
use super::canvas::{Anchor, Canvas, TextStyle, shorten, text_width};
use super::svg::Svg;

const PAD: f32 = 24.0;
const TITLE: f32 = 20.0;
const LABEL: f32 = 12.0;
/// Drawing area of one panel.
const AREA: (f32, f32) = (380.0, 300.0);
/// Space at the left of a panel and below it.
const INSET: (f32, f32) = (72.0, 56.0);
const POINT: &str = "#0072b2";
/// Longest name, in characters.
const NAME: usize = 24;

/// What one network costs and gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// What people call it.
    pub name: String,
    /// Share of images classified right, 0 to 1.
    pub accuracy: f64,
    /// Multiply-adds for one image.
    pub multiply_adds: u64,
    /// Trained numbers.
    pub parameters: u64,
}

/// A table of networks, the first as it was before pruning, as it stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// The networks in the order in which they were made.
    #[serde(default)]
    pub network: Vec<Cost>,
}

/// Why costs cannot be drawn.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum CostError {
    /// No network.
    #[error("no network to draw")]
    Empty,
    /// A share that is none.
    #[error("{name}: accuracy {accuracy}, expected 0 to 1")]
    Accuracy {
        /// The network.
        name: String,
        /// What was given.
        accuracy: f64,
    },
    /// A network that costs nothing has no place on a logarithmic axis.
    #[error("{name}: {what} is 0")]
    Free {
        /// The network.
        name: String,
        /// Which cost.
        what: &'static str,
    },
}

impl Costs {
    /// Draws accuracy against multiply-adds and against parameters, both logarithmic, the networks
    /// joined in their order, each numbered and named in a list with what it costs.
    ///
    /// # Errors
    /// No network, an accuracy outside 0 to 1, or a cost of 0.
    pub fn picture(&self, title: &str) -> Result<Svg, CostError> {
        if self.network.is_empty() {
            return Err(CostError::Empty);
        }
        for Cost { name, accuracy, .. } in &self.network {
            if !(0.0..=1.0).contains(accuracy) {
                let (name, accuracy) = (name.clone(), *accuracy);
                return Err(CostError::Accuracy { name, accuracy });
            }
        }
        let panel = INSET.0 + AREA.0 + 16.0;
        let top = PAD + TITLE + 36.0;
        let list = top + AREA.1 + INSET.1 + 12.0;
        let height = list + 20.0 * self.network.len() as f32 + PAD;
        let width = (PAD * 2.0 + 2.0 * panel).max(PAD * 2.0 + text_width(title, TITLE));
        let mut canvas = Canvas::new(width, height);
        let start = |size| TextStyle::new(size, Anchor::Start);
        canvas.text(PAD, PAD + TITLE - 4.0, start(TITLE), title);
        let multiply_adds: fn(&Cost) -> u64 = |c| c.multiply_adds;
        let panels = [
            ("multiply-adds", multiply_adds),
            ("parameters", |c| c.parameters),
        ];
        for (i, (what, cost)) in panels.into_iter().enumerate() {
            self.panel(&mut canvas, (PAD + panel * i as f32, top), what, cost)?;
        }
        let first = &self.network[0];
        for (i, cost) in self.network.iter().enumerate() {
            let y = list + 20.0 * i as f32;
            canvas.circle((PAD + 8.0, y - 4.0), 8.0, POINT, POINT);
            let number = TextStyle::new(10.0, Anchor::Middle).fill("#ffffff");
            canvas.text(PAD + 8.0, y - 0.5, number, &format!("{}", i + 1));
            canvas.text(PAD + 24.0, y, start(LABEL), &shorten(&cost.name, NAME));
            let share = |now: u64, then: u64| 100.0 * now as f64 / then as f64;
            let text = format!(
                "{:.2} %,  {} multiply-adds ({:.1} %),  {} parameters ({:.1} %)",
                100.0 * cost.accuracy,
                short(cost.multiply_adds),
                share(cost.multiply_adds, first.multiply_adds),
                short(cost.parameters),
                share(cost.parameters, first.parameters),
            );
            canvas.text(PAD + 220.0, y, start(LABEL).fill(MUTED), &text);
        }
        Ok(canvas.finish())
    }

    fn panel(
        &self,
        canvas: &mut Canvas,
        (x, y): (f32, f32),
        what: &'static str,
        cost: fn(&Cost) -> u64,
    ) -> Result<(), CostError> {
        let (left, right) = (x + INSET.0, x + INSET.0 + AREA.0);
        let bottom = y + AREA.1;
        if let Some(free) = self.network.iter().find(|c| cost(c) == 0) {
            let name = free.name.clone();
            return Err(CostError::Free { name, what });
        }
        let costs = || self.network.iter().map(|c| (cost(c) as f64).log10());
        let shares = || self.network.iter().map(|c| 100.0 * c.accuracy);
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let rows = Ticks::around(least(&mut shares()), most(&mut shares()), 6.0);
        // a little room at both ends
        let (low, high) = (least(&mut costs()) - 0.1, most(&mut costs()) + 0.1);
        let place = |cost: f64, share: f64| {
            let across = part(cost, low, high);
            let up = part(share, rows.low, rows.high);
            (left + AREA.0 * across, bottom - AREA.1 * up)
        };
        let muted = |anchor| TextStyle::new(LABEL, anchor).fill(MUTED);
        for value in rows.places() {
            let (_, line) = place(low, value);
            canvas.polyline(&[(left, line), (right, line)], GRID, 1.0, "");
            let text = format!("{} %", rows.label(value));
            canvas.text(left - 8.0, line + 4.0, muted(Anchor::End), &text);
        }
        for (value, label) in decades(low, high) {
            let (line, _) = place(value, rows.low);
            canvas.polyline(&[(line, bottom), (line, bottom + 4.0)], MUTED, 1.0, "");
            canvas.text(line, bottom + 18.0, muted(Anchor::Middle), &label);
        }
        canvas.polyline(&[(left, bottom), (right, bottom)], MUTED, 1.0, "");
        let middle = (left + right) / 2.0;
        let name = format!("{what} (logarithmic)");
        canvas.text(middle, bottom + 38.0, muted(Anchor::Middle), &name);
        canvas.text(left, y - 12.0, muted(Anchor::Start), "accuracy");
        let points: Vec<(f32, f32)> = costs().zip(shares()).map(|(c, s)| place(c, s)).collect();
        canvas.polyline(&points, POINT, 1.5, "4 3");
        for (i, &point) in points.iter().enumerate() {
            canvas.circle(point, 8.0, POINT, POINT);
            let number = TextStyle::new(10.0, Anchor::Middle).fill("#ffffff");
            let at = (point.0, point.1 + 3.5);
            canvas.text(at.0, at.1, number, &format!("{}", i + 1));
        }
        Ok(())
    }
}

/// Ticks at 1, 2 and 5 times powers of ten between two logarithms; only at the powers where there are
/// many.
fn decades(low: f64, high: f64) -> Vec<(f64, String)> {
    let factors: &[u64] = if high - low > 2.0 { &[1] } else { &[1, 2, 5] };
    let mut ticks = Vec::new();
    for power in 0..20 {
        for factor in factors {
            let number = factor * 10u64.pow(power.min(18));
            let place = (number as f64).log10();
            if (low..=high).contains(&place) && power <= 18 {
                ticks.push((place, short(number)));
            }
        }
    }
    ticks
}

/// A count with a unit: `20.0 M`.
fn short(count: u64) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e3, " k")];
    let count = count as f64;
    match units.into_iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) => {
            let text = format!("{:.1}", count / unit);
            format!("{}{name}", text.strip_suffix(".0").unwrap_or(&text))
        }
        None => format!("{count}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{keep, texts};
    use super::*;

    fn cost(name: &str, accuracy: f64, multiply_adds: u64, parameters: u64) -> Cost {
        Cost {
            name: name.into(),
            accuracy,
            multiply_adds,
            parameters,
        }
    }

    #[test]
    fn networks_stand_where_their_numbers_say() {
        let network = vec![
            cost("before", 0.70, 1_000_000_000, 20_000_000),
            cost("after <fine-tuning>", 0.69, 100_000_000, 2_000_000),
        ];
        let svg = Costs { network }.picture("pruning").unwrap();
        let shown = texts(&svg);
        assert!(shown.iter().any(|t| t == "after &lt;fine-tuning&gt;"));
        let line = "69.00 %,  100 M multiply-adds (10.0 %),  2 M parameters (10.0 %)";
        assert!(shown.iter().any(|t| t == line), "{shown:?}");
        assert!(shown.iter().any(|t| t == "200 M"), "{shown:?}");
        keep("pruning.png", &svg);
    }

    #[test]
    fn what_cannot_stand_on_the_axes_is_refused_by_name() {
        let refused = |network: Vec<Cost>| Costs { network }.picture("t").unwrap_err();
        assert_eq!(refused(Vec::new()), CostError::Empty);
        let error = refused(vec![cost("x", 69.0, 1, 1)]).to_string();
        assert!(error.contains("x: accuracy 69"), "{error}");
        assert!(
            refused(vec![cost("x", f64::NAN, 1, 1)])
                .to_string()
                .contains("NaN")
        );
        let error = refused(vec![cost("x", 0.5, 1, 0)]).to_string();
        assert!(error.contains("parameters is 0"), "{error}");
        assert!(
            Costs {
                network: vec![cost("x", 0.5, 1, 1)]
            }
            .picture("t")
            .is_ok()
        );
        let extremes = vec![cost("x", 0.0, 1, 1), cost("y", 1.0, u64::MAX, u64::MAX)];
        assert!(Costs { network: extremes }.picture("t").is_ok());
    }
}
