//! What is drawn, printed and written.

use fer_models::{Labels, Preprocess};
use fer_tools::explain::{EYES_AND_MOUTH, Explainer, Explanation, OcclusionMap, uniform_share};
use fer_tools::report::{Picture, Sheet, Tile};

use super::super::csv::field;
use super::super::picture::name_of;
use super::faces::Face;
use super::{Args, Column, MethodName};

/// A sheet with its columns and no rows yet.
pub(super) fn empty_sheet(args: &Args, explainers: &[Explainer], columns: &[Column]) -> Sheet {
    let mut notes = Vec::new();
    if columns.iter().any(|c| c.method.layered().is_some()) {
        for explainer in explainers {
            let (layer, [channels, rows, columns]) = explainer.layer();
            notes.push(format!("layer {layer}, {channels} × {rows} × {columns}"));
        }
    }
    if columns.iter().any(|c| !c.method.is_activation()) {
        notes.push("orange: for the class; blue: against it; line: half of the strongest".into());
    }
    let names = columns.iter().map(|c| c.name.clone());
    Sheet {
        title: name_of(&args.model),
        notes,
        columns: std::iter::once("face".to_owned()).chain(names).collect(),
        rows: Vec::new(),
    }
}

/// The centre crop of a tile.
fn crop(tile: &[u8], input: &Preprocess) -> Vec<u8> {
    let margin = (input.tile - input.crop) / 2;
    let rows = tile.chunks_exact(input.tile).skip(margin).take(input.crop);
    rows.flat_map(|row| &row[margin..margin + input.crop])
        .copied()
        .collect()
}

/// A face without a map.
pub(super) fn plain(face: &Face, input: &Preprocess) -> Tile {
    Tile {
        picture: Picture::face(input.crop, &crop(&face.tile, input)),
        captions: Vec::new(),
    }
}

/// A face with its map.
pub(super) fn tile(
    face: &Face,
    method: MethodName,
    found: &Explanation,
    explainer: &Explainer,
) -> Tile {
    let grey = crop(&face.tile, explainer.input());
    let (heat, caption) = if method.is_activation() {
        (found.heat.stretched(), String::new())
    } else {
        let label = &explainer.labels().names()[found.class];
        let sure = 100.0 * found.seen.scores[found.class];
        (found.heat.clone(), format!("{label} {sure:.1} %"))
    };
    Tile {
        picture: Picture::heat(explainer.input().crop, &grey, &heat),
        captions: vec![caption],
    }
}

/// Adds a line of CSV for each covered square.
pub(super) fn write_cells(
    out: &mut String,
    face: &str,
    class: usize,
    map: &OcclusionMap,
    labels: &Labels,
) {
    use std::fmt::Write;
    let name = |class: usize| field(&labels.names()[class]);
    let face = field(face);
    for cell in &map.cells {
        let (left, top, side, drop) = (cell.left, cell.top, map.cell, cell.drop);
        let (class, predicted) = (name(class), name(cell.predicted));
        // a String takes any text
        let _ = writeln!(
            out,
            "{face},{class},{left},{top},{side},{drop:.6},{predicted}"
        );
    }
}

/// What is printed.
pub(super) struct Table {
    pub(super) text: String,
    /// Share of evenly spread heat in eyes and mouth, where faces are aligned averages.
    even: Option<f32>,
    side: usize,
}

impl Table {
    pub(super) fn new(averages: bool, side: usize) -> Self {
        let even = averages.then(|| uniform_share(&EYES_AND_MOUTH, side));
        let mut text = format!(
            "{:<24} {:<22} {:<20} {:<20}",
            "face", "method", "predicted", "explained"
        );
        text.push_str(if averages {
            " in eyes and mouth  (evenly)\n"
        } else {
            "\n"
        });
        Self { text, even, side }
    }

    pub(super) fn add(
        &mut self,
        face: &str,
        column: &Column,
        found: &Explanation,
        labels: &Labels,
    ) {
        use std::fmt::Write;
        let say = |class: usize| {
            let sure = 100.0 * found.seen.scores[class];
            format!("{} {sure:.1} %", labels.names()[class])
        };
        let (predicted, explained) = (say(found.seen.predicted), say(found.class));
        let (name, method) = (&column.name, column.method);
        // a String takes any text
        let _ = write!(
            self.text,
            "{face:<24} {name:<22} {predicted:<20} {explained:<20}"
        );
        if let Some(even) = self.even.filter(|_| !method.is_activation()) {
            let share = found.heat.share(&EYES_AND_MOUTH, self.side);
            let share = share.map_or("none".into(), |s| format!("{:.1} %", 100.0 * s));
            let _ = write!(self.text, " {share:>17}  ({:.1} %)", 100.0 * even);
        }
        self.text.push('\n');
    }
}
