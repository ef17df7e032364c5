//! Where eyes and mouth lie in an aligned face.

use super::heat::Region;

/// Brows with eyes, and the mouth, of a FER2013 face in the middle of its crop, as its class averages
/// show them.
pub const EYES_AND_MOUTH: [Region; 2] = [
    Region {
        left: 0.12,
        top: 0.22,
        right: 0.88,
        bottom: 0.48,
    },
    Region {
        left: 0.25,
        top: 0.66,
        right: 0.75,
        bottom: 0.92,
    },
];
