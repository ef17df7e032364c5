//! `CARD.md`: what a person should know about a model before using it.

use fer_models::{Crops, Manifest, Precision};

use super::verify::Agreement;

/// The text with places for the facts, `{like_this}`.
const TEMPLATE: &str = include_str!("card.md");

/// Facts that the manifest does not hold.
pub(super) struct CardFacts<'a> {
    pub(super) architecture: &'a str,
    pub(super) bytes: usize,
    pub(super) intended_use: &'a str,
    pub(super) agreement: Agreement,
}

/// Fills in the card.
pub(super) fn card(manifest: &Manifest, facts: &CardFacts<'_>) -> String {
    let provenance = &manifest.provenance;
    let input = &manifest.input;
    let accuracy = provenance.accuracy.as_ref().map_or_else(
        || "not measured".to_owned(),
        |a| format!("{:.2} % on {} ({})", a.percent, a.split, crops(a.crops)),
    );
    let Agreement {
        images,
        difference,
        same_argmax,
    } = facts.agreement;
    fill(&[
        ("name", manifest.name.clone()),
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("architecture", facts.architecture.into()),
        ("labels", manifest.labels.names().join(", ")),
        (
            "input",
            format!(
                "{} × {crop} × {crop} of a {tile} × {tile} face, (pixel / 255 − {}) / {}",
                input.channels,
                input.mean,
                input.std,
                crop = input.crop,
                tile = input.tile
            ),
        ),
        ("parameters", manifest.model.parameters.to_string()),
        ("multiply_adds", manifest.model.multiply_adds.to_string()),
        ("precision", precision(manifest)),
        ("file", manifest.model.file.clone()),
        ("bytes", facts.bytes.to_string()),
        ("opset", manifest.model.opset.to_string()),
        ("sha256", manifest.model.sha256.clone()),
        ("accuracy", accuracy),
        (
            "verified",
            format!(
                "largest logit difference to the network {difference:.1e} on {images} images, same \
                 decision on {same_argmax}"
            ),
        ),
        ("dataset", provenance.dataset.clone()),
        ("seed", provenance.seed.to_string()),
        ("commit", provenance.commit.clone()),
        ("command", provenance.command.clone()),
        ("use", facts.intended_use.into()),
    ])
}

fn precision(manifest: &Manifest) -> String {
    let name = match manifest.model.precision {
        Precision::F32 => "32-bit floats",
        Precision::F16 => "16-bit floats, computed in 32 bits",
        Precision::Int8 => "8-bit integers",
        Precision::Mixed => "8-bit integers, some layers 32-bit floats",
    };
    match &manifest.model.calibration {
        None => name.to_owned(),
        Some(c) => format!(
            "{name}; ranges by {} on {} images of {} (seed {})",
            c.method, c.images, c.data, c.seed
        ),
    }
}

fn crops(crops: Crops) -> &'static str {
    match crops {
        Crops::Center => "centre crop",
        Crops::Ten => "mean of ten crops",
    }
}

/// Replaces every `{key}` of the template once, from left to right, so that a value that looks like a
/// place is text.
fn fill(values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(TEMPLATE.len() * 2);
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let place = after
            .split_once('}')
            .and_then(|(key, tail)| Some((values.iter().find(|(k, _)| *k == key)?, tail)));
        match place {
            Some(((_, value), tail)) => {
                text.push_str(value);
                rest = tail;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_looks_like_a_place_is_text() {
        let text = fill(&[("name", "{seed}".into()), ("seed", "7".into())]);
        assert!(text.starts_with("# {seed}\n"), "{text}");
        assert!(text.contains("Seed 7,"), "{text}");
    }
}
