//! Inception v3 with torchvision's names (Szegedy et al., 2016), 299×299 pixels.
//!
//! The classifier in the middle only helps training and is left out; an import leaves out its tensors. torchvision
//! can shift and scale the channels of the image first (`transform_input`); here that is the manifest's mean and
//! standard deviation.

use super::Architecture;
use super::builder::GraphBuilder;
use super::googlenet::unit;
use crate::graph::{Border, Conv2d, Graph, GraphError, NodeId, Op, Pool};

/// One convolution: name, kernel, outputs.
type Layer = (&'static str, [usize; 2], usize);

/// What stands beside a module's convolutions.
#[derive(Clone, Copy)]
enum Beside {
    /// A 3×3 average and a 1×1 convolution to that many channels, `branch_pool`.
    Average(usize),
    /// A 3×3 maximum with stride 2; the last convolution of each branch has that stride too, and no padding.
    Halving,
}

const ONE: [usize; 2] = [1, 1];
const THREE: [usize; 2] = [3, 3];
const FLAT: [usize; 2] = [1, 7];
const TALL: [usize; 2] = [7, 1];

/// Modules without forks, in order: name, branches, what stands beside them.
fn modules() -> Vec<(&'static str, Vec<Vec<Layer>>, Beside)> {
    let double = vec![
        ("branch3x3dbl_1", ONE, 64),
        ("branch3x3dbl_2", THREE, 96),
        ("branch3x3dbl_3", THREE, 96),
    ];
    let fives = |pooled| {
        let branches = vec![
            vec![("branch1x1", ONE, 64)],
            vec![("branch5x5_1", ONE, 48), ("branch5x5_2", [5, 5], 64)],
            double.clone(),
        ];
        (branches, Beside::Average(pooled))
    };
    let sevens = |narrow| {
        let branches = vec![
            vec![("branch1x1", ONE, 192)],
            vec![
                ("branch7x7_1", ONE, narrow),
                ("branch7x7_2", FLAT, narrow),
                ("branch7x7_3", TALL, 192),
            ],
            vec![
                ("branch7x7dbl_1", ONE, narrow),
                ("branch7x7dbl_2", TALL, narrow),
                ("branch7x7dbl_3", FLAT, narrow),
                ("branch7x7dbl_4", TALL, narrow),
                ("branch7x7dbl_5", FLAT, 192),
            ],
        ];
        (branches, Beside::Average(192))
    };
    let first_half = vec![vec![("branch3x3", THREE, 384)], double.clone()];
    let second_half = vec![
        vec![("branch3x3_1", ONE, 192), ("branch3x3_2", THREE, 320)],
        vec![
            ("branch7x7x3_1", ONE, 192),
            ("branch7x7x3_2", FLAT, 192),
            ("branch7x7x3_3", TALL, 192),
            ("branch7x7x3_4", THREE, 192),
        ],
    ];
    [
        ("Mixed_5b", fives(32)),
        ("Mixed_5c", fives(64)),
        ("Mixed_5d", fives(64)),
        ("Mixed_6a", (first_half, Beside::Halving)),
        ("Mixed_6b", sevens(128)),
        ("Mixed_6c", sevens(160)),
        ("Mixed_6d", sevens(160)),
        ("Mixed_6e", sevens(192)),
        ("Mixed_7a", (second_half, Beside::Halving)),
    ]
    .into_iter()
    .map(|(name, (branches, beside))| (name, branches, beside))
    .collect()
}

pub(super) fn build(arch: &Architecture, classes: usize) -> Result<Graph, GraphError> {
    let (mut b, x) = GraphBuilder::new(arch.image());
    b.norm_eps(1e-3);
    let mut x = stem(&mut b, arch, x);
    for (name, branches, beside) in modules() {
        x = module(&mut b, arch, name, x, &branches, beside);
    }
    for name in ["Mixed_7b", "Mixed_7c"] {
        x = forked(&mut b, arch, name, x);
    }
    x = b.push("avgpool", Op::GlobalAvgPool, &[x]);
    x = b.dropout("dropout", x, arch.dropout);
    b.dense("fc", x, classes);
    b.finish(arch.name.clone())
}

/// Everything before the first module: about an eighth of the side is left.
fn stem(b: &mut GraphBuilder, arch: &Architecture, mut x: NodeId) -> NodeId {
    for (name, side, outputs, stride, padding, pool) in [
        ("Conv2d_1a_3x3", 3, 32, 2, 0, None),
        ("Conv2d_2a_3x3", 3, 32, 1, 0, None),
        ("Conv2d_2b_3x3", 3, 64, 1, 1, Some("maxpool1")),
        ("Conv2d_3b_1x1", 1, 80, 1, 0, None),
        ("Conv2d_4a_3x3", 3, 192, 1, 0, Some("maxpool2")),
    ] {
        let conv = Conv2d {
            stride,
            padding: Border::all(padding),
            ..Conv2d::square(b.channels(x), arch.scale(outputs), side)
        };
        x = unit(b, name, x, conv);
        if let Some(pool) = pool {
            x = b.max_pool(pool, x, [3, 2, 0]);
        }
    }
    x
}

/// A convolution that keeps the map's size.
fn same(
    b: &mut GraphBuilder,
    arch: &Architecture,
    module: &str,
    from: NodeId,
    (name, kernel, outputs): Layer,
) -> NodeId {
    let conv = keeping(b.channels(from), arch.scale(outputs), kernel);
    unit(b, &format!("{module}.{name}"), from, conv)
}

fn keeping(inputs: usize, outputs: usize, kernel: [usize; 2]) -> Conv2d {
    Conv2d {
        kernel,
        padding: Border::sides(kernel[0] / 2, kernel[1] / 2),
        ..Conv2d::square(inputs, outputs, 1)
    }
}

fn module(
    b: &mut GraphBuilder,
    arch: &Architecture,
    name: &str,
    from: NodeId,
    branches: &[Vec<Layer>],
    beside: Beside,
) -> NodeId {
    let mut ends = Vec::new();
    for branch in branches {
        let mut x = from;
        for (i, &(part, kernel, outputs)) in branch.iter().enumerate() {
            let mut conv = keeping(b.channels(x), arch.scale(outputs), kernel);
            if matches!(beside, Beside::Halving) && i + 1 == branch.len() {
                (conv.stride, conv.padding) = (2, Border::NONE);
            }
            x = unit(b, &format!("{name}.{part}"), x, conv);
        }
        ends.push(x);
    }
    ends.push(match beside {
        Beside::Average(outputs) => averaged(b, arch, name, from, outputs),
        Beside::Halving => b.max_pool(format!("{name}.pool"), from, [3, 2, 0]),
    });
    b.push(format!("{name}.concat"), Op::Concat, &ends)
}

fn averaged(
    b: &mut GraphBuilder,
    arch: &Architecture,
    name: &str,
    from: NodeId,
    outputs: usize,
) -> NodeId {
    let pool = Pool {
        padding: Border::all(1),
        ..Pool::new(3, 1)
    };
    let x = b.push(format!("{name}.pool"), Op::AvgPool(pool), &[from]);
    same(b, arch, name, x, ("branch_pool", ONE, outputs))
}

/// A module of the last stage: two of its branches fork into a flat and a tall kernel.
fn forked(b: &mut GraphBuilder, arch: &Architecture, name: &str, from: NodeId) -> NodeId {
    let mut ends = vec![same(b, arch, name, from, ("branch1x1", ONE, 320))];
    let three = same(b, arch, name, from, ("branch3x3_1", ONE, 384));
    let double = same(b, arch, name, from, ("branch3x3dbl_1", ONE, 448));
    let double = same(b, arch, name, double, ("branch3x3dbl_2", THREE, 384));
    for (x, flat, tall) in [
        (three, "branch3x3_2a", "branch3x3_2b"),
        (double, "branch3x3dbl_3a", "branch3x3dbl_3b"),
    ] {
        ends.push(same(b, arch, name, x, (flat, [1, 3], 384)));
        ends.push(same(b, arch, name, x, (tall, [3, 1], 384)));
    }
    ends.push(averaged(b, arch, name, from, 192));
    b.push(format!("{name}.concat"), Op::Concat, &ends)
}
