//! Data sets whose file names say what an image shows: JAFFE and KDEF.
//!
//! | data set | name | says |
//! | --- | --- | --- |
//! | JAFFE (Lyons et al., 1998) | `KA.AN1.39.tiff` | person KA, angry, first picture, number 39 |
//! | KDEF (Lundqvist et al., 1998) | `AF01ANS.JPG` | session A, female, person 01, angry, seen straight |
//!
//! Files may lie in the folder itself or one folder below, as KDEF has one a person. The labels are
//! FER2013's, the order is that of the names, and every image is Training.

use std::path::{Path, PathBuf};

use fer_models::Labels;
use image::ImageFormat;

use super::dataset::{Item, Split};
use super::error::DataError;
use super::folder::{folders, list};
use super::images::{Cut, Entry, read_all};
use super::{LoadOptions, Loaded};

/// How a JAFFE specification begins: `jaffe:DIR`.
pub const JAFFE: &str = "jaffe:";
/// How a KDEF specification begins: `kdef:DIR` or `kdef:ANGLES:DIR`.
pub const KDEF: &str = "kdef:";
/// KDEF's angles: full left, half left, straight, half right, full right.
pub const ANGLES: [&str; 5] = ["FL", "HL", "S", "HR", "FR"];

/// Reads JAFFE from the folder behind `jaffe:`.
///
/// # Errors
/// A folder that cannot be listed, an image whose name is not JAFFE's or that does not decode
/// ([`LoadOptions::skip_bad`] leaves both out), or no image at all.
pub fn load_jaffe(spec: &str, options: &LoadOptions) -> Result<Loaded, DataError> {
    let root = Path::new(spec.strip_prefix(JAFFE).unwrap_or(spec));
    let pattern = "a JAFFE name such as KA.AN1.39.tiff";
    load(root, Cut::Whole, pattern, options, |stem| {
        Some(parse_jaffe(stem))
    })
}

/// Reads KDEF from the folder behind `kdef:`, of each picture the largest square in the middle (562×562
/// of its 562×762 pixels). `kdef:HL,S,HR:DIR` takes three angles; without a choice it is `S` alone.
///
/// # Errors
/// As [`load_jaffe`]; an angle that KDEF does not have.
pub fn load_kdef(spec: &str, options: &LoadOptions) -> Result<Loaded, DataError> {
    let rest = spec.strip_prefix(KDEF).unwrap_or(spec);
    let (angles, root) = match rest.split_once(':') {
        Some((angles, root)) => (angles.split(',').collect(), Path::new(root)),
        None => (vec!["S"], Path::new(rest)),
    };
    if let Some(wrong) = angles.iter().find(|angle| !ANGLES.contains(angle)) {
        return Err(DataError::FileName {
            path: root.to_owned(),
            problem: format!("KDEF's angles are {}, found {wrong:?}", ANGLES.join(", ")),
        });
    }
    let pattern = "a KDEF name such as AF01ANS.JPG";
    load(root, Cut::CentreSquare, pattern, options, |stem| {
        let (face, angle) = parse_kdef(stem).map_or((None, None), |(f, a)| (Some(f), Some(a)));
        // a face from another angle is left out, a name that is not KDEF's is an error
        match angle {
            Some(angle) if !angles.contains(&angle) => None,
            _ => Some(face),
        }
    })
}

/// What a name says.
#[derive(Debug, PartialEq, Eq)]
struct Face {
    subject: String,
    sequence: String,
    expression: &'static str,
}

/// Two-letter codes of both data sets.
fn expression(code: &str) -> Option<&'static str> {
    Some(match code {
        "AN" => "angry",
        "DI" => "disgust",
        // JAFFE's and KDEF's
        "FE" | "AF" => "fear",
        "HA" => "happy",
        "SA" => "sad",
        "SU" => "surprise",
        "NE" => "neutral",
        _ => return None,
    })
}

/// `KA.AN1.39`.
fn parse_jaffe(stem: &str) -> Option<Face> {
    let mut parts = stem.split('.');
    let (person, shown, number) = (parts.next()?, parts.next()?, parts.next()?);
    let code = shown.get(..2)?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let letters = person.len() == 2 && person.bytes().all(|b| b.is_ascii_uppercase());
    let fits = letters && digits(&shown[2..]) && digits(number) && parts.next().is_none();
    // the shared code list has KDEF's fear too, which JAFFE does not write
    (fits && code != "AF").then_some(())?;
    Some(Face {
        subject: person.to_owned(),
        sequence: shown.to_owned(),
        expression: expression(code)?,
    })
}

/// `AF01ANS`: the face and its angle.
fn parse_kdef(stem: &str) -> Option<(Face, &str)> {
    let stem = stem.is_ascii().then_some(stem)?;
    let session = stem.get(..1).filter(|s| ["A", "B"].contains(s))?;
    stem.get(1..2).filter(|s| ["F", "M"].contains(s))?;
    let number: u8 = stem.get(2..4)?.parse().ok()?;
    let code = stem.get(4..6).filter(|code| *code != "FE")?;
    let angle = stem.get(6..).filter(|angle| ANGLES.contains(angle))?;
    (1..=35).contains(&number).then_some(())?;
    let face = Face {
        subject: stem[1..4].to_owned(),
        sequence: format!("{session}{angle}"),
        expression: expression(code)?,
    };
    Some((face, angle))
}

/// Reads every image under `root` for which `parse` says what it shows; `None` passes one over,
/// `Some(None)` is a name that does not follow the `pattern`.
fn load(
    root: &Path,
    cut: Cut,
    pattern: &str,
    options: &LoadOptions,
    parse: impl Fn(&str) -> Option<Option<Face>>,
) -> Result<Loaded, DataError> {
    let labels = Labels::fer2013();
    let mut entries = Vec::new();
    let mut skipped = 0;
    for path in images_under(root)? {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let Some(face) = parse(&stem) else { continue };
        let label = |face: &Face| labels.index_of(face.expression);
        let known = face.and_then(|face| Some((u8::try_from(label(&face)?).ok()?, face)));
        let Some((label, face)) = known else {
            if options.skip_bad {
                skipped += 1;
                continue;
            }
            let problem = format!("expected {pattern}");
            return Err(DataError::FileName { path, problem });
        };
        let item = Item {
            label,
            split: Split::Training,
            subject: Some(face.subject),
            sequence: Some(face.sequence),
        };
        entries.push(Entry { path, item });
    }
    let mut loaded = read_all(root, &entries, labels, cut, options, Vec::new())?;
    loaded.skipped += skipped;
    Ok(loaded)
}

/// The image files in a folder and in its folders, by name.
fn images_under(root: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    let below = folders(root)?.into_iter().map(|(_, path)| path);
    for folder in std::iter::once(root.to_owned()).chain(below) {
        let files = list(&folder)?.into_iter().map(|(_, path)| path);
        found.extend(files.filter(|path| path.is_file() && ImageFormat::from_path(path).is_ok()));
    }
    found.sort_by(|a, b| (a.file_name(), a).cmp(&(b.file_name(), b)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma};

    fn parsed(face: Option<Face>) -> Option<(String, String, &'static str)> {
        face.map(|face| (face.subject, face.sequence, face.expression))
    }

    #[test]
    fn names_say_person_expression_and_angle() {
        let jaffe = parsed(parse_jaffe("KA.AN1.39"));
        assert_eq!(jaffe, Some(("KA".into(), "AN1".into(), "angry")));
        let (face, angle) = parse_kdef("BM35AFHL").unwrap();
        assert_eq!(angle, "HL");
        assert_eq!(
            parsed(Some(face)),
            Some(("M35".into(), "BHL".into(), "fear"))
        );
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "",
            "KA",
            "KA.AN.39",
            "KA.XX1.39",
            "KA.AF1.3",
            "K.AN1.3",
            "KA.AN1.3.4",
            "KA.é1.39",
        ] {
            assert_eq!(parse_jaffe(name), None, "{name}");
        }
        for name in [
            "", "AF01AN", "CF01ANS", "AX01ANS", "AF00ANS", "AF36ANS", "AF01FES", "AF01ANX",
            "éF01ANS",
        ] {
            assert_eq!(parse_kdef(name), None, "{name}");
        }
    }

    /// A picture whose upper and lower quarter are white and whose middle is dark.
    fn tall(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let grey = |y| if (100..300).contains(&y) { 40 } else { 255 };
        GrayImage::from_fn(200, 400, |_, y| Luma([grey(y)]))
            .save(path)
            .unwrap();
    }

    #[test]
    fn kdef_is_cut_square_and_one_angle_is_chosen() {
        let root = tempfile::tempdir().unwrap();
        for name in ["AF01/AF01ANS.png", "AF01/AF01HAHL.png", "BF01/BF01SUS.png"] {
            tall(&root.path().join(name));
        }
        let of = |spec: &str| {
            let spec = format!("{spec}{}", root.path().display());
            load_kdef(&spec, &LoadOptions::default())
        };
        let straight = of("kdef:").unwrap().dataset;
        assert_eq!(straight.counts(Split::Training), [1, 0, 0, 0, 0, 1, 0]);
        assert_eq!(straight.subjects(), Some(1), "two sessions of one person");
        assert!(straight.image(0).iter().all(|&pixel| pixel == 40));
        assert_eq!(of("kdef:HL,S:").unwrap().dataset.len(), 3);
        let error = of("kdef:HL,X:").unwrap_err().to_string();
        assert!(error.contains("angles are FL, HL, S, HR, FR"), "{error}");
    }

    #[test]
    fn a_jaffe_folder_reads_and_a_foreign_name_is_named() {
        let root = tempfile::tempdir().unwrap();
        for name in ["KA.NE1.26.tiff", "KA.AN1.39.tiff", "YM.SU3.60.tiff"] {
            tall(&root.path().join(name));
        }
        let spec = format!("jaffe:{}", root.path().display());
        let data = load_jaffe(&spec, &LoadOptions::default()).unwrap().dataset;
        let labels: Vec<u8> = data.items().iter().map(|item| item.label).collect();
        assert_eq!((labels, data.subjects()), (vec![0, 6, 5], Some(2)));

        tall(&root.path().join("me.png"));
        let error = load_jaffe(&spec, &LoadOptions::default()).unwrap_err();
        assert!(error.to_string().contains("me.png: expected a JAFFE name"));
        let skip = LoadOptions {
            skip_bad: true,
            ..LoadOptions::default()
        };
        assert_eq!(load_jaffe(&spec, &skip).unwrap().skipped, 1);
    }
}
