//! One layer over maps.

use super::{Buffer, Bytes, Error, Spec, Workspace};
use crate::map::Window;
use crate::pixels::Places;
use crate::quant::{self, Limits, Target};
use crate::{float, pointwise, pool};

/// A layer. `from` and `to` are indices of maps.
#[derive(Debug)]
pub(super) enum Step {
    Float {
        conv: float::Conv,
        from: usize,
        to: usize,
    },
    Tiled {
        conv: float::Winograd,
        from: usize,
        to: usize,
    },
    Integer {
        conv: quant::Conv,
        from: usize,
        to: usize,
    },
    MaxPool {
        window: Window,
        from: usize,
        to: usize,
    },
    AveragePool {
        window: Window,
        padding: bool,
        bytes: Option<pool::Bytes>,
        from: usize,
        to: usize,
    },
    Add {
        relu: bool,
        bytes: Option<pointwise::AddBytes>,
        from: [usize; 2],
        to: usize,
    },
    Quantize {
        scale: f32,
        limits: Limits,
        from: usize,
        to: usize,
    },
    Dequantize {
        bytes: Bytes,
        from: usize,
        to: usize,
    },
}

impl Step {
    /// Bytes of packed weights.
    pub(super) fn weight_bytes(&self) -> usize {
        match self {
            Step::Float { conv, .. } => conv.bytes(),
            Step::Tiled { conv, .. } => conv.bytes(),
            Step::Integer { conv, .. } => conv.bytes(),
            _ => 0,
        }
    }

    /// Multiplications for a picture.
    pub(super) fn multiply_adds(&self, maps: &[Spec]) -> usize {
        let (window, from, to) = match self {
            Step::Float { conv, from, to } => (conv.window, *from, *to),
            Step::Tiled { conv, from, to } => (conv.window, *from, *to),
            Step::Integer { conv, from, to } => (conv.window, *from, *to),
            _ => return 0,
        };
        let [height, width] = window.kernel;
        maps[to].layout.shape.len() * height * width * maps[from].layout.shape.channels
    }

    /// Gives the maps that it reads the border that it needs.
    pub(super) fn widen(&self, maps: &mut [Spec]) {
        let (window, from, slack) = match self {
            Step::Float { conv, from, .. } => (conv.window, *from, 0),
            Step::Tiled { conv, from, .. } => (conv.window, *from, 0),
            Step::Integer { conv, from, .. } => {
                let inputs = maps[*from].layout.shape.channels;
                (conv.window, *from, conv.slack(inputs))
            }
            _ => return,
        };
        let [top, left, bottom, right] = window.pads;
        let map = &mut maps[from];
        map.layout.gap = map.layout.gap.max(left).max(right);
        map.layout.gap_rows = map.layout.gap_rows.max(top).max(bottom);
        map.slack = map.slack.max(slack);
    }

    /// Floats that it needs room for besides its maps.
    pub(super) fn scratch(&self) -> usize {
        match self {
            Step::Tiled { conv, .. } => conv.scratch(),
            _ => 0,
        }
    }

    /// Where its outputs lie, if it is a convolution pixel by pixel.
    pub(super) fn places(&self, maps: &[Spec], pictures: usize) -> Option<Places> {
        match self {
            Step::Float { conv, from, to } => Some(Places::pixels(
                &conv.window,
                &maps[*from].layout,
                &maps[*to].layout,
                pictures,
            )),
            Step::Integer { conv, from, to } => {
                Some(conv.places(&maps[*from].layout, &maps[*to].layout, pictures))
            }
            _ => None,
        }
    }

    /// Runs it for `pictures` pictures.
    pub(super) fn run(
        &self,
        maps: &[Spec],
        workspace: &mut Workspace,
        index: usize,
        pictures: usize,
    ) -> Result<(), Error> {
        let to = self.target();
        // out of the list meanwhile, so that the others can be read; no layer reads what it writes
        let mut target = std::mem::take(&mut workspace.buffers[to]);
        let done = self.compute(maps, workspace, index, pictures, &mut target);
        workspace.buffers[to] = target;
        done.ok_or(Error::Workspace)
    }

    fn target(&self) -> usize {
        match self {
            Step::Float { to, .. }
            | Step::Tiled { to, .. }
            | Step::Integer { to, .. }
            | Step::MaxPool { to, .. }
            | Step::AveragePool { to, .. }
            | Step::Add { to, .. }
            | Step::Quantize { to, .. }
            | Step::Dequantize { to, .. } => *to,
        }
    }

    /// `None` when the workspace's buffers are another network's.
    fn compute(
        &self,
        maps: &[Spec],
        workspace: &mut Workspace,
        index: usize,
        pictures: usize,
        target: &mut Buffer,
    ) -> Option<()> {
        use Buffer::{Bytes, Floats};
        let Workspace {
            buffers,
            places,
            sums,
            scratch,
            ..
        } = workspace;
        let layout = |map: usize| &maps[map].layout;
        match (self, target) {
            (Step::Float { conv, from, .. }, Floats(to)) => {
                let places = places[index].as_ref()?;
                conv.run(
                    (places, pictures),
                    layout(*from),
                    buffers[*from].floats()?,
                    to,
                );
            }
            (Step::Tiled { conv, from, to }, Floats(y)) => conv.run(
                pictures,
                (layout(*from), buffers[*from].floats()?),
                (layout(*to), y),
                scratch,
            ),
            (Step::Integer { conv, from, .. }, target) => {
                let places = places[index].as_ref()?;
                let target = match target {
                    Floats(to) => Target::Floats(to),
                    Bytes(to) => Target::Bytes(to),
                };
                conv.run(
                    (places, pictures),
                    layout(*from),
                    buffers[*from].bytes()?,
                    target,
                );
            }
            (Step::MaxPool { window, from, to }, target) => {
                let window = (window, pictures);
                match (&buffers[*from], target) {
                    (Floats(x), Floats(y)) => {
                        pool::max(window, (layout(*from), x), (layout(*to), y))
                    }
                    (Bytes(x), Bytes(y)) => pool::max(window, (layout(*from), x), (layout(*to), y)),
                    _ => return None,
                }
            }
            (
                Step::AveragePool {
                    window,
                    padding,
                    bytes,
                    from,
                    to,
                },
                target,
            ) => {
                let window = (window, pictures);
                let from_layout = layout(*from);
                match (&buffers[*from], target, bytes) {
                    (Floats(x), Floats(y), None) => {
                        pool::average(window, *padding, (from_layout, x), (layout(*to), y));
                    }
                    (Bytes(x), Bytes(y), Some(bytes)) => pool::average_bytes(
                        window,
                        (*padding, *bytes),
                        (from_layout, x),
                        (layout(*to), y),
                        sums,
                    ),
                    _ => return None,
                }
            }
            (
                Step::Add {
                    relu,
                    bytes,
                    from: [a, b],
                    to,
                },
                target,
            ) => match (&buffers[*a], &buffers[*b], target, bytes) {
                (Floats(x), Floats(y), Floats(z), None) => pointwise::add(
                    (pictures, *relu),
                    [(layout(*a), x), (layout(*b), y)],
                    (layout(*to), z),
                ),
                (Bytes(x), Bytes(y), Bytes(z), Some(how)) => pointwise::add_bytes(
                    pictures,
                    *how,
                    [(layout(*a), x), (layout(*b), y)],
                    (layout(*to), z),
                ),
                _ => return None,
            },
            (
                Step::Quantize {
                    scale,
                    limits,
                    from,
                    to,
                },
                Bytes(y),
            ) => pointwise::quantize(
                pictures,
                (*scale, *limits),
                (layout(*from), buffers[*from].floats()?),
                (layout(*to), y),
            ),
            (Step::Dequantize { bytes, from, to }, Floats(y)) => pointwise::dequantize(
                pictures,
                (bytes.scale, bytes.zero),
                (layout(*from), buffers[*from].bytes()?),
                (layout(*to), y),
            ),
            _ => return None,
        }
        Some(())
    }
}

impl Buffer {
    fn floats(&self) -> Option<&[f32]> {
        match self {
            Buffer::Floats(numbers) => Some(numbers),
            Buffer::Bytes(_) => None,
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Buffer::Bytes(numbers) => Some(numbers),
            Buffer::Floats(_) => None,
        }
    }
}
