//! A wider network that begins as a narrower one does (after Chen, Goodfellow and Shlens, "Net2Net: Accelerating
//! Learning via Knowledge Transfer", ICLR 2016).
//!
//! Net2Net copies channels. Here the new ones are fresh, and what was there before does not listen to them yet: their
//! columns in its weights are zero. So nothing has to tell copies apart, and the function is the same. They are as loud
//! as the mean of the old ones: a slimmed network's scales are far below a fresh one's, and hundreds of channels
//! several times as loud would drown it in the first steps.

use super::{Array, GraphError, Network, Node, Op, Role};

/// `wide` with the numbers of `narrow`, a network of the same nodes with fewer channels, in its first channels. It
/// computes what `narrow` computes, until it is trained.
///
/// # Errors
/// Names the node that `narrow` lacks, has of another kind or wider, or in which channels meet others by their
/// places (concatenations), so that the first ones would not stay apart.
pub fn grow(narrow: &Network, mut wide: Network) -> Result<Network, GraphError> {
    let (old, new) = (narrow.graph.nodes(), wide.graph.nodes());
    if old.len() != new.len() {
        return Err(wrong(
            &new[new.len() - 1],
            format!("is one of {} nodes, found {}", new.len(), old.len()),
        ));
    }
    for (old, new) in old.iter().zip(new) {
        check(old, new)?;
        for (small, large) in old.tensors().into_iter().zip(new.tensors()) {
            if small.shape.iter().zip(&large.shape).any(|(s, l)| s > l) {
                let found = format!(
                    "expected at most {:?}, found {:?}",
                    large.shape, small.shape
                );
                return Err(wrong(new, found));
            }
            let weights = wide.weights.get_mut(&large.name);
            let target = weights.ok_or_else(|| GraphError::MissingTensor(large.name.clone()))?;
            let source = narrow.weights.get(&small.name);
            let source = source.ok_or(GraphError::MissingTensor(small.name))?;
            place(source, target, large.role == Role::Weight);
            if large.role == Role::NormScale {
                let (old, all) = (source.data(), target.data_mut());
                let loudness = old.iter().map(|scale| scale.abs()).sum::<f32>();
                all[old.len()..].fill(loudness / old.len().max(1) as f32);
            }
        }
    }
    Ok(wide)
}

fn wrong(node: &Node, problem: String) -> GraphError {
    GraphError::Node {
        node: node.name.clone(),
        problem,
    }
}

/// Whether the nodes are the same but for channels, and keep the first channels apart from the others.
fn check(old: &Node, new: &Node) -> Result<(), GraphError> {
    let same = old.name == new.name
        && old.inputs == new.inputs
        && match (&old.op, &new.op) {
            (Op::Conv2d(o), Op::Conv2d(n)) => {
                let taps = |c: &super::Conv2d| (c.kernel, c.stride, c.padding, c.dilation, c.bias);
                taps(o) == taps(n) && o.groups == 1 && n.groups == 1
            }
            (Op::BatchNorm { eps: o, .. }, Op::BatchNorm { eps: n, .. }) => o == n,
            (Op::Linear { .. }, Op::Linear { .. }) | (Op::Dropout { .. }, Op::Dropout { .. }) => {
                true
            }
            (
                Op::Concat
                | Op::ChannelMean
                | Op::ChannelMax
                | Op::Softmax
                | Op::ConvTranspose2d(_),
                _,
            ) => return Err(wrong(new, "does not keep channels apart".into())),
            (o, n) => o == n,
        };
    if same {
        Ok(())
    } else {
        Err(wrong(new, format!("expected like {new:?}, found {old:?}")))
    }
}

/// Puts `source` at the beginning of each dimension of `target`. What else stands in the rows of `source` becomes
/// zero where these are `weights`.
fn place(source: &Array, target: &mut Array, weights: bool) {
    let cells = |array: &Array| array.shape()[1..].iter().product::<usize>();
    let (from, to) = (cells(source), cells(target));
    let rows = source.data().chunks_exact(from);
    for (old, new) in rows.zip(target.data_mut().chunks_exact_mut(to)) {
        // kernels are alike, so that the first columns are the first numbers
        new[..from].copy_from_slice(old);
        if weights {
            new[from..].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{Architecture, build};
    use super::super::exec::{Params, Precision};
    use super::super::init;
    use super::*;

    fn network(name: &str, width: f64, seed: u64) -> Network {
        let architecture = Architecture {
            width,
            channels: 1,
            ..Architecture::published(name)
        };
        init::fresh(build(&architecture, 7).unwrap(), seed)
    }

    fn logits(network: &Network, pixels: &[f32]) -> Vec<f32> {
        let mut engine = Precision::F32.engine(network.graph.clone());
        engine.infer(&Params::new(network), pixels, 2).unwrap()
    }

    #[test]
    fn a_grown_network_computes_what_the_small_one_does() {
        for name in ["vgg11", "resnet18"] {
            let (narrow, wide) = (network(name, 0.1, 1), network(name, 0.25, 2));
            let len = 2 * narrow.graph.input_shape().iter().product::<usize>();
            let pixels: Vec<f32> = (0..len).map(|i| (i % 97) as f32 / 97.0).collect();
            let fresh = logits(&wide, &pixels);
            let grown = grow(&narrow, wide).unwrap();
            grown.graph.check_weights(&grown.weights).unwrap();
            let (small, large) = (logits(&narrow, &pixels), logits(&grown, &pixels));
            let gap = |other: &[f32]| {
                let gaps = small.iter().zip(other).map(|(a, b)| (a - b).abs());
                gaps.fold(0.0, f32::max)
            };
            assert!(gap(&large) < 1e-4, "{name}: {}", gap(&large));
            assert!(gap(&fresh) > 1e-3, "{name}: the fresh one is another");
        }
    }

    #[test]
    fn fresh_channels_are_as_loud_as_the_old_ones() {
        let (mut narrow, wide) = (network("vgg11", 0.1, 1), network("vgg11", 0.25, 2));
        let scale = narrow.weights.get_mut("features.1.weight").unwrap();
        let len = scale.data().len();
        for (i, scale) in scale.data_mut().iter_mut().enumerate() {
            *scale = if i % 2 == 0 { 0.2 } else { -0.1 };
        }
        let grown = grow(&narrow, wide).unwrap();
        let scale = grown.weights["features.1.weight"].data();
        assert!(scale.len() > len && len % 2 == 0, "{len}");
        assert!(scale[len..].iter().all(|s| (s - 0.15).abs() < 1e-6));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let vgg = network("vgg11", 0.1, 1);
        for (narrow, wide, says) in [
            (network("vgg11", 0.25, 1), vgg.clone(), "expected at most"),
            (network("vgg13", 0.1, 1), vgg, "nodes"),
            (
                network("densenet121", 0.25, 1),
                network("densenet121", 0.5, 1),
                "apart",
            ),
        ] {
            let error = grow(&narrow, wide).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
