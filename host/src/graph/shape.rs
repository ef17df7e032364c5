//! Shape inference: what each node gives, and whether it can.

use std::collections::HashSet;

use super::error::GraphError;
use super::ir::{Conv2d, ConvTranspose2d, Node, NodeId, Op, Pool};
use crate::ops::conv::ConvGeometry;
use crate::ops::pool::PoolGeometry;

/// No dimension, kernel or stride of a network for faces is near this.
const LARGEST: usize = 1 << 16;
/// Nor are the numbers of one map: a file that lies must not make the process ask for more memory than there is.
const LARGEST_MAP: usize = 1 << 24;

impl Conv2d {
    /// The kernel geometry for `batch` maps of `size` pixels.
    pub fn geometry(&self, batch: usize, size: [usize; 2]) -> ConvGeometry {
        ConvGeometry {
            batch,
            inputs: self.inputs,
            size,
            outputs: self.outputs,
            kernel: self.kernel,
            stride: self.stride,
            before: self.padding.before(),
            after: self.padding.after(),
            dilation: self.dilation,
            groups: self.groups,
        }
    }
}

impl ConvTranspose2d {
    /// The product behind it for `batch` maps of `size` pixels: a 1×1 convolution to all channels of a block.
    pub fn geometry(&self, batch: usize, size: [usize; 2]) -> ConvGeometry {
        Conv2d::square(self.inputs, self.outputs * self.kernel * self.kernel, 1)
            .geometry(batch, size)
    }
}

impl Pool {
    /// The kernel geometry for `batch` maps of `channels` channels and `size` pixels.
    pub fn geometry(&self, batch: usize, [channels, h, w]: [usize; 3]) -> PoolGeometry {
        PoolGeometry {
            batch,
            channels,
            size: [h, w],
            kernel: self.kernel,
            stride: self.stride,
            before: self.padding.before(),
            after: self.padding.after(),
        }
    }
}

/// The output shapes of all nodes, without the batch.
pub(super) fn infer(nodes: &[Node]) -> Result<Vec<Vec<usize>>, GraphError> {
    let mut shapes: Vec<Vec<usize>> = Vec::with_capacity(nodes.len());
    let mut names = HashSet::new();
    for (index, node) in nodes.iter().enumerate() {
        let fail = |problem: String| GraphError::Node {
            node: node.name.clone(),
            problem,
        };
        if !names.insert(&node.name) {
            return Err(fail("a second node of this name".into()));
        }
        if matches!(node.op, Op::Input { .. }) != (index == 0) {
            return Err(fail("the input must be the first node and no other".into()));
        }
        if let Some(NodeId(late)) = node.inputs.iter().find(|id| id.0 >= index) {
            return Err(fail(format!("reads node {late}, which is not before it")));
        }
        let inputs: Vec<&[usize]> = node.inputs.iter().map(|id| &shapes[id.0][..]).collect();
        shapes.push(output_shape(&node.op, &inputs).map_err(fail)?);
    }
    match shapes.last().map(Vec::as_slice) {
        Some([_classes]) => Ok(shapes),
        Some(shape) => Err(GraphError::Node {
            node: nodes[nodes.len() - 1].name.clone(),
            problem: format!("the last node must give one row of logits, gives {shape:?}"),
        }),
        None => Err(GraphError::Node {
            node: "input".into(),
            problem: "the graph has no nodes".into(),
        }),
    }
}

fn one<'a>(inputs: &[&'a [usize]]) -> Result<&'a [usize], String> {
    match inputs {
        [shape] => Ok(shape),
        _ => Err(format!("reads {} nodes, expected 1", inputs.len())),
    }
}

fn map_of(inputs: &[&[usize]]) -> Result<[usize; 3], String> {
    let shape = one(inputs)?;
    <[usize; 3]>::try_from(shape)
        .map_err(|_| format!("reads shape {shape:?}, expected [channels, height, width]"))
}

fn in_range(what: &str, value: usize) -> Result<(), String> {
    if (1..=LARGEST).contains(&value) {
        Ok(())
    } else {
        Err(format!("{what} is {value}, expected 1 to {LARGEST}"))
    }
}

fn expect(what: &str, found: usize, expected: usize) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: reads {found}, expected {expected}"))
    }
}

/// The output shape of one operator on inputs of these shapes.
pub(super) fn output_shape(op: &Op, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
    let shape = given(op, inputs)?;
    let numbers = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if !numbers.is_some_and(|numbers| (1..=LARGEST_MAP).contains(&numbers)) {
        return Err(format!(
            "reads {inputs:?}, which would give an impossible shape {shape:?}"
        ));
    }
    Ok(shape)
}

fn given(op: &Op, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
    match op {
        Op::Input { shape } => {
            if !inputs.is_empty() {
                return Err("an input reads nothing".into());
            }
            shape.iter().try_for_each(|&d| in_range("a side", d))?;
            Ok(shape.to_vec())
        }
        Op::Conv2d(conv) => {
            let [c, h, w] = map_of(inputs)?;
            let parts = [
                ("inputs", conv.inputs),
                ("outputs", conv.outputs),
                ("kernel height", conv.kernel[0]),
                ("kernel width", conv.kernel[1]),
                ("stride", conv.stride),
                ("dilation", conv.dilation),
                ("groups", conv.groups),
            ];
            parts.iter().try_for_each(|&(what, v)| in_range(what, v))?;
            let border = conv.padding.list();
            border
                .iter()
                .try_for_each(|p| in_range("padding + 1", p.saturating_add(1)))?;
            expect("channels", c, conv.inputs)?;
            if conv.inputs % conv.groups != 0 || conv.outputs % conv.groups != 0 {
                return Err(format!(
                    "{} groups do not divide {} inputs and {} outputs",
                    conv.groups, conv.inputs, conv.outputs
                ));
            }
            let [oh, ow] = conv.geometry(1, [h, w]).output_size();
            Ok(vec![conv.outputs, oh, ow])
        }
        Op::ConvTranspose2d(conv) => {
            let [c, h, w] = map_of(inputs)?;
            in_range("outputs", conv.outputs)?;
            in_range("kernel", conv.kernel)?;
            expect("channels", c, conv.inputs)?;
            let channels = conv.kernel * conv.kernel * conv.outputs;
            if channels > LARGEST {
                return Err(format!(
                    "blocks of {channels} numbers, expected at most {LARGEST}"
                ));
            }
            Ok(vec![conv.outputs, h * conv.kernel, w * conv.kernel])
        }
        Op::MaxPool(pool) | Op::AvgPool(pool) => {
            let [c, h, w] = map_of(inputs)?;
            in_range("kernel", pool.kernel)?;
            in_range("stride", pool.stride)?;
            if pool.kernel > PoolGeometry::LARGEST_KERNEL {
                return Err(format!(
                    "a window of {} pixels, expected at most {}",
                    pool.kernel,
                    PoolGeometry::LARGEST_KERNEL
                ));
            }
            // every window must hold a pixel of the map
            if let Some(wide) = pool.padding.list().iter().find(|&&p| p >= pool.kernel) {
                return Err(format!(
                    "padding {wide} is as wide as the window {}",
                    pool.kernel
                ));
            }
            let [oh, ow] = pool.geometry(1, [c, h, w]).output_size();
            Ok(vec![c, oh, ow])
        }
        Op::BatchNorm { channels, eps } => {
            let shape = one(inputs)?;
            expect("channels", shape.first().copied().unwrap_or(0), *channels)?;
            if !(*eps > 0.0 && eps.is_finite()) {
                return Err(format!("eps is {eps}, expected a positive number"));
            }
            Ok(shape.to_vec())
        }
        Op::Relu | Op::Sigmoid | Op::Softmax => Ok(one(inputs)?.to_vec()),
        Op::Dropout { p } => {
            if !(0.0..1.0).contains(p) {
                return Err(format!("p is {p}, expected 0 up to 1"));
            }
            Ok(one(inputs)?.to_vec())
        }
        Op::GlobalAvgPool => Ok(vec![map_of(inputs)?[0]]),
        Op::ChannelMean | Op::ChannelMax => {
            let [_, h, w] = map_of(inputs)?;
            Ok(vec![1, h, w])
        }
        Op::Flatten => Ok(vec![map_of(inputs)?.iter().product()]),
        Op::Linear {
            inputs: features,
            outputs,
        } => {
            let shape = one(inputs)?;
            let [found] = shape else {
                return Err(format!("reads shape {shape:?}, expected [features]"));
            };
            expect("features", *found, *features)?;
            in_range("outputs", *outputs)?;
            Ok(vec![*outputs])
        }
        Op::Add => match inputs {
            [a, b] if a == b => Ok(a.to_vec()),
            _ => Err(format!("reads {inputs:?}, expected two equal shapes")),
        },
        Op::Mul => match inputs {
            [a, b] if a == b => Ok(a.to_vec()),
            [a, b] => repeated(a, b).ok_or_else(|| {
                format!("reads {inputs:?}, expected two equal shapes or a map and its gate")
            }),
            _ => Err(format!("reads {} nodes, expected 2", inputs.len())),
        },
        Op::Concat => match inputs {
            [[_, h, w], ..] if inputs.iter().all(|s| s.len() == 3 && s[1..] == [*h, *w]) => {
                Ok(vec![inputs.iter().map(|s| s[0]).sum(), *h, *w])
            }
            [[_], ..] if inputs.iter().all(|s| s.len() == 1) => {
                Ok(vec![inputs.iter().map(|s| s[0]).sum()])
            }
            _ => Err(format!("reads {inputs:?}, expected maps of one size")),
        },
        Op::Beside => match inputs {
            [[c, h, _], ..] if inputs.iter().all(|s| s.len() == 3 && s[..2] == [*c, *h]) => {
                Ok(vec![*c, *h, inputs.iter().map(|s| s[2]).sum()])
            }
            _ => Err(format!(
                "reads {inputs:?}, expected maps of as many channels and rows"
            )),
        },
    }
}

/// The shape of a product whose sides are repeated over channels or pixels; at least one side is a map.
fn repeated(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let [a, b] = match (a.len(), b.len()) {
        (3, 1) | (1, 3) | (3, 3) => [a, b].map(|s| match *s {
            [c, h, w] => [c, h, w],
            _ => [s[0], 1, 1],
        }),
        _ => return None,
    };
    let channels = a[0] == b[0] || a[0] == 1 || b[0] == 1;
    let pixels = a[1..] == b[1..] || a[1..] == [1, 1] || b[1..] == [1, 1];
    (channels && pixels).then(|| (0..3).map(|i| a[i].max(b[i])).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Border;
    use super::*;

    /// It would be 69 GB of floats for one image.
    #[test]
    fn a_map_that_no_memory_holds_is_refused() {
        let conv = |padding| {
            Op::Conv2d(Conv2d {
                inputs: 1,
                outputs: 1,
                kernel: [1; 2],
                stride: 1,
                padding: Border::all(padding),
                dilation: 1,
                groups: 1,
                bias: false,
            })
        };
        let shape = |padding| output_shape(&conv(padding), &[&[1, 44, 44]]);
        assert_eq!(shape(100).unwrap(), [1, 244, 244]);
        assert!(shape(65_535).unwrap_err().contains("131114"));
    }
}
