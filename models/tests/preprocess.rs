//! The preprocessing against an independent implementation of the same filter (`image`), and its
//! promises: exact copies, replicated edges, mirrored crops, no panic for any region.

use fer_models::{Crops, GrayView, Preprocess, Rect, resize};
use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer};
use proptest::prelude::*;

fn view(image: &GrayImage) -> GrayView<'_> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    GrayView::new(width, height, width, image.as_raw()).unwrap()
}

/// An image of any size up to `side`, from smooth to noisy.
fn any_image(side: u32) -> impl Strategy<Value = GrayImage> {
    (1..=side, 1..=side, any::<u32>(), 0..4u32).prop_map(|(width, height, seed, smooth)| {
        ImageBuffer::from_fn(width, height, |x, y| {
            let (x, y) = (x >> (smooth * 2), y >> (smooth * 2));
            let mixed = (x ^ y.rotate_left(16) ^ seed).wrapping_mul(0x9e37_79b1);
            image::Luma([(mixed.wrapping_mul(mixed | 1) >> 24) as u8])
        })
    })
}

fn any_side() -> impl Strategy<Value = f32> {
    prop_oneof![
        any::<f32>(),
        -300f32..300.0,
        Just(0.0),
        Just(f32::NAN),
        Just(f32::INFINITY),
        Just(f32::NEG_INFINITY),
        Just(f32::MAX),
    ]
}

fn any_tile() -> impl Strategy<Value = (Preprocess, Vec<u8>)> {
    (1..=2usize, 1..=12usize, 0..=4usize).prop_flat_map(|(channels, crop, margin)| {
        let tile = crop + margin;
        let input = Preprocess {
            tile,
            crop,
            ..Preprocess::fer2013(channels * 2 - 1)
        };
        (Just(input), prop::collection::vec(any::<u8>(), tile * tile))
    })
}

fn mirrored<T: Copy>(rows: &[T], width: usize) -> Vec<T> {
    rows.chunks(width)
        .flat_map(|row| row.iter().rev().copied())
        .collect()
}

fn ten(input: &Preprocess, tile: &[u8]) -> Vec<Vec<f32>> {
    let mut out = vec![f32::NAN; 10 * input.input_len()];
    input.write_input(tile, Crops::Ten, &mut out);
    out.chunks(input.input_len()).map(<[f32]>::to_vec).collect()
}

/// Largest difference in grey levels.
fn worst(ours: &[u8], theirs: &GrayImage) -> u8 {
    ours.iter()
        .zip(theirs.as_raw())
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn resize_is_the_triangle_filter_of_image(
        image in any_image(150), out_w in 1..120u32, out_h in 1..120u32,
    ) {
        let mut ours = vec![0; (out_w * out_h) as usize];
        resize(view(&image), out_w as usize, out_h as usize, &mut ours);
        let theirs = imageops::resize(&image, out_w, out_h, FilterType::Triangle);
        prop_assert!(worst(&ours, &theirs) <= 1);
    }

    /// Whole-pixel regions, in and out of the frame: pad by repeating the edge, crop, resize.
    #[test]
    fn cut_tile_is_pad_crop_and_resize(
        image in any_image(90), x in -120..120i32, y in -120..120i32, w in 1..150u32, h in 1..150u32,
    ) {
        let cropped = ImageBuffer::from_fn(w, h, |i, j| {
            let column = (x + i as i32).clamp(0, image.width() as i32 - 1);
            let row = (y + j as i32).clamp(0, image.height() as i32 - 1);
            *image.get_pixel(column as u32, row as u32)
        });
        // A region's side is limited to eight frames; past that the two may differ.
        prop_assume!(w.max(h) <= 8 * image.width().max(image.height()));
        let theirs = imageops::resize(&cropped, 48, 48, FilterType::Triangle);
        let region = Rect { x: x as f32, y: y as f32, width: w as f32, height: h as f32 };
        let mut ours = vec![0; 48 * 48];
        Preprocess::fer2013(1).cut_tile(view(&image), region, &mut ours);
        prop_assert!(worst(&ours, &theirs) <= 1);
    }

    #[test]
    fn a_region_of_the_tiles_size_is_copied(image in any_image(60), x in 0..12u32, y in 0..12u32) {
        // At least 60 pixels a side, whatever was drawn.
        let image = imageops::resize(&image, image.width() + 60, image.height() + 60, FilterType::Nearest);
        let region = Rect { x: x as f32, y: y as f32, width: 48.0, height: 48.0 };
        let mut ours = vec![0; 48 * 48];
        Preprocess::fer2013(1).cut_tile(view(&image), region, &mut ours);
        let exact = imageops::crop_imm(&image, x, y, 48, 48).to_image();
        prop_assert_eq!(&ours, exact.as_raw());
    }

    #[test]
    fn any_region_gives_a_tile_within_the_frames_range(
        image in any_image(20), x in any_side(), y in any_side(), w in any_side(), h in any_side(),
    ) {
        let input = Preprocess { tile: 6, crop: 6, ..Preprocess::fer2013(1) };
        let region = Rect { x, y, width: w, height: h };
        let mut tile = vec![0; 36];
        input.cut_tile(view(&image), region, &mut tile);
        let (low, high) = (image.iter().min().unwrap(), image.iter().max().unwrap());
        prop_assert!(tile.iter().all(|pixel| (low..=high).contains(&pixel)));
        // A detector's box goes through the crop rule first; that must be as safe.
        input.cut_tile(view(&image), input.face_square(region), &mut tile);
    }

    #[test]
    fn the_last_five_crops_are_the_first_five_of_the_mirrored_tile((input, tile) in any_tile()) {
        let crops = ten(&input, &tile);
        let of_mirrored = ten(&input, &mirrored(&tile, input.tile));
        prop_assert_eq!(&crops[5..], &of_mirrored[..5]);
        prop_assert_eq!(&crops[..5], &of_mirrored[5..]);
    }

    /// Top left of the mirrored tile is the mirror image of top right, and so on.
    #[test]
    fn mirrored_crops_are_mirror_images((input, tile) in any_tile()) {
        let crops = ten(&input, &tile);
        let mut pairs = vec![(5, 1), (6, 0), (7, 3), (8, 2)];
        if (input.tile - input.crop) % 2 == 0 {
            pairs.push((9, 4));
        }
        for (mirror, plain) in pairs {
            prop_assert_eq!(&crops[mirror], &mirrored(&crops[plain], input.crop));
        }
    }

    #[test]
    fn the_centre_crop_is_the_fifth_of_ten_and_channels_repeat((input, tile) in any_tile()) {
        let mut centre = vec![f32::NAN; input.input_len()];
        input.write_input(&tile, Crops::Center, &mut centre);
        prop_assert_eq!(&centre, &ten(&input, &tile)[4]);
        let planes: Vec<_> = centre.chunks(input.crop * input.crop).collect();
        prop_assert_eq!(planes.len(), input.channels);
        prop_assert!(planes.iter().all(|plane| *plane == planes[0]));
    }
}

/// Wide enough to be filtered in several blocks of columns and written in several strips.
#[test]
fn wide_images_are_resized_without_a_seam() {
    let noise = |x: u32, y: u32| (x * 31 + y * 17) ^ ((x * y) >> 3);
    let image = ImageBuffer::from_fn(1601, 9, |x, y| image::Luma([noise(x, y) as u8]));
    for (out_w, out_h) in [(1601, 9), (700, 5), (2003, 20), (257, 1), (3, 3)] {
        let mut ours = vec![0; (out_w * out_h) as usize];
        resize(view(&image), out_w as usize, out_h as usize, &mut ours);
        let theirs = imageops::resize(&image, out_w, out_h, FilterType::Triangle);
        assert!(worst(&ours, &theirs) <= 1, "{out_w}x{out_h}");
    }
}

#[test]
fn ten_crops_stand_in_the_references_order() {
    // 3x3 tile, 1x1 crops: each crop is one pixel, read off by its value.
    let input = Preprocess {
        tile: 3,
        crop: 1,
        std: 1.0 / 255.0,
        ..Preprocess::fer2013(1)
    };
    let crops = ten(&input, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let read: Vec<u8> = crops.iter().map(|crop| crop[0].round() as u8).collect();
    assert_eq!(read, [1, 3, 7, 9, 5, 3, 1, 9, 7, 5]);
}

#[test]
fn values_are_scaled_then_shifted_then_divided() {
    let input = Preprocess {
        tile: 1,
        crop: 1,
        mean: 0.5,
        std: 0.25,
        ..Preprocess::fer2013(3)
    };
    for value in 0..=255u8 {
        let mut out = [0.0; 3];
        input.write_input(&[value], Crops::Center, &mut out);
        assert_eq!(out, [(f32::from(value) / 255.0 - 0.5) / 0.25; 3]);
    }
}

#[test]
fn a_frame_as_large_as_allowed_with_a_huge_region_ends() {
    let pixels = vec![9; fer_models::MAX_SIDE];
    let frame = GrayView::new(fer_models::MAX_SIDE, 1, fer_models::MAX_SIDE, &pixels).unwrap();
    let region = Rect {
        x: -1e30,
        y: 1e30,
        width: f32::MAX,
        height: f32::INFINITY,
    };
    let input = Preprocess {
        tile: 2,
        crop: 1,
        ..Preprocess::fer2013(1)
    };
    let mut tile = [0; 4];
    input.cut_tile(frame, region, &mut tile);
    assert_eq!(tile, [9; 4]);
}

#[test]
fn padding_between_rows_is_not_read() {
    let pixels = [10, 20, 255, 30, 40];
    let frame = GrayView::new(2, 2, 3, &pixels).unwrap();
    let mut out = [0];
    resize(frame, 1, 1, &mut out);
    assert_eq!(out, [25]);
}
