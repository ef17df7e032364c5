//! Small constructors of ONNX protobuf messages.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, StringStringEntryProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

use crate::graph::Array;

pub(super) fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i: value as i64,
        ..Default::default()
    }
}

pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.iter().map(|&v| v as i64).collect(),
        ..Default::default()
    }
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..Default::default()
    }
}

/// A 32-bit float tensor, little endian as ONNX stores raw data on every machine.
pub(super) fn floats(name: &str, array: &Array) -> TensorProto {
    let bytes = array.data().iter().flat_map(|v| v.to_le_bytes());
    raw(name, array.shape(), DataType::Float, bytes.collect())
}

/// A tensor of any type from its bytes, little endian.
pub(super) fn raw(name: &str, shape: &[usize], data_type: DataType, bytes: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: shape.iter().map(|&d| d as i64).collect(),
        data_type: data_type as i32,
        raw_data: bytes,
        ..Default::default()
    }
}

/// A list of 64-bit integers, as shape operators read their axes.
pub(super) fn axes(name: &str, values: &[i64]) -> TensorProto {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes());
    raw(name, &[values.len()], DataType::Int64, bytes.collect())
}

/// A value of 32-bit floats with a free first dimension called `batch`.
pub(super) fn batch_of(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dimension = |value| Dimension {
        value: Some(value),
        ..Default::default()
    };
    let mut dims = vec![dimension(dimension::Value::DimParam("batch".into()))];
    dims.extend(
        shape
            .iter()
            .map(|&d| dimension(dimension::Value::DimValue(d as i64))),
    );
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float as i32,
                shape: Some(TensorShapeProto { dim: dims }),
            })),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(super) fn entry(key: &str, value: String) -> StringStringEntryProto {
    StringStringEntryProto {
        key: key.into(),
        value,
    }
}
