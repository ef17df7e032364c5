//! One window where many overlap.

use std::cmp::Ordering;

use crate::window::Window;

/// Thins out windows; keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct Thinning {
    order: Vec<usize>,
    rest: Vec<Window>,
}

impl Thinning {
    /// Appends to `kept` the best of `windows`, then the best of those that overlap it by no more than `most`, and so on.
    /// A window that is kept takes over the scores of those that it stands for.
    pub(crate) fn run(&mut self, windows: &[Window], most: f32, kept: &mut Vec<Window>) {
        self.order.clear();
        self.order.extend(0..windows.len());
        // By place where scores are equal: a stable sort would take memory.
        self.order.sort_unstable_by(|&a, &b| {
            let by_score = windows[b].score.partial_cmp(&windows[a].score);
            by_score.unwrap_or(Ordering::Equal).then(a.cmp(&b))
        });
        self.rest.clear();
        self.rest.extend(self.order.iter().map(|&i| windows[i]));
        while let Some(&best) = self.rest.first() {
            let mut score = 0.0;
            let mut first = true;
            self.rest.retain(|window| {
                let stands_for = first || overlap(&best, window) > most;
                first = false;
                if stands_for {
                    score += window.score;
                }
                !stands_for
            });
            kept.push(Window { score, ..best });
        }
    }
}

/// Intersection over union.
fn overlap(a: &Window, b: &Window) -> f32 {
    let shared = |a: i32, a_side: i32, b: i32, b_side: i32| {
        i64::from((a + a_side).min(b + b_side)) - i64::from(a.max(b))
    };
    let (width, height) = (
        shared(a.x, a.side, b.x, b.side),
        shared(a.y, a.side, b.y, b.side),
    );
    if width <= 0 || height <= 0 {
        return 0.0;
    }
    let area = |side: i32| (i64::from(side) * i64::from(side)) as f32;
    let both = (width * height) as f32;
    both / (area(a.side) + area(b.side) - both)
}
