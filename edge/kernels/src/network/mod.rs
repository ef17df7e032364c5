//! A network as a list of steps over maps.

mod build;
mod error;
mod step;

use std::sync::Arc;

use crate::aligned::Aligned;
use crate::isa::Isa;
use crate::map::{Layout, Shape};
use crate::pixels::Places;
use crate::pointwise;
pub use build::{Builder, Map};
pub use error::Error;
use step::Step;

/// What the 8-bit integers of a map stand for: `(byte - zero) · scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bytes {
    /// The step between two integers.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero: u8,
}

/// What a map is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Element {
    /// 32-bit floats.
    Float,
    /// 8-bit integers.
    Byte(Bytes),
}

/// A map between two steps.
#[derive(Debug)]
struct Spec {
    layout: Layout,
    element: Element,
    /// Numbers behind the last one, which kernels may read without using them.
    slack: usize,
}

/// Layers with packed weights. Made by [`Builder`].
#[derive(Debug)]
pub struct Network {
    /// Unlike any other network's.
    id: Arc<()>,
    isa: Isa,
    maps: Vec<Spec>,
    steps: Vec<Step>,
    output: usize,
}

/// The maps of a run. It belongs to the network that first ran on it.
#[derive(Debug, Default)]
pub struct Workspace {
    /// The `id` of the network whose maps these are; none before the first run.
    network: Option<Arc<()>>,
    pictures: usize,
    buffers: Vec<Buffer>,
    /// For each step, where its outputs lie, if it is a convolution pixel by pixel.
    places: Vec<Option<Places>>,
    sums: Vec<i32>,
    /// Transformed tiles and their products.
    scratch: Aligned<f32>,
}

#[derive(Debug)]
enum Buffer {
    Floats(Aligned<f32>),
    Bytes(Aligned<u8>),
}

impl Default for Buffer {
    fn default() -> Self {
        Buffer::Floats(Aligned::default())
    }
}

impl Network {
    /// The instructions it runs on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Size of a picture.
    pub fn input(&self) -> Shape {
        self.maps[0].layout.shape
    }

    /// Size of what it makes of a picture.
    pub fn output(&self) -> Shape {
        self.maps[self.output].layout.shape
    }

    /// Convolutions of floats and of integers.
    pub fn convolutions(&self) -> (usize, usize) {
        let count = |kind: fn(&Step) -> bool| self.steps.iter().filter(|s| kind(s)).count();
        (
            count(|step| matches!(step, Step::Float { .. } | Step::Tiled { .. })),
            count(|step| matches!(step, Step::Integer { .. })),
        )
    }

    /// Bytes of packed weights, all of which each run reads.
    pub fn weight_bytes(&self) -> usize {
        self.steps.iter().map(Step::weight_bytes).sum()
    }

    /// Multiplications of a picture's run, those with padding included.
    pub fn multiply_adds(&self) -> usize {
        let of = |step: &Step| step.multiply_adds(&self.maps);
        self.steps.iter().map(of).sum()
    }

    /// A workspace, empty until the first run.
    pub fn workspace(&self) -> Workspace {
        Workspace::default()
    }

    /// Runs pictures `[pictures, channels, rows, columns]`; `scores` becomes `[pictures, outputs]`, channels last.
    ///
    /// The workspace takes memory when there are more pictures than ever before.
    ///
    /// # Errors
    /// When `faces` aren't whole pictures or `scores` has not as many outputs, and when the workspace comes from another
    /// network.
    pub fn run(
        &self,
        workspace: &mut Workspace,
        faces: &[f32],
        scores: &mut [f32],
    ) -> Result<(), Error> {
        let pictures = faces.len() / self.input().len();
        Error::size(
            "numbers of the pictures",
            pictures * self.input().len(),
            faces.len(),
        )?;
        Error::size(
            "numbers of the output",
            pictures * self.output().len(),
            scores.len(),
        )?;
        if pictures == 0 {
            return Ok(());
        }
        workspace.grow(self, pictures)?;
        let Buffer::Floats(input) = &mut workspace.buffers[0] else {
            return Err(Error::Workspace);
        };
        pointwise::interleave(faces, &self.maps[0].layout, input);
        for (index, step) in self.steps.iter().enumerate() {
            step.run(&self.maps, workspace, index, pictures)?;
        }
        let spec = &self.maps[self.output];
        let Buffer::Floats(output) = &workspace.buffers[self.output] else {
            return Err(Error::Workspace);
        };
        let row = spec.layout.shape.width * spec.layout.shape.channels;
        for (to, from) in scores.chunks_exact_mut(row).zip(spec.layout.rows(pictures)) {
            to.copy_from_slice(&output[from..from + row]);
        }
        Ok(())
    }
}

impl Workspace {
    /// Makes room for `pictures` pictures of `network`.
    fn grow(&mut self, network: &Network, pictures: usize) -> Result<(), Error> {
        // Maps of the same sizes may still lie differently, or be padded with another zero.
        let is_another = |id: &Arc<()>| !Arc::ptr_eq(id, &network.id);
        if self.network.as_ref().is_some_and(is_another) {
            return Err(Error::Workspace);
        }
        if self.pictures < pictures {
            let len = |spec: &Spec| spec.layout.len(pictures) + spec.slack;
            // places are 32-bit
            if let Some(spec) = network.maps.iter().find(|s| len(s) >= u32::MAX as usize) {
                return Err(Error::Size {
                    what: "numbers of a map",
                    expected: u32::MAX as usize,
                    found: len(spec),
                });
            }
            let buffer = |spec: &Spec| match spec.element {
                Element::Float => Buffer::Floats(Aligned::zeroed(len(spec))),
                Element::Byte(bytes) => {
                    let mut buffer = Aligned::zeroed(len(spec));
                    // steps write pixels only, so the padding stays
                    buffer.fill(bytes.zero);
                    Buffer::Bytes(buffer)
                }
            };
            let places = |step: &Step| step.places(&network.maps, pictures);
            *self = Self {
                network: Some(Arc::clone(&network.id)),
                pictures,
                buffers: network.maps.iter().map(buffer).collect(),
                places: network.steps.iter().map(places).collect(),
                scratch: Aligned::zeroed(
                    network.steps.iter().map(Step::scratch).max().unwrap_or(0),
                ),
                sums: vec![
                    0;
                    network
                        .maps
                        .iter()
                        .map(|m| m.layout.shape.channels)
                        .max()
                        .unwrap_or(0)
                ],
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Window;

    /// The sums of all windows of 2×2.
    fn network([height, width]: [usize; 2]) -> Network {
        let input = Shape {
            height,
            width,
            channels: 1,
        };
        let window = Window {
            kernel: [2, 2],
            stride: [1, 1],
            pads: [0; 4],
        };
        let mut builder = Builder::new(Isa::Portable, input).unwrap();
        let map = builder
            .conv(builder.input(), window, &[1.0; 4], &[0.0], false)
            .unwrap();
        builder.finish(map).unwrap()
    }

    #[test]
    fn a_workspace_of_another_network_is_refused_and_stays_with_its_own() {
        // the last two need equally much memory
        for [own, other] in [[[4, 4], [44, 44]], [[44, 44], [4, 4]], [[3, 5], [5, 3]]] {
            let (own, other) = (network(own), network(other));
            let mut workspace = own.workspace();
            let mut run = |network: &Network, pictures: usize| {
                let faces = vec![1.0; pictures * network.input().len()];
                let mut scores = vec![0.0; pictures * network.output().len()];
                let result = network.run(&mut workspace, &faces, &mut scores);
                result.map(|()| scores)
            };
            let sums = vec![4.0; own.output().len()];
            assert_eq!(run(&own, 1), Ok(sums.clone()));
            assert_eq!(run(&other, 1), Err(Error::Workspace));
            assert_eq!(run(&other, 2), Err(Error::Workspace));
            assert_eq!(run(&own, 1), Ok(sums));
        }
    }
}
