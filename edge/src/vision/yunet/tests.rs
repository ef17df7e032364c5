use super::*;

mod onnx;

use onnx::{Layout, yunet};

/// A black frame with a white square.
fn frame(width: usize, height: usize, x: usize, y: usize, side: usize) -> Vec<u8> {
    (0..width * height)
        .map(|i| {
            let inside =
                (x..x + side).contains(&(i % width)) && (y..y + side).contains(&(i / width));
            if inside { 255 } else { 0 }
        })
        .collect()
}

fn detector(bytes: &[u8], min_face: f32) -> Result<YunetDetector, DetectError> {
    let search = Search {
        min_face: Some(min_face),
        ..SEARCH
    };
    YunetDetector::from_bytes(Path::new("face.onnx"), bytes, search)
}

fn find(
    detector: &mut YunetDetector,
    width: usize,
    height: usize,
    pixels: &[u8],
) -> Vec<Detection> {
    let mut faces = Vec::new();
    let view = GrayView::new(width, height, width, pixels).unwrap();
    detector.detect(view, &mut faces).unwrap();
    faces
}

/// The test network calls a bright cell of 32 pixels a face of 64 pixels around the cell's centre.
fn assert_at(faces: &[Detection], x: f32, y: f32, side: f32) {
    assert_eq!(faces.len(), 1, "{faces:?}");
    let rect = faces[0].rect;
    for (found, expected) in [
        (rect.x, x),
        (rect.y, y),
        (rect.width, side),
        (rect.height, side),
    ] {
        assert!(
            (found - expected).abs() < 1.0,
            "{rect:?}, expected {x},{y} and {side} a side"
        );
    }
}

#[test]
fn a_face_is_found_where_it_is_at_any_frame_size() {
    // At a smallest face of 20 pixels the network sees the frame as it is.
    let mut detector = detector(&yunet(&Layout::default()), FACE).unwrap();
    assert!(find(&mut detector, 160, 96, &[0; 160 * 96]).is_empty());
    let faces = find(&mut detector, 160, 96, &frame(160, 96, 64, 32, 32));
    assert_at(&faces, 48.0, 16.0, 64.0);
    assert!(
        faces[0].score > 0.99,
        "all three channels carry the picture: {faces:?}"
    );
    // Not a multiple of 32: the right and bottom are filled up, the face stays where it is.
    let faces = find(&mut detector, 150, 90, &frame(150, 90, 32, 0, 32));
    assert_at(&faces, 16.0, -16.0, 64.0);
}

#[test]
fn a_larger_smallest_face_shrinks_the_work_and_not_the_answer() {
    let mut detector = detector(&yunet(&Layout::default()), 4.0 * FACE).unwrap();
    let faces = find(&mut detector, 640, 512, &frame(640, 512, 256, 128, 128));
    assert_at(&faces, 192.0, 64.0, 256.0);
    let plan = detector.plan.as_ref().unwrap();
    assert_eq!((plan.width, plan.height), (160, 128));
}

#[test]
fn a_file_with_its_size_written_in_is_used_at_that_size() {
    let fixed = Layout {
        fixed: Some([96, 64]),
        ..Layout::default()
    };
    let mut detector = detector(&yunet(&fixed), FACE).unwrap();
    assert_eq!(detector.fixed, Some([96, 64]));
    let faces = find(&mut detector, 192, 128, &frame(192, 128, 64, 64, 64));
    assert_at(&faces, 32.0, 32.0, 128.0);
}

#[test]
fn other_networks_are_refused_with_what_was_expected() {
    let refusal = |layout: Layout| {
        let error = detector(&yunet(&layout), FACE).map(|_| ()).unwrap_err();
        assert!(!error.is_passing());
        error.to_string()
    };
    let error = refusal(Layout {
        class: "score",
        ..Layout::default()
    });
    assert!(
        error.contains("face.onnx: no output `cls_8`; found score_8"),
        "{error}"
    );
    let error = refusal(Layout {
        offsets: 5,
        ..Layout::default()
    });
    assert!(
        error.contains("output `bbox_8`") && error.contains("expected 768"),
        "{error}"
    );
    let error = refusal(Layout {
        channels: 1,
        ..Layout::default()
    });
    assert!(error.starts_with("face.onnx: "), "{error}");
}

#[test]
fn damaged_files_are_errors() {
    let whole = yunet(&Layout::default());
    for at in (0..whole.len()).step_by(53) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        for bytes in [&whole[..at], &flipped] {
            // either is fine, as long as it returns and a network that loads can be run
            if let Ok(mut detector) = detector(bytes, FACE) {
                let view = GrayView::new(64, 64, 64, &[9; 64 * 64]).unwrap();
                let _ = detector.detect(view, &mut Vec::new());
            }
        }
    }
    let error = detector(b"rubbish", FACE)
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("face.onnx: "), "{error}");
    let missing = YunetDetector::load(Path::new("/nowhere/face.onnx"), SEARCH);
    let error = missing.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("/nowhere/face.onnx"), "{error}");
}
