//! Which of our architectures the tensors are, how wide, and under which names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::error::{Mismatch, Refusal, excerpt};
use super::layout::{Layout, Unit};
use super::names::{NAMINGS, Naming};
use super::torch::TensorView;
use crate::graph::build::{Architecture, build};
use crate::graph::{Graph, GraphError, Node, Op, Pool, Role};

/// A graph as wide as the tensors, and where its tensors are found.
pub(super) struct Fit {
    /// The architecture in the tensors' widths.
    pub graph: Graph,
    /// Whose names they have.
    pub naming: &'static str,
    /// Our tensor names with theirs.
    pub names: BTreeMap<String, String>,
}

/// An architecture under a system's names, in its published widths.
struct Known {
    base: Graph,
    naming: &'static Naming,
    /// Their name of each node.
    nodes: Vec<String>,
    /// Their name of each tensor, and whether it is a convolution's bias.
    tensors: Vec<(String, bool)>,
}

/// Every architecture under every naming: made once, because a fuzzer or a folder of files asks often.
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let namings = NAMINGS.iter();
    let pairs = namings.flat_map(|n| n.architectures.iter().map(move |name| (*name, n)));
    // published architectures build: `graph/build/tests.rs`
    let known = pairs.filter_map(|(name, naming)| Known::new(name, naming).ok());
    known.collect()
});

impl Known {
    fn new(name: &str, naming: &'static Naming) -> Result<Self, GraphError> {
        let base = build(&Architecture::published(name), 7)?;
        let nodes: Vec<String> = (0..base.nodes().len())
            .map(|i| (naming.node)(&base, i))
            .collect();
        let tensors = base.nodes().iter().zip(&nodes).flat_map(|(node, theirs)| {
            node.tensors().into_iter().map(move |spec| {
                let part = &spec.name[node.name.len()..];
                let bias = matches!(node.op, Op::Conv2d(_)) && spec.role == Role::Bias;
                (format!("{theirs}{part}"), bias)
            })
        });
        Ok(Self {
            tensors: tensors.collect(),
            base,
            naming,
            nodes,
        })
    }
}

/// What a file may be.
struct Candidate {
    known: &'static Known,
    /// No convolution has a bias in the file, though it has in ours.
    unbiased: bool,
}

impl Fit {
    /// Compares the tensors with every architecture, or with `arch` only.
    pub(super) fn find(layout: &Layout<'_>, arch: Option<&str>) -> Result<Self, Refusal> {
        let mut best: Option<([usize; 3], Candidate)> = None;
        for known in KNOWN.iter() {
            if arch.is_some_and(|arch| arch != known.base.name()) {
                continue;
            }
            let candidate = Candidate::new(known, layout);
            let [unknown, missing] = candidate.names_apart(layout);
            let least = best.as_ref().map(|(least, _)| *least);
            if least.is_some_and(|[u, m, _]| [u, m] < [unknown, missing]) {
                continue;
            }
            let distance = [unknown, missing, candidate.misshapen(layout)];
            if least.is_none_or(|least| distance < least) {
                best = Some((distance, candidate));
            }
        }
        match best {
            Some((_, candidate)) => candidate.fit(layout),
            None => Err(GraphError::UnknownArchitecture(arch.unwrap_or_default().into()).into()),
        }
    }
}

impl Candidate {
    fn new(known: &'static Known, layout: &Layout<'_>) -> Self {
        let mut biases = known.tensors.iter().filter(|(_, bias)| *bias);
        let unbiased = !biases.any(|(name, _)| layout.tensors.contains_key(name.as_str()));
        Self { known, unbiased }
    }

    /// Our name, their name and the shape of every tensor of `nodes`.
    fn tensors<'c>(
        &'c self,
        nodes: &'c [Node],
    ) -> impl Iterator<Item = (String, String, Vec<usize>)> + 'c {
        nodes
            .iter()
            .zip(&self.known.nodes)
            .flat_map(|(node, theirs)| {
                node.tensors().into_iter().map(move |spec| {
                    let part = &spec.name[node.name.len()..];
                    (spec.name.clone(), format!("{theirs}{part}"), spec.shape)
                })
            })
    }

    /// How many of the file's names are unknown to it, and how many of its own are missing.
    fn names_apart(&self, layout: &Layout<'_>) -> [usize; 2] {
        let (mut common, mut missing) = (0, 0);
        let tensors = self.known.tensors.iter();
        for (name, _) in tensors.filter(|(_, bias)| !(*bias && self.unbiased)) {
            match layout.tensors.contains_key(name.as_str()) {
                true => common += 1,
                false => missing += 1,
            }
        }
        [layout.tensors.len() - common, missing]
    }

    /// How many tensors of common names have another shape.
    fn misshapen(&self, layout: &Layout<'_>) -> usize {
        let nodes = self.adapted(layout, false);
        let differs = |name: &str, ours: &[usize]| {
            let theirs = layout.tensors.get(name);
            theirs.is_some_and(|theirs| !same_shape(&theirs.shape, ours))
        };
        self.tensors(&nodes)
            .filter(|(_, name, shape)| differs(name, shape))
            .count()
    }

    /// The base's nodes in the widths of the tensors: outputs are theirs, inputs follow.
    fn adapted(&self, layout: &Layout<'_>, average: bool) -> Vec<Node> {
        let shape = |node: usize, part: &str| -> Option<&[usize]> {
            let name = format!("{}.{part}", self.known.nodes[node]);
            layout.tensors.get(name.as_str()).map(|t| &t.shape[..])
        };
        // a weight that is missing is one problem, not one for every layer behind it
        let outputs = |node: usize, published: usize| {
            let found = shape(node, "weight").or_else(|| shape(node, "bias"));
            found.and_then(|s| s.first()).copied().unwrap_or(published)
        };
        let last_pool = self
            .known
            .base
            .nodes()
            .iter()
            .rposition(|n| matches!(n.op, Op::MaxPool(_)));
        // channels of a map, or features of a vector, behind each node
        let mut sizes: Vec<usize> = Vec::new();
        let mut nodes = Vec::new();
        for (id, node) in self.known.base.iter() {
            let mut node = node.clone();
            let input = node.inputs.first().copied();
            let before = input.map_or(0, |input| sizes[input.0]);
            let size = match &mut node.op {
                Op::Input { shape: image } => {
                    let mut all = self.known.base.iter();
                    let first = all.find(|(_, n)| matches!(n.op, Op::Conv2d(_)));
                    if let Some(&[_, channels, ..]) =
                        first.and_then(|(id, _)| shape(id.0, "weight"))
                    {
                        image[0] = channels;
                    }
                    image[0]
                }
                Op::Conv2d(conv) => {
                    let depthwise = conv.groups > 1;
                    conv.inputs = before;
                    conv.bias &= !self.unbiased;
                    conv.outputs = outputs(id.0, conv.outputs);
                    if depthwise {
                        conv.groups = before;
                    }
                    conv.outputs
                }
                Op::Linear {
                    inputs,
                    outputs: classes,
                } => {
                    *inputs = before;
                    *classes = outputs(id.0, *classes);
                    *classes
                }
                Op::BatchNorm { channels, .. } => {
                    *channels = before;
                    before
                }
                Op::Flatten => input.map_or(0, |input| {
                    before * self.known.base.shape(input)[1..].iter().product::<usize>()
                }),
                op @ Op::MaxPool(_) if average && Some(id.0) == last_pool => {
                    *op = Op::AvgPool(Pool::new(2, 2));
                    before
                }
                Op::ConvTranspose2d(conv) => {
                    conv.inputs = before;
                    // its weights have the inputs first
                    let found = shape(id.0, "weight").and_then(|s| s.get(1));
                    conv.outputs = found.copied().unwrap_or(conv.outputs);
                    conv.outputs
                }
                Op::ChannelMean | Op::ChannelMax => 1,
                Op::Mul => node
                    .inputs
                    .iter()
                    .map(|input| sizes[input.0])
                    .fold(0, usize::max),
                Op::Concat => node.inputs.iter().map(|input| sizes[input.0]).sum(),
                _ => before,
            };
            sizes.push(size);
            nodes.push(node);
        }
        nodes
    }

    /// Takes the tensors, or lists everything that keeps them from fitting.
    fn fit(self, layout: &Layout<'_>) -> Result<Fit, Refusal> {
        let mut problems = Vec::new();
        let widths = widths(&self.adapted(layout, false));
        let average = match layout.cfg.as_deref().map(|cfg| compare(cfg, &widths)) {
            None => self.known.naming.ends_in_average,
            Some(Ok(average)) => average,
            Some(Err(problem)) => {
                problems.push(problem);
                false
            }
        };
        let nodes = self.adapted(layout, average);
        let mut names = BTreeMap::new();
        let mut known = BTreeSet::new();
        for (ours, theirs, expected) in self.tensors(&nodes) {
            match layout.tensors.get(theirs.as_str()) {
                None => problems.push(format!("missing  {theirs} {expected:?}")),
                Some(found) if !same_shape(&found.shape, &expected) => problems.push(format!(
                    "shape    {theirs} is {:?}, expected {expected:?}",
                    found.shape
                )),
                Some(_) => {}
            }
            known.insert(theirs.clone());
            names.insert(ours, theirs);
        }
        let unknown = |(name, _): &(&&str, &TensorView<'_>)| !known.contains(**name);
        problems.extend(
            layout
                .tensors
                .iter()
                .filter(unknown)
                .map(|(name, view)| format!("unknown  {} {:?}", excerpt(name), view.shape)),
        );
        if let Op::Input { shape } = nodes[0].op
            && !matches!(shape[0], 1 | 3)
        {
            problems.push(format!(
                "image    has {} channels, expected 1 or 3",
                shape[0]
            ));
        }
        if !problems.is_empty() {
            return Err(Refusal::Mismatch(Mismatch {
                architecture: self.known.base.name().to_owned(),
                naming: self.known.naming.name,
                problems,
            }));
        }
        Ok(Fit {
            graph: Graph::new(self.known.base.name(), nodes)?,
            naming: self.known.naming.name,
            names,
        })
    }
}

/// Whether two shapes are equal; a linear layer may be a 1×1 convolution in the other system.
fn same_shape(theirs: &[usize], ours: &[usize]) -> bool {
    let bare = |shape: &[usize]| match *shape {
        [outputs, inputs, 1, 1] => [outputs, inputs].to_vec(),
        _ => shape.to_vec(),
    };
    bare(theirs) == bare(ours)
}

/// What `cfg` says of a network, from its nodes.
fn widths(nodes: &[Node]) -> Vec<Unit> {
    let unit = |node: &Node| match &node.op {
        Op::Conv2d(conv) => Some(Unit::Channels(conv.outputs)),
        Op::MaxPool(_) => Some(Unit::Pool),
        _ => None,
    };
    nodes.iter().filter_map(unit).collect()
}

/// Whether a `cfg` that says what the tensors say leaves the last pooling to an average, as
/// network-slimming's does.
fn compare(cfg: &[Unit], tensors: &[Unit]) -> Result<bool, String> {
    if cfg == tensors {
        return Ok(false);
    }
    match tensors.split_last() {
        Some((Unit::Pool, rest)) if cfg == rest => Ok(true),
        _ => Err(format!(
            "cfg      is [{}], the tensors are [{}]",
            list(cfg),
            list(tensors)
        )),
    }
}

fn list(units: &[Unit]) -> String {
    // no network of ours has more
    let texts: Vec<String> = units
        .iter()
        .take(64)
        .map(|unit| match unit {
            Unit::Channels(n) => n.to_string(),
            Unit::Pool => "M".into(),
        })
        .collect();
    texts.join(", ")
}
