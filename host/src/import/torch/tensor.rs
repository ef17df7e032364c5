//! From a tensor's arguments to its numbers: sizes and strides, checked before anything is read.

use super::super::pickle::{Id, Object, Storage, Value};
use super::{Dtype, byte_length};

/// Most dimensions that are looked at; a convolution's weight has four.
const MAX_RANK: usize = 8;

/// A checked view of a storage: every index lies inside, no two on the same number.
#[derive(Clone, Debug)]
pub(in crate::import) struct TensorView<'a> {
    /// The numbers it looks at.
    pub storage: Storage<'a>,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Steps between neighbours of each dimension, in numbers.
    strides: Vec<usize>,
    /// Its first number.
    offset: usize,
}

impl TensorView<'_> {
    /// Type of its numbers.
    pub(in crate::import) fn dtype(&self) -> Dtype {
        self.storage.dtype
    }

    /// How many numbers it has.
    pub(in crate::import) fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Checks a tensor's arguments; `None` where the value is no tensor.
pub(super) fn resolve<'a>(object: &Object<'a>, id: Id) -> Option<Result<TensorView<'a>, String>> {
    let Value::Tensor(tensor) = object.get(id) else {
        return None;
    };
    Some((|| {
        let shape = numbers(object, tensor.size, "size")?;
        let mut strides = numbers(object, tensor.stride, "stride")?;
        let &Value::Int(offset) = object.get(tensor.offset) else {
            return Err("its offset is not an integer".into());
        };
        let offset = usize::try_from(offset).map_err(|_| format!("its offset is {offset}"))?;
        let &Value::Storage(storage) = object.get(tensor.storage) else {
            return Err("it has no storage".into());
        };
        byte_length(&storage)?;
        if shape.len() != strides.len() {
            return Err(format!(
                "{} strides for {} dimensions",
                strides.len(),
                shape.len()
            ));
        }
        // a dimension of one number is never stepped along, whatever its stride says
        for (stride, _) in strides
            .iter_mut()
            .zip(&shape)
            .filter(|&(_, &size)| size == 1)
        {
            *stride = 0;
        }
        let view = TensorView {
            storage,
            shape,
            strides,
            offset,
        };
        inside(&view)?;
        disjoint(&view)?;
        Ok(view)
    })())
}

/// The members of a tuple of non-negative integers.
fn numbers(object: &Object<'_>, id: Id, what: &str) -> Result<Vec<usize>, String> {
    let Value::Tuple(items) = object.get(id) else {
        return Err(format!("its {what} is not a tuple"));
    };
    if items.len() > MAX_RANK {
        return Err(format!(
            "its {what} has {} numbers, expected at most {MAX_RANK}",
            items.len()
        ));
    }
    items
        .iter()
        .map(|&item| match object.get(item) {
            &Value::Int(n) => {
                usize::try_from(n).map_err(|_| format!("its {what} holds a negative number, {n}"))
            }
            other => Err(format!("its {what} holds {}", other.kind())),
        })
        .collect()
}

/// Checks that the last number lies in the storage.
fn inside(view: &TensorView<'_>) -> Result<(), String> {
    let available = view.storage.len as usize;
    let last = if view.shape.contains(&0) {
        Some(view.offset)
    } else {
        let steps = view.shape.iter().zip(&view.strides);
        steps
            .map(|(&size, &stride)| (size - 1).checked_mul(stride))
            .try_fold(view.offset, |sum, span| sum.checked_add(span?))
            .and_then(|last| last.checked_add(1))
    };
    match last {
        Some(end) if end <= available => Ok(()),
        _ => Err(format!(
            "offset {}, size {:?} and stride {:?} reach outside its storage of {available} numbers",
            view.offset, view.shape, view.strides
        )),
    }
}

/// Checks that no number is used twice, which also bounds the tensor by its storage. Each dimension
/// must step over all smaller ones, as views made by slicing and permuting do.
fn disjoint(view: &TensorView<'_>) -> Result<(), String> {
    if view.shape.contains(&0) {
        return Ok(());
    }
    let dimensions = view.strides.iter().zip(&view.shape);
    let mut steps: Vec<_> = dimensions.filter(|&(_, &size)| size > 1).collect();
    steps.sort_unstable();
    let mut reach = 0;
    for (&stride, &size) in steps {
        if stride <= reach {
            return Err(format!(
                "size {:?} and stride {:?} overlap: call .contiguous() before saving",
                view.shape, view.strides
            ));
        }
        // no overflow: `inside` has added the same
        reach += (size - 1) * stride;
    }
    Ok(())
}

/// The numbers of a checked view in row-major order, from its storage's bytes.
pub(super) fn gather(view: &TensorView<'_>, bytes: &[u8]) -> Result<Vec<f32>, String> {
    let (dtype, width) = (view.dtype(), view.dtype().bytes());
    let mut numbers = Vec::with_capacity(view.len());
    let mut index = vec![0; view.shape.len()];
    let mut at = view.offset;
    for _ in 0..view.len() {
        let number = bytes
            .get(at * width..(at + 1) * width)
            .and_then(|bytes| dtype.decode(bytes))
            .ok_or("its numbers lie outside the file")?;
        if !number.is_finite() {
            return Err(format!(
                "number {} is {number}, expected finite weights",
                numbers.len()
            ));
        }
        numbers.push(number);
        // as an odometer: the innermost dimension first
        for (i, (&size, &stride)) in view.shape.iter().zip(&view.strides).enumerate().rev() {
            index[i] += 1;
            at += stride;
            if index[i] < size {
                break;
            }
            at -= size * stride;
            index[i] = 0;
        }
    }
    Ok(numbers)
}
