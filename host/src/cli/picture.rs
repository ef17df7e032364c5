//! Pictures that subcommands write.

use std::path::Path;

use anyhow::{Context, Result};
use fer_tools::report::Svg;

use super::exit::Usage;

/// Whether a picture's name asks for PNG rather than SVG.
pub(super) fn is_png(path: &Path) -> Result<bool> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("png") => Ok(true),
        Some("svg") => Ok(false),
        _ => Err(Usage(format!(
            "{}: expected a name in .svg or .png",
            path.display()
        ))
        .into()),
    }
}

/// Writes a picture as its name asks for, PNG with two pixels a unit where that is not too large.
pub(super) fn save(picture: &Svg, path: &Path) -> Result<()> {
    let saved = if is_png(path)? {
        picture.save_png(path, picture.largest_scale().min(2.0))
    } else {
        picture.save_svg(path)
    };
    saved.with_context(|| format!("cannot write {}", path.display()))
}

/// What people call a model: its folder or file without the path.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
