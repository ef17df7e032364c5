//! One pair of axes with a training and a validation curve.

use super::canvas::{Anchor, Canvas, TextStyle, text_width};

/// Width and height of a panel with its labels, in units.
pub(super) const PANEL: (f32, f32) = (520.0, 372.0);
/// Space around the drawing area: left, top, right, bottom.
const INSET: (f32, f32, f32, f32) = (72.0, 64.0, 16.0, 52.0);
const LABEL: f32 = 12.0;
pub(super) const MUTED: &str = "#555555";
pub(super) const GRID: &str = "#dddddd";
const TRAIN: Line = Line {
    name: "training",
    colour: "#0072b2",
    dash: "",
};
const VALIDATION: Line = Line {
    name: "validation",
    colour: "#d55e00",
    dash: "6 3",
};

struct Line {
    name: &'static str,
    colour: &'static str,
    dash: &'static str,
}

/// A curve by epoch; `None` is a gap.
pub(super) type Curve = Vec<(f64, Option<f64>)>;

/// What one pair of axes shows.
pub(super) struct Panel {
    pub(super) title: &'static str,
    /// Follows each number, `" %"` say.
    pub(super) unit: &'static str,
    pub(super) train: Curve,
    pub(super) validation: Curve,
    /// Whether the first value is better than the second.
    pub(super) better: fn(&f64, &f64) -> bool,
}

impl Panel {
    /// Draws the panel with its upper left corner at `(x, y)`, over the `epochs` from first to last.
    pub(super) fn draw(&self, canvas: &mut Canvas, (x, y): (f32, f32), epochs: (f64, f64)) {
        let (left, top) = (x + INSET.0, y + INSET.1);
        let (right, bottom) = (x + PANEL.0 - INSET.2, y + PANEL.1 - INSET.3);
        canvas.text(
            left,
            y + 22.0,
            TextStyle::new(15.0, Anchor::Start),
            self.title,
        );

        let values = || {
            self.train
                .iter()
                .chain(&self.validation)
                .filter_map(|p| p.1)
        };
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            let style = TextStyle::new(LABEL, Anchor::Start).fill(MUTED);
            canvas.text(left, y + 44.0, style, "not measured");
            return;
        }
        let rows = Ticks::around(low, high, 6.0);
        let columns = Ticks::whole(epochs.0, epochs.1, 8.0);
        let place = |(epoch, value): (f64, f64)| {
            let across = part(epoch, columns.low, columns.high);
            let up = part(value, rows.low, rows.high);
            (left + (right - left) * across, bottom - (bottom - top) * up)
        };

        for value in rows.places() {
            let (_, line) = place((columns.low, value));
            canvas.polyline(&[(left, line), (right, line)], GRID, 1.0, "");
            let text = format!("{}{}", rows.label(value), self.unit);
            let style = TextStyle::new(LABEL, Anchor::End).fill(MUTED);
            canvas.text(left - 8.0, line + LABEL * 0.35, style, &text);
        }
        for epoch in columns.places() {
            let (line, _) = place((epoch, rows.low));
            canvas.polyline(&[(line, bottom), (line, bottom + 4.0)], MUTED, 1.0, "");
            let style = TextStyle::new(LABEL, Anchor::Middle).fill(MUTED);
            canvas.text(line, bottom + 18.0, style, &columns.label(epoch));
        }
        canvas.polyline(&[(left, bottom), (right, bottom)], MUTED, 1.0, "");
        let middle = TextStyle::new(LABEL, Anchor::Middle).fill(MUTED);
        canvas.text((left + right) / 2.0, bottom + 38.0, middle, "epoch");

        self.draw_legend(canvas, right, y + 22.0);
        for (line, curve) in [(&TRAIN, &self.train), (&VALIDATION, &self.validation)] {
            for run in curve.split(|point| point.1.is_none()) {
                let points: Vec<_> = run
                    .iter()
                    .filter_map(|&(epoch, value)| Some(place((epoch, value?))))
                    .collect();
                match points[..] {
                    [] => {}
                    [alone] => canvas.circle(alone, 2.5, line.colour, line.colour),
                    _ => canvas.polyline(&points, line.colour, 2.0, line.dash),
                }
            }
        }
        if let Some((epoch, value)) = self.best() {
            canvas.circle(place((epoch, value)), 4.5, "#ffffff", VALIDATION.colour);
            let text = format!("best validation {} at epoch {epoch}", self.number(value));
            let style = TextStyle::new(LABEL, Anchor::Start).fill(MUTED);
            canvas.text(left, y + 44.0, style, &text);
        }
    }

    /// The two line samples and their names, ending at `right`.
    fn draw_legend(&self, canvas: &mut Canvas, right: f32, y: f32) {
        let mut end = right;
        for line in [&VALIDATION, &TRAIN] {
            canvas.text(end, y, TextStyle::new(LABEL, Anchor::End), line.name);
            end -= text_width(line.name, LABEL) + 4.0;
            let sample = [(end - 28.0, y - 4.0), (end, y - 4.0)];
            canvas.polyline(&sample, line.colour, 2.0, line.dash);
            end -= 44.0;
        }
    }

    /// Epoch and value of the best validation measure, the first of equals.
    fn best(&self) -> Option<(f64, f64)> {
        let measured = self.validation.iter();
        measured
            .filter_map(|&(epoch, value)| Some((epoch, value?)))
            .reduce(|best, next| {
                if (self.better)(&next.1, &best.1) {
                    next
                } else {
                    best
                }
            })
    }

    fn number(&self, value: f64) -> String {
        let places = if self.unit.is_empty() { 4 } else { 2 };
        if value.abs() >= 1e5 {
            return format!("{value:.2e}{}", self.unit);
        }
        format!("{value:.places$}{}", self.unit)
    }
}

/// Where `value` lies between `low` and `high`, 0 to 1; the middle where they are equal.
pub(super) fn part(value: f64, low: f64, high: f64) -> f32 {
    if high > low {
        ((value - low) / (high - low)) as f32
    } else {
        0.5
    }
}

/// An axis from `low` to `high` with a tick at each multiple of `step`.
pub(super) struct Ticks {
    pub(super) low: f64,
    pub(super) high: f64,
    step: f64,
}

impl Ticks {
    /// About `count` ticks of 1, 2 or 5 times a power of ten; the axis ends on ticks.
    pub(super) fn around(low: f64, high: f64, count: f64) -> Self {
        let span = (high - low).max(high.abs() * 1e-3).max(1e-6);
        let step = nice(span / count);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        // Equal values on a tick: one step around them.
        let slack = if high > low { 0.0 } else { step };
        Self {
            low: low - slack,
            high: high + slack,
            step,
        }
    }

    /// As [`around`](Self::around) for whole numbers, the axis ending on `low` and `high`.
    fn whole(low: f64, high: f64, count: f64) -> Self {
        let step = nice((high - low) / count).max(1.0);
        Self { low, high, step }
    }

    pub(super) fn places(&self) -> impl Iterator<Item = f64> {
        let first = (self.low / self.step - 1e-6).ceil();
        let last = (self.high / self.step + 1e-6).floor();
        // The steps keep this near `count`; the bound is for numbers so large that adding 1 is lost.
        (0..64)
            .map(move |i| first + f64::from(i))
            .take_while(move |&tick| tick <= last)
            .map(|tick| tick * self.step)
    }

    pub(super) fn label(&self, value: f64) -> String {
        if self.high.abs().max(self.low.abs()) >= 1e6 {
            return format!("{value:.1e}");
        }
        let places = (-self.step.log10().floor()).clamp(0.0, 9.0) as usize;
        // `+ 0.0` turns the −0 of a rounded tick into 0.
        format!("{:.places$}", value + 0.0)
    }
}

/// The smallest of 1, 2, 5, 10 times a power of ten that is not below `step`.
fn nice(step: f64) -> f64 {
    if !step.is_normal() {
        return 1.0;
    }
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= step);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &Ticks) -> Vec<String> {
        ticks.places().map(|place| ticks.label(place)).collect()
    }

    #[test]
    fn ticks_fall_on_round_numbers() {
        assert_eq!(
            labels(&Ticks::around(0.31, 1.94, 6.0)),
            ["0.0", "0.5", "1.0", "1.5", "2.0"]
        );
        assert_eq!(labels(&Ticks::whole(1.0, 4.0, 8.0)), ["1", "2", "3", "4"]);
        assert_eq!(
            labels(&Ticks::whole(1.0, 250.0, 8.0)),
            ["50", "100", "150", "200", "250"]
        );
        assert_eq!(labels(&Ticks::whole(3.0, 3.0, 8.0)), ["3"]);
    }

    #[test]
    fn an_axis_holds_its_values_whatever_they_are() {
        for (low, high) in [
            (0.0, 0.0),
            (5.0, 5.0),
            (-1.0, 1e29),
            (1e-9, 2e-9),
            (14.2, 14.2001),
        ] {
            let ticks = Ticks::around(low, high, 6.0);
            let slack = ticks.step * 1e-6;
            assert!(ticks.low <= low + slack && high - slack <= ticks.high);
            assert!(ticks.low < ticks.high);
            let places = ticks.places().count();
            assert!((2..=10).contains(&places), "{low} {high}: {places}");
        }
    }
}
