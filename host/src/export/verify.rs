//! Does the exported file compute what the network computes?

use fer_models::argmax;

use super::error::ExportError;
use super::model::OnnxModel;
use crate::graph::exec::ExecError;

/// Largest accepted absolute difference between the file's and the network's logits.
pub const TOLERANCE: f32 = 1e-3;

/// Of this many images, one may get another class from the file of a quantized network: the sums of a
/// runtime that computes in floats differ in the last bit, which now and then is a whole step of a code.
const IMAGES_PER_CHANGE: usize = 200;

/// Images that the reference sees at once.
const BATCH: usize = 32;

/// The network's own logits: gets `[n, channels, height, width]` and `n`, gives `[n, classes]`.
pub type Reference<'a> = &'a mut dyn FnMut(&[f32], usize) -> Result<Vec<f32>, ExecError>;

/// Normalised images to verify with.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// `[count, channels, height, width]`.
    pub pixels: &'a [f32],
    /// How many.
    pub count: usize,
}

/// How far two sets of logits agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Images compared.
    pub images: usize,
    /// Largest absolute difference; infinite where a logit is not a finite number.
    pub difference: f32,
    /// Images with the same largest logit.
    pub same_argmax: usize,
}

/// Compares logits in rows of `classes`.
///
/// # Errors
/// When the two do not have the same whole number of rows.
pub fn compare(left: &[f32], right: &[f32], classes: usize) -> Result<Agreement, ExportError> {
    if left.len() != right.len() || classes == 0 || !left.len().is_multiple_of(classes) {
        return Err(ExportError::Logits {
            left: left.len(),
            right: right.len(),
            classes,
        });
    }
    let mut difference = 0f32;
    for (&l, &r) in left.iter().zip(right) {
        let apart = (l - r).abs();
        // `f32::max` would skip a NaN
        difference = difference.max(if apart.is_finite() {
            apart
        } else {
            f32::INFINITY
        });
    }
    let rows = left.chunks(classes).zip(right.chunks(classes));
    Ok(Agreement {
        images: left.len() / classes,
        difference,
        same_argmax: rows.filter(|(l, r)| argmax(l) == argmax(r)).count(),
    })
}

/// What counts as agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accept {
    /// Logits within [`TOLERANCE`].
    Logits,
    /// All decisions but one in [`IMAGES_PER_CHANGE`].
    Decisions,
}

/// Runs the file and the network on the same images.
///
/// # Errors
/// When one of them cannot be run, or they differ by more than `accept` allows.
pub(super) fn check(
    model: &mut OnnxModel,
    images: Images<'_>,
    reference: Reference<'_>,
    accept: Accept,
) -> Result<Agreement, ExportError> {
    if images.count == 0 {
        return Err(ExportError::NoImages);
    }
    let exported = model.logits(images.pixels, images.count)?;
    let each = images.pixels.len() / images.count;
    let mut expected = Vec::with_capacity(exported.len());
    for batch in images.pixels.chunks(BATCH * each) {
        expected.extend(reference(batch, batch.len() / each)?);
    }
    let agreement = compare(&exported, &expected, model.classes())?;
    let changed = agreement.images - agreement.same_argmax;
    match accept {
        Accept::Logits if agreement.difference > TOLERANCE => Err(ExportError::Disagrees {
            difference: agreement.difference,
            tolerance: TOLERANCE,
            images: agreement.images,
            same_argmax: agreement.same_argmax,
        }),
        Accept::Decisions
            if changed > images.count.div_ceil(IMAGES_PER_CHANGE)
                || !agreement.difference.is_finite() =>
        {
            Err(ExportError::Decides {
                changed,
                images: agreement.images,
                difference: agreement.difference,
            })
        }
        _ => Ok(agreement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_finds_the_largest_difference_and_counts_equal_decisions() {
        let agreement = compare(&[1.0, 2.0, 3.0, 0.0], &[1.0, 2.5, 0.0, 0.25], 2).unwrap();
        assert_eq!(agreement.images, 2);
        assert_eq!(agreement.difference, 3.0);
        assert_eq!(agreement.same_argmax, 1);
    }

    #[test]
    fn a_logit_that_is_no_number_never_agrees() {
        for broken in [f32::NAN, f32::INFINITY] {
            let agreement = compare(&[broken, 0.0], &[broken, 0.0], 2).unwrap();
            assert_eq!(agreement.difference, f32::INFINITY);
        }
    }

    #[test]
    fn tables_of_other_sizes_are_an_error() {
        assert!(compare(&[1.0, 2.0], &[1.0], 1).is_err());
        assert!(compare(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], 2).is_err());
        assert!(compare(&[], &[], 0).is_err());
    }
}
