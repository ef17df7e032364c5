//! What the tests of the pictures share.

use std::path::Path;

use super::svg::Svg;

/// Checks that the picture can be rendered. With `FER_PICTURES=<folder>` it stays there, to be looked at.
pub(super) fn keep(name: &str, svg: &Svg) {
    let png = svg.png(1.0).expect("rendered");
    assert!(png.starts_with(b"\x89PNG"));
    if let Some(folder) = std::env::var_os("FER_PICTURES") {
        std::fs::write(Path::new(&folder).join(name), png).expect("written");
    }
}

/// The texts of a picture, as they stand in it.
pub(super) fn texts(svg: &Svg) -> Vec<String> {
    let lines = svg.as_str().lines().filter(|l| l.starts_with("<text"));
    let inside = |line: &str| line.split(['>', '<']).nth(2).map(str::to_owned);
    lines.filter_map(inside).collect()
}
