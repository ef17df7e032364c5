//! A quantized network as ONNX in QDQ form: the operators stay what they were, and beside them stand
//! `QuantizeLinear` and `DequantizeLinear` (<https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html>).
//!
//! A coded value `x` goes through `x/codes` and is read as `x/decoded`; a layer's weights and bias are
//! 8-bit and 32-bit integers that a `DequantizeLinear` turns into numbers, one scale an output channel.
//! A runtime without integer kernels computes the file in floats; one with them, such as ONNX Runtime,
//! finds the pattern and computes in integers.

use fer_models::{Labels, Preprocess};
use tract_onnx::pb::tensor_proto::DataType;

use super::attribute::{int, raw};
use super::error::ExportError;
use super::onnx::{Storage, Writer, encode};
use crate::compress::quantize::{Affine, Layer, Quantized};
use crate::graph::Role;

/// Writes a quantized network as ONNX, as [`to_onnx`](super::to_onnx) does a float one.
///
/// # Errors
/// As [`to_onnx`](super::to_onnx).
pub fn to_onnx_int8(
    quantized: &Quantized,
    name: &str,
    labels: &Labels,
    input: &Preprocess,
) -> Result<Vec<u8>, ExportError> {
    let storage = Storage::Int8(quantized);
    encode(quantized.network(), &storage, name, labels, input)
}

/// The name of a value after its way through codes.
pub(super) fn decoded(value: &str) -> String {
    format!("{value}/decoded")
}

impl Writer<'_> {
    /// `QuantizeLinear` and `DequantizeLinear` behind a value.
    pub(super) fn through_codes(&mut self, value: &str, affine: Affine) -> Result<(), ExportError> {
        let scale = self.take(&format!("{value}/scale"))?;
        let zero_point = self.take(&format!("{value}/zero_point"))?;
        let codes = self.take(&format!("{value}/codes"))?;
        let decoded = self.take(&decoded(value))?;
        self.floats(&scale, &[], &[affine.scale]);
        let bytes = vec![affine.zero_point];
        self.initializers
            .push(raw(&zero_point, &[], DataType::Uint8, bytes));
        let inputs = |of: &str| vec![of.to_owned(), scale.clone(), zero_point.clone()];
        self.node("QuantizeLinear", inputs(value), codes.clone(), vec![]);
        self.node("DequantizeLinear", inputs(&codes), decoded, vec![]);
        Ok(())
    }

    /// The weight or bias of an 8-bit layer, under the name of its numbers.
    pub(super) fn layer_tensor(
        &mut self,
        name: &str,
        shape: &[usize],
        role: Role,
        layer: &Layer,
    ) -> Result<(), ExportError> {
        let codes = self.take(&format!("{name}/codes"))?;
        let scale = self.take(&format!("{name}/scale"))?;
        let (data_type, bytes, steps) = if role == Role::Weight {
            let bytes = layer.weight.iter().flat_map(|w| w.to_le_bytes()).collect();
            (DataType::Int8, bytes, layer.scales.clone())
        } else {
            let bytes = layer.bias.iter().flat_map(|b| b.to_le_bytes()).collect();
            (DataType::Int32, bytes, layer.steps())
        };
        self.initializers.push(raw(&codes, shape, data_type, bytes));
        self.floats(&scale, &[steps.len()], &steps);
        let mut inputs = vec![codes, scale];
        if role == Role::Weight {
            // optional in ONNX, but ONNX Runtime fuses no Gemm without it
            let zero_point = self.take(&format!("{name}/zero_point"))?;
            let zeros = vec![0; steps.len()];
            self.initializers
                .push(raw(&zero_point, &[steps.len()], DataType::Int8, zeros));
            inputs.push(zero_point);
        }
        let axis = vec![int("axis", 0)];
        self.node("DequantizeLinear", inputs, name.into(), axis);
        Ok(())
    }

    fn floats(&mut self, name: &str, shape: &[usize], numbers: &[f32]) {
        let bytes = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.initializers
            .push(raw(name, shape, DataType::Float, bytes));
    }
}
