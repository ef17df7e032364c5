//! Named tensors as plain numbers: what the passes over a graph read and write.

use std::collections::BTreeMap;

/// A row-major array of 32-bit floats.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    /// The numbers, as many as the shape's product.
    data: Vec<f32>,
}

/// The tensors of a network by name.
pub type Weights = BTreeMap<String, Array>;

impl Array {
    /// Joins numbers and shape.
    ///
    /// # Panics
    /// When there are not as many numbers as the shape says.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        let shape = shape.into();
        assert_eq!(
            data.len(),
            shape.iter().product::<usize>(),
            "{shape:?} does not hold {} numbers",
            data.len()
        );
        Self { shape, data }
    }

    /// Dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers in row-major order.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The numbers, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The numbers, without the shape.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }
}
