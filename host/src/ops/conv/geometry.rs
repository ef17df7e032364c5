//! Sizes and directions of a convolution.

use super::super::gather::Gather;

/// The sizes of one convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Images in the batch.
    pub batch: usize,
    /// Input channels.
    pub inputs: usize,
    /// Input height and width.
    pub size: [usize; 2],
    /// Output channels.
    pub outputs: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Step between windows, the same on both axes.
    pub stride: usize,
    /// Zero pixels above and to the left.
    pub before: [usize; 2],
    /// Zero pixels below and to the right.
    pub after: [usize; 2],
    /// Distance between the pixels that neighbouring taps read.
    pub dilation: usize,
    /// Channel groups; inputs and outputs are divisible by it.
    pub groups: usize,
}

impl ConvGeometry {
    /// Output height and width; 0 where the kernel does not fit.
    pub fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let reach = self.dilation * self.kernel[axis].saturating_sub(1) + 1;
            (self.size[axis] + self.before[axis] + self.after[axis])
                .checked_sub(reach)
                .map_or(0, |span| span / self.stride + 1)
        })
    }

    pub(in crate::ops) fn group_inputs(&self) -> usize {
        self.inputs / self.groups
    }

    pub(in crate::ops) fn group_outputs(&self) -> usize {
        self.outputs / self.groups
    }

    pub(in crate::ops) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Numbers of one input image.
    pub fn image_len(&self) -> usize {
        self.inputs * self.size[0] * self.size[1]
    }

    /// Numbers of one output image.
    pub fn output_len(&self) -> usize {
        let [oh, ow] = self.output_size();
        self.outputs * oh * ow
    }

    /// Numbers of the weights.
    pub fn weight_len(&self) -> usize {
        self.outputs * self.group_inputs() * self.taps()
    }
}

#[cfg(test)]
impl ConvGeometry {
    /// What most tests convolve by: 3×3, and the map keeps its size.
    pub(in crate::ops) fn three_by_three(
        batch: usize,
        inputs: usize,
        size: [usize; 2],
        outputs: usize,
    ) -> Self {
        Self {
            batch,
            inputs,
            size,
            outputs,
            kernel: [3, 3],
            stride: 1,
            before: [1; 2],
            after: [1; 2],
            dilation: 1,
            groups: 1,
        }
    }
}

/// Which way the rows flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Inputs to outputs.
    Forward,
    /// Output gradients to input gradients.
    Backward,
}

impl Direction {
    /// Channels of a group that are read and written.
    pub(in crate::ops) fn channels(self, geo: &ConvGeometry) -> [usize; 2] {
        let [inputs, outputs] = [geo.group_inputs(), geo.group_outputs()];
        match self {
            Self::Forward => [inputs, outputs],
            Self::Backward => [outputs, inputs],
        }
    }

    /// The walk over what each target pixel reads.
    pub(super) fn gather(self, geo: &ConvGeometry) -> Gather {
        match self {
            Self::Forward => Gather::forward(geo),
            Self::Backward => Gather::backward(geo),
        }
    }
}
