//! The network that a training starts from: a fresh one, a checkpoint's, or one grown from that.

use std::path::Path;

use anyhow::{Context, Result, bail};
use fer_models::{Labels, Preprocess};
use fer_tools::checkpoint::{Checkpoint, History};
use fer_tools::graph::build::{Architecture, build};
use fer_tools::graph::head::replace_head;
use fer_tools::graph::{grow, init};

use super::exit::Usage;

/// What a fresh network reads; the published VGG19 where none is asked for.
pub(super) fn input_of(network: Option<&Architecture>) -> Preprocess {
    let published = Architecture::published("vgg19");
    let network = network.unwrap_or(&published);
    Preprocess::of_side(network.channels, network.side())
}

/// A fresh network for `labels`; the published VGG19 where none is asked for.
pub(super) fn fresh(
    network: Option<&Architecture>,
    seed: u64,
    labels: &Labels,
) -> Result<Checkpoint> {
    let published = Architecture::published("vgg19");
    let graph = build(network.unwrap_or(&published), labels.len())?;
    Ok(Checkpoint {
        network: init::fresh(graph, seed),
        labels: labels.clone(),
        input: input_of(network),
        history: History::default(),
    })
}

/// The network in `path`, with another dropout where one is asked for.
pub(super) fn changed(path: &Path, dropout: Option<f32>) -> Result<Checkpoint> {
    let mut from = Checkpoint::load(path)?;
    if let Some(p) = dropout {
        let graph = from.network.graph.with_dropout(p);
        from.network.graph = graph.with_context(|| path.display().to_string())?;
    }
    Ok(from)
}

/// The checkpoint of `path` for `data` with these classes, with a new head where one is asked for.
pub(super) fn fit(
    (mut from, path): (Checkpoint, &Path),
    (labels, data): (&Labels, &str),
    new_head: bool,
    seed: u64,
) -> Result<Checkpoint> {
    if new_head {
        from.network = replace_head(&from.network, &from.labels, labels, seed)
            .with_context(|| path.display().to_string())?;
        from.labels = labels.clone();
    }
    if &from.labels != labels {
        return Err(Usage(format!(
            "{}: the network knows {}, the data {} ({data}): give it a head for these with \
             --new-head",
            path.display(),
            from.labels.names().join(" "),
            labels.names().join(" ")
        ))
        .into());
    }
    Ok(from)
}

/// `wide` with the numbers and the history of the narrower network in `path`.
pub(super) fn grown(path: &Path, wide: Checkpoint) -> Result<Checkpoint> {
    let narrow = Checkpoint::load(path)?;
    if (&narrow.labels, narrow.input) != (&wide.labels, wide.input) {
        bail!("{}: has other classes or another input", path.display());
    }
    let network = grow(&narrow.network, wide.network)
        .with_context(|| format!("cannot grow {}", path.display()))?;
    Ok(Checkpoint { network, ..narrow })
}

#[cfg(test)]
mod tests {
    use fer_tools::graph::Graph;

    use super::*;

    #[test]
    fn a_network_that_takes_no_head_is_named() {
        let arch = Architecture {
            width: 0.05,
            ..Architecture::published("vgg11")
        };
        let mut from = fresh(Some(&arch), 1, &Labels::fer2013()).unwrap();
        let mut nodes = from.network.graph.nodes().to_vec();
        nodes.pop();
        from.network.graph = Graph::new("headless", nodes).unwrap();
        let (path, labels) = (Path::new("a.safetensors"), Labels::ferplus());
        let fitted = fit((from, path), (&labels, "faces"), true, 1);
        let error = format!("{:#}", fitted.unwrap_err());
        assert!(
            error.starts_with("a.safetensors: node") && error.contains("linear layer"),
            "{error}"
        );
    }
}
