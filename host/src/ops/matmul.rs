//! Matrix products on strided views: the one place that calls the `gemm` crate.

use gemm::Parallelism;

/// A read-only strided matrix over a slice.
#[derive(Clone, Copy)]
pub struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

/// Whether every element of a `rows × cols` matrix with these strides lies inside `len` elements.
fn fits(len: usize, rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> bool {
    rows == 0 || cols == 0 || (rows - 1) * row_stride + (cols - 1) * col_stride < len
}

impl<'a> Mat<'a> {
    /// A view of `data` in row-major order with `row_stride` elements from row to row.
    ///
    /// # Panics
    /// When the view reaches past the end of `data`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(
            fits(data.len(), rows, cols, row_stride, 1),
            "matrix view past the end of its slice"
        );
        Self {
            data,
            rows,
            cols,
            row_stride,
            col_stride: 1,
        }
    }

    /// The transposed view of the same elements.
    #[must_use]
    pub fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// `dst = lhs · rhs`, or `dst += lhs · rhs` with `accumulate`, on the calling thread.
///
/// `dst` is row-major with `row_stride`. Single-threaded on purpose: the callers share work out by
/// image, and one thread an image keeps results the same whatever the machine does.
///
/// # Panics
/// When the shapes do not match or `dst` is too short.
pub fn matmul(dst: &mut [f32], row_stride: usize, lhs: Mat<'_>, rhs: Mat<'_>, accumulate: bool) {
    let (m, n, k) = (lhs.rows, rhs.cols, lhs.cols);
    assert_eq!(k, rhs.rows, "inner dimensions differ");
    assert!(
        fits(dst.len(), m, n, row_stride, 1) && (m < 2 || row_stride >= n),
        "destination too short or rows overlap"
    );
    if m == 0 || n == 0 {
        return;
    }
    #[expect(
        unsafe_code,
        reason = "the gemm crate's interface is raw pointers; `benches/train_step.rs` shows 4-8x over safe loops"
    )]
    // SAFETY: `Mat::new` and the assertions above keep every element that the strides reach inside
    // its slice, and `dst` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            1,
            row_stride as isize,
            accumulate,
            lhs.data.as_ptr(),
            lhs.col_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr(),
            rhs.col_stride as isize,
            rhs.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition_on_transposed_and_strided_views() {
        let a: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let b: Vec<f32> = (0..40).map(|i| (i % 7) as f32).collect();
        let lhs = Mat::new(&a, 3, 4, 6);
        let rhs = Mat::new(&b, 5, 4, 8).t();
        let mut dst = vec![1.0; 3 * 7];
        matmul(&mut dst, 7, lhs, rhs, true);
        for i in 0..3 {
            for j in 0..5 {
                let want: f32 = 1.0 + (0..4).map(|k| a[i * 6 + k] * b[j * 8 + k]).sum::<f32>();
                assert_eq!(dst[i * 7 + j], want);
            }
        }
    }

    #[test]
    #[should_panic(expected = "past the end")]
    fn a_view_past_the_end_is_refused() {
        let _ = Mat::new(&[0.0; 8], 3, 3, 3);
    }
}
