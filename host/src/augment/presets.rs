//! Augmentations by name: ours, and those of the published systems.

use super::{Augment, Crop, Outside};

/// A named augmentation.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Makes it.
    pub make: fn() -> Augment,
}

/// All of them.
pub const PRESETS: [Preset; 8] = [
    Preset {
        name: "none",
        about: "The centre crop",
        make: Augment::none,
    },
    Preset {
        name: "reference",
        about: "Random crop and flip",
        make: Augment::reference,
    },
    Preset {
        name: "strong",
        about: "The reference's, and geometry, light, cutout, mixup",
        make: Augment::strong,
    },
    Preset {
        name: "rot30",
        about: "Flip, and rotation up to 30 degrees before black (Residual Masking Network)",
        make: Augment::rot30,
    },
    Preset {
        name: "heavy",
        about: "Flip, rotation up to 20 degrees, blur or lost pixels, light or sharpening or gamma or noise (the same authors)",
        make: Augment::heavy,
    },
    Preset {
        name: "jitter",
        about: "Flip, and brightness and contrast by a factor of 0.5 to 1.5",
        make: Augment::jitter,
    },
    Preset {
        name: "resized-crop",
        about: "Flip, a cut of 80 to 100 % of the tile resized, and a little light",
        make: Augment::resized_crop,
    },
    Preset {
        name: "ferplus",
        about: "Flip, shift, scale, rotation and skew before the mirrored tile (Microsoft FER+)",
        make: Augment::ferplus,
    },
];

impl Augment {
    /// The preset of that name.
    pub fn named(name: &str) -> Option<Self> {
        let preset = PRESETS.iter().find(|preset| preset.name == name);
        preset.map(|preset| (preset.make)())
    }

    /// Nothing but the centre crop.
    pub fn none() -> Self {
        Self::default()
    }

    /// What the first reference trains with: random crop and flip.
    pub fn reference() -> Self {
        Self {
            crop: Crop::Random,
            ..Self::flipped()
        }
    }

    /// The reference's plus moderate geometry, light, cutout and mixup, for long training.
    pub fn strong() -> Self {
        Self {
            rotate: 15.0,
            shift: 0.05,
            scale: 0.1,
            brightness: 0.2,
            contrast: 0.25,
            cutout: 12,
            scale_to_crop: true,
            mixup: 0.2,
            ..Self::reference()
        }
    }

    /// The third reference's, which its file names call rot30.
    pub fn rot30() -> Self {
        Self {
            rotate: 30.0,
            outside: Outside::Black,
            ..Self::flipped()
        }
    }

    /// The third reference's heavy one. Its blur goes up to σ 4 on images of 224 pixels, which is 0.86 of 48.
    pub fn heavy() -> Self {
        Self {
            rotate: 20.0,
            outside: Outside::Black,
            blur: 0.86,
            scale_to_crop: true,
            pixel_dropout: 0.15,
            brightness: 60.0 / 255.0,
            sharpen: 1.0,
            gamma: 0.5,
            noise: 0.145,
            one_of: true,
            ..Self::flipped()
        }
    }

    /// The fourth reference's.
    pub fn jitter() -> Self {
        Self {
            gain: 0.5,
            contrast: 0.5,
            ..Self::flipped()
        }
    }

    /// The fifth reference's.
    pub fn resized_crop() -> Self {
        Self {
            min_area: 0.8,
            aspect: 1.25,
            brightness: 0.1,
            contrast: 0.1,
            ..Self::flipped()
        }
    }

    /// That of FER+.
    pub fn ferplus() -> Self {
        Self {
            shift: 0.08,
            stretch: 0.05,
            rotate: 20.0,
            skew: 0.05,
            outside: Outside::Reflect,
            ..Self::flipped()
        }
    }

    fn flipped() -> Self {
        Self {
            flip: 0.5,
            ..Self::default()
        }
    }
}
