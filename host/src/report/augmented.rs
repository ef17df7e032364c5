//! What augmentation makes of images, as a sheet.

use fer_models::Preprocess;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Picture, Row, Sheet, Tile};
use crate::augment::Augment;
use crate::data::{Dataset, Split};

/// A row for each class: the centre crop of its first Training image and `times` augmented crops of the
/// same image. The same seed gives the same pictures. Mixup needs a batch and is not shown.
pub fn augmentation_sheet(
    dataset: &Dataset,
    input: &Preprocess,
    augment: &Augment,
    times: usize,
    seed: u64,
    title: String,
) -> Sheet {
    let training = dataset.indices(Split::Training);
    let names = dataset.labels().names().iter().enumerate();
    let rows = names.filter_map(|(class, name)| {
        let of_class = |&&index: &&usize| usize::from(dataset.item(index).label) == class;
        let image = dataset.image(*training.iter().find(of_class)?);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(class as u64);
        let mut tile = |augment: &Augment| {
            let mut crop = vec![0.0; input.crop * input.crop];
            augment.apply(&mut rng, input, image, &mut crop);
            let grey = |v: &f32| ((v * input.std + input.mean) * 255.0).round() as u8;
            let pixels: Vec<u8> = crop.iter().map(grey).collect();
            Tile {
                picture: Picture::face(input.crop, &pixels),
                captions: Vec::new(),
            }
        };
        let mut tiles = vec![tile(&Augment::none())];
        tiles.extend((0..times).map(|_| tile(augment)));
        Some(Row {
            name: vec![name.clone()],
            tiles,
        })
    });
    Sheet {
        title,
        notes: Vec::new(),
        columns: vec!["as it is".into(), "augmented".into()],
        rows: rows.collect(),
    }
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
        let of = |seed| {
            let title = String::from("drawn faces");
            augmentation_sheet(&data, &input, &Augment::strong(), 3, seed, title)
        };
        let pictures = |seed, row: usize| -> Vec<Picture> {
            let row = &of(seed).rows[row];
            row.tiles.iter().map(|t| t.picture.clone()).collect()
        };
        assert_eq!(of(1).rows.len(), 7);
        assert_eq!(of(1).rows[3].name, ["happy"]);
        let happy = data
            .items()
            .iter()
            .position(|item| item.label == 3)
            .unwrap();
        let centre: Vec<u8> = data
            .image(happy)
            .chunks(48)
            .skip(2)
            .take(44)
            .flat_map(|row| row[2..46].to_vec())
            .collect();
        let shown = pictures(1, 3);
        assert_eq!(shown.len(), 4);
        assert_eq!(shown[0], Picture::face(44, &centre));
        assert!(shown[1] != shown[2] && shown[0] != shown[1]);
        assert_eq!(pictures(1, 3), shown);
        assert_ne!(pictures(2, 3), shown);
        let drawn = of(1).draw();
        assert!(drawn.png(1.0).is_ok());
        if let Some(folder) = std::env::var_os("FER_PICTURES") {
            let path = std::path::Path::new(&folder).join("sheet.png");
            drawn.save_png(&path, 2.0).unwrap();
        }
    }
}
