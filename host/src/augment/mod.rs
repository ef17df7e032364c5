//! Augmentation: from a stored tile to one training input, a little different each time.
//!
//! Every part has a name and a strength, and is off at its default, which leaves the plain centre
//! crop of the model's [`Preprocess`]. As TOML (unknown names are refused):
//!
//! ```
//! let text = "crop = \"random\"\nflip = 0.5\nrotate = 10.0\nbrightness = 0.2";
//! let augment: fer_tools::augment::Augment = toml::from_str(text)?;
//! augment.validate()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apply;
mod presets;
mod spoil;

use fer_models::{FieldError, Preprocess};
pub use presets::{PRESETS, Preset};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Side of the crop that [`Augment::scale_to_crop`] counts pixels of: FER2013's images.
const COUNTED_ON: f32 = 48.0;

/// Where the crop is cut from the tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crop {
    /// In the middle.
    #[default]
    Center,
    /// At a random whole pixel, every place equally likely.
    Random,
}

/// What stands where a moved tile leaves the crop empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outside {
    /// The nearest edge pixel goes on.
    #[default]
    Edge,
    /// Nothing.
    Black,
    /// The tile, mirrored at its edge.
    Reflect,
}

/// Which augmentations are applied, and how strongly.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Where the crop is cut.
    pub crop: Crop,
    /// Probability of mirroring left and right, 0 to 1.
    pub flip: f32,
    /// Largest rotation in degrees either way, 0 to 180.
    pub rotate: f32,
    /// Largest shift along each axis, as a fraction of the tile, 0 to 0.5.
    pub shift: f32,
    /// Largest change of size, 0 to 0.5: the factor lies in `1 - scale ..= 1 + scale`.
    pub scale: f32,
    /// Largest change of size along each axis on its own, 0 to 0.5: the factors lie in
    /// `1 / (1 + stretch) ..= 1 + stretch`.
    pub stretch: f32,
    /// Largest slant, 0 to 1: how far a row moves to the side for each row down, and a column down for each
    /// column to the side.
    pub skew: f32,
    /// Least share of the tile that is cut out and resized to the crop, 0 (off) to 1; takes the place of
    /// [`crop`](Self::crop). Szegedy et al., "Going Deeper with Convolutions" (2015).
    pub min_area: f32,
    /// Largest ratio of that cut's sides, either way, up to 4; 0 and 1 are square.
    pub aspect: f32,
    /// What stands outside the tile.
    pub outside: Outside,
    /// Largest change of brightness, as a fraction of the full range, 0 to 1.
    pub brightness: f32,
    /// Largest change of contrast around the crop's mean, 0 to 1: the factor lies in
    /// `1 - contrast ..= 1 + contrast`.
    pub contrast: f32,
    /// Largest change of the light's strength, 0 to 1: values are multiplied by `1 - gain ..= 1 + gain`.
    pub gain: f32,
    /// Largest lightening by a power, 0 to 0.9: the exponent lies in `1 - gamma ..= 1`.
    pub gamma: f32,
    /// Largest share of the sharpened image, 0 to 1.
    pub sharpen: f32,
    /// Largest σ of a Gaussian blur, in pixels of the crop, 0 to 8.
    pub blur: f32,
    /// Standard deviation of Gaussian noise, as a fraction of the full range, 0 to 1.
    pub noise: f32,
    /// Largest share of pixels that turn black, 0 to 1.
    pub pixel_dropout: f32,
    /// Apply only one, drawn each time, of `blur` and `pixel_dropout`, and one of the light (`brightness`,
    /// `contrast` and `gain` together), `sharpen`, `gamma` and `noise`.
    pub one_of: bool,
    /// Side in pixels of a square that is filled with the crop's mean, 0 (off) to 1024; its centre
    /// is anywhere in the crop, so it may lie partly outside. DeVries and Taylor, "Improved
    /// Regularization of Convolutional Neural Networks with Cutout" (2017).
    pub cutout: usize,
    /// Take `blur` and `cutout` as pixels of a crop of 48, and as more of them on a larger one: what the presets do, which
    /// are for every network. Otherwise they are pixels of the crop, whatever its size.
    pub scale_to_crop: bool,
    /// Mixup's alpha, 0 (off) to 4: the loader mixes pairs of a batch with a weight drawn from
    /// Beta(alpha, alpha). Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2018).
    pub mixup: f32,
}

impl Augment {
    /// Checks every field against its range; whoever reads an [`Augment`] from a file calls this.
    ///
    /// # Errors
    /// The first field out of range, with what was expected and found.
    pub fn validate(&self) -> Result<(), FieldError> {
        for (field, found, most) in [
            ("flip", self.flip, 1.0),
            ("rotate", self.rotate, 180.0),
            ("shift", self.shift, 0.5),
            ("scale", self.scale, 0.5),
            ("brightness", self.brightness, 1.0),
            ("contrast", self.contrast, 1.0),
            ("stretch", self.stretch, 0.5),
            ("skew", self.skew, 1.0),
            ("min_area", self.min_area, 1.0),
            ("aspect", self.aspect, 4.0),
            ("gain", self.gain, 1.0),
            ("gamma", self.gamma, 0.9),
            ("sharpen", self.sharpen, 1.0),
            ("blur", self.blur, 8.0),
            ("noise", self.noise, 1.0),
            ("pixel_dropout", self.pixel_dropout, 1.0),
            ("cutout", self.cutout as f32, 1024.0),
            ("mixup", self.mixup, 4.0),
        ] {
            if !(0.0..=most).contains(&found) {
                return Err(FieldError {
                    field: format!("augment.{field}"),
                    found: found.to_string(),
                    expected: format!("0 to {most}"),
                });
            }
        }
        Ok(())
    }

    /// True where pixels have to be sampled between pixels, and a whole-pixel crop is not enough.
    fn resamples(&self) -> bool {
        [
            self.rotate,
            self.shift,
            self.scale,
            self.stretch,
            self.skew,
            self.min_area,
        ]
        .iter()
        .any(|strength| *strength > 0.0)
    }

    /// How many pixels of a crop one of `blur` and `cutout` is.
    fn pixel(&self, crop: usize) -> f32 {
        if self.scale_to_crop {
            (crop as f32 / COUNTED_ON).max(1.0)
        } else {
            1.0
        }
    }

    /// Cuts one random crop of `tile` (`pre.tile * pre.tile` grey bytes) into `out`: one channel of
    /// `pre.crop * pre.crop` values, normalised as `pre` says. The same state of `rng` gives the
    /// same values. [`mixup`](Self::mixup) is not applied here, it needs the batch.
    ///
    /// # Panics
    /// Where the lengths do not fit `pre`, or the crop does not fit the tile.
    pub fn apply(&self, rng: &mut ChaCha8Rng, pre: &Preprocess, tile: &[u8], out: &mut [f32]) {
        assert_eq!(
            tile.len(),
            pre.tile * pre.tile,
            "tile is {0}x{0} pixels",
            pre.tile
        );
        assert_eq!(
            out.len(),
            pre.crop * pre.crop,
            "crop is {0}x{0} values",
            pre.crop
        );
        assert!(
            pre.crop <= pre.tile,
            "crop {} fits tile {}",
            pre.crop,
            pre.tile
        );
        self.place(rng, pre, tile, out);
        self.spoil(rng, pre.crop, out);
        self.cut_out(rng, pre.crop, out);
        for value in out {
            *value = pre.normalise(*value);
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
