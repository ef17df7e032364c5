//! A network with its tensors stored as 16-bit floats: half the file, computed in 32 bits.

use fer_models::{Labels, Preprocess};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::f16;

use super::attribute::{int, raw};
use super::error::ExportError;
use super::onnx::{Storage, Writer, encode};
use crate::graph::{Array, Network};

/// The network with every tensor rounded to the nearest 16-bit float, as
/// [`Form::F16`](super::Form::F16) stores it.
///
/// # Errors
/// Names a tensor with a number beyond ±65504, the largest that 16 bits hold.
pub fn round_to_f16(network: &Network) -> Result<Network, ExportError> {
    let mut rounded = network.clone();
    for (name, array) in &mut rounded.weights {
        for value in array.data_mut() {
            let half = f16::from_f32(*value);
            if half.is_infinite() {
                return Err(ExportError::Half {
                    tensor: name.clone(),
                    value: *value,
                });
            }
            *value = half.to_f32();
        }
    }
    Ok(rounded)
}

/// Writes a network as ONNX, as [`to_onnx`](super::to_onnx) does, with its tensors rounded to 16-bit
/// floats. Runtimes turn them into 32-bit floats when they load the file.
///
/// # Errors
/// As [`to_onnx`](super::to_onnx) and [`round_to_f16`].
pub(super) fn to_onnx_f16(
    network: &Network,
    name: &str,
    labels: &Labels,
    input: &Preprocess,
) -> Result<Vec<u8>, ExportError> {
    let rounded = round_to_f16(network)?;
    encode(&rounded, &Storage::F16, name, labels, input)
}

impl Writer<'_> {
    /// A tensor of 16-bit floats and its cast to 32 bits, under its own name.
    pub(super) fn half(&mut self, name: &str, array: &Array) -> Result<(), ExportError> {
        let stored = self.take(&format!("{name}/half"))?;
        let bytes = array.data().iter();
        let bytes = bytes
            .flat_map(|&v| f16::from_f32(v).to_le_bytes())
            .collect();
        self.initializers
            .push(raw(&stored, array.shape(), DataType::Float16, bytes));
        let to = vec![int("to", DataType::Float as usize)];
        self.node("Cast", vec![stored], name.into(), to);
        Ok(())
    }
}
