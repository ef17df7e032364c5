//! What augmentation makes of images, as a picture.

use fer_models::Preprocess;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::canvas::{Anchor, Canvas, TextStyle, shorten, text_width};
use super::svg::Svg;
use crate::augment::Augment;
use crate::data::{Dataset, Split};

const PAD: f32 = 24.0;
const TITLE: f32 = 20.0;
const LABEL: f32 = 13.0;
/// Side of a picture on the sheet, and the space between two.
const SIDE: f32 = 88.0;
const GAP: f32 = 6.0;
const NAME: usize = 20;
const LONGEST_TITLE: usize = 60;
const MUTED: &str = "#555555";

/// Square grey pictures of one size in named rows, the first of a row as it is, the others augmented.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    side: usize,
    rows: Vec<(String, Vec<Vec<u8>>)>,
}

impl Sheet {
    /// The first Training image of each class that has one, its centre crop and `times` augmented
    /// crops. The same seed gives the same pictures. Mixup needs a batch and is not shown.
    pub fn new(
        dataset: &Dataset,
        input: &Preprocess,
        augment: &Augment,
        times: usize,
        seed: u64,
    ) -> Self {
        let training = dataset.indices(Split::Training);
        let names = dataset.labels().names().iter().enumerate();
        let rows = names.filter_map(|(class, name)| {
            let of_class = |&&index: &&usize| usize::from(dataset.item(index).label) == class;
            let tile = dataset.image(*training.iter().find(of_class)?);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(class as u64);
            let mut picture = |augment: &Augment| {
                let mut crop = vec![0.0; input.crop * input.crop];
                augment.apply(&mut rng, input, tile, &mut crop);
                crop.iter()
                    .map(|v| {
                        ((v * input.std + input.mean) * 255.0)
                            .round()
                            .clamp(0.0, 255.0) as u8
                    })
                    .collect::<Vec<u8>>()
            };
            let mut pictures = vec![picture(&Augment::none())];
            pictures.extend((0..times).map(|_| picture(augment)));
            Some((name.clone(), pictures))
        });
        Self {
            side: input.crop,
            rows: rows.collect(),
        }
    }
}

/// Draws a sheet: a row a class, the image itself left of what augmentation makes of it.
pub fn sheet_picture(sheet: &Sheet, title: &str) -> Svg {
    let names: Vec<String> = sheet.rows.iter().map(|(n, _)| shorten(n, NAME)).collect();
    let widest = names
        .iter()
        .map(|name| text_width(name, LABEL))
        .fold(0.0, f32::max);
    let columns = sheet.rows.iter().map(|row| row.1.len()).max().unwrap_or(0);
    let left = PAD + widest + 10.0;
    let top = PAD + TITLE + 36.0;
    let at = |n: usize| (SIDE + GAP) * n as f32;
    let title = shorten(title, LONGEST_TITLE);
    let width = (left + at(columns) + 2.0 * GAP).max(PAD + text_width(&title, TITLE));
    let mut canvas = Canvas::new(width + PAD, top + at(sheet.rows.len()) + PAD);
    let start = |size| TextStyle::new(size, Anchor::Start);
    canvas.text(PAD, PAD + TITLE, start(TITLE), &title);
    let middle = TextStyle::new(LABEL, Anchor::Middle).fill(MUTED);
    canvas.text(left + SIDE / 2.0, top - 8.0, middle, "as it is");
    let beside = left + at(1) + 2.0 * GAP;
    canvas.text(beside, top - 8.0, start(LABEL).fill(MUTED), "augmented");
    for (row, (name, (_, pictures))) in names.iter().zip(&sheet.rows).enumerate() {
        let y = top + at(row);
        let base = y + SIDE / 2.0 + LABEL * 0.35;
        canvas.text(left - 10.0, base, TextStyle::new(LABEL, Anchor::End), name);
        for (column, picture) in pictures.iter().enumerate() {
            let x = if column == 0 {
                left
            } else {
                beside + at(column - 1)
            };
            canvas.gray((x, y), SIDE, sheet.side, picture);
        }
    }
    canvas.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{LoadOptions, open};

    #[test]
    fn the_first_picture_is_the_centre_crop_and_the_others_vary() {
        let data = open("synth:1:140", &LoadOptions::default())
            .unwrap()
            .dataset;
        let input = Preprocess::fer2013(1);
        let of = |seed| Sheet::new(&data, &input, &Augment::strong(), 3, seed);
        let sheet = of(1);
        assert_eq!((sheet.rows.len(), sheet.side), (7, 44));
        let (name, pictures) = &sheet.rows[3];
        assert_eq!((name.as_str(), pictures.len()), ("happy", 4));
        let happy = data
            .items()
            .iter()
            .position(|item| item.label == 3)
            .unwrap();
        let tile = data.image(happy);
        assert_eq!(pictures[0][..44], tile[2 * 48 + 2..2 * 48 + 46]);
        assert!(pictures[1] != pictures[2] && pictures[0] != pictures[1]);
        assert_eq!(of(1), sheet);
        assert_ne!(of(2), sheet);
        let drawn = sheet_picture(&sheet, "drawn faces");
        assert!(drawn.png(1.0).is_ok());
        if let Some(folder) = std::env::var_os("FER_PICTURES") {
            let path = std::path::Path::new(&folder).join("sheet.png");
            drawn.save_png(&path, 2.0).unwrap();
        }
    }
}
