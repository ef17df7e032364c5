//! No detector: the face is where the user says.

use fer_models::{GrayView, Rect};

use super::{DetectError, Detection, Detector, Framing, overlaps};

/// A fixed region, for a kiosk with a known head position.
#[derive(Debug, Clone, Copy)]
pub struct Region(pub Rect);

impl Detector for Region {
    fn framing(&self) -> Framing {
        Framing::Exact
    }

    fn detect(
        &mut self,
        frame: GrayView<'_>,
        faces: &mut Vec<Detection>,
    ) -> Result<(), DetectError> {
        let rect = self.0;
        faces.clear();
        if !overlaps(&rect, &frame) {
            return Err(DetectError::Outside {
                x: rect.x,
                y: rect.y,
                region_width: rect.width,
                region_height: rect.height,
                width: frame.width(),
                height: frame.height(),
            });
        }
        faces.push(Detection { rect, score: 1.0 });
        Ok(())
    }
}

/// The whole frame is the face, as in FER2013's pictures.
#[derive(Debug, Clone, Copy)]
pub struct WholeFrame;

impl Detector for WholeFrame {
    fn framing(&self) -> Framing {
        Framing::Exact
    }

    fn detect(
        &mut self,
        frame: GrayView<'_>,
        faces: &mut Vec<Detection>,
    ) -> Result<(), DetectError> {
        let (width, height) = (frame.width() as f32, frame.height() as f32);
        faces.clear();
        faces.push(Detection {
            rect: Rect {
                x: 0.0,
                y: 0.0,
                width,
                height,
            },
            score: 1.0,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_must_meet_the_frame() {
        let pixels = [0u8; 48];
        let view = GrayView::new(8, 6, 8, &pixels).unwrap();
        let mut faces = Vec::new();
        let region = |x| {
            Region(Rect {
                x,
                y: 0.0,
                width: 4.0,
                height: 4.0,
            })
        };
        region(6.0).detect(view, &mut faces).unwrap();
        assert_eq!(faces.len(), 1);
        let error = region(8.0).detect(view, &mut faces).unwrap_err();
        assert!(!error.is_passing());
        assert!(error.to_string().contains("8x6"), "{error}");
    }

    #[test]
    fn the_whole_frame_is_one_face() {
        let pixels = [0u8; 48];
        let mut faces = Vec::new();
        WholeFrame
            .detect(GrayView::new(8, 6, 8, &pixels).unwrap(), &mut faces)
            .unwrap();
        assert_eq!((faces[0].rect.width, faces[0].rect.height), (8.0, 6.0));
    }
}
