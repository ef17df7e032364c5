use super::*;
use crate::data::TargetKind;

/// Drawn faces in FER2013's three splits, and votes: `happy` eight and `sad` two for every happy face,
/// all ten for no face elsewhere.
fn drawn() -> (Dataset, Votes) {
    let images = open("synth:3:140", &LoadOptions::default())
        .unwrap()
        .dataset;
    let mut rows = Vec::new();
    for split in Split::ALL {
        for index in images.indices(split) {
            let happy = images.item(index).label == 3;
            rows.push(Row {
                split,
                name: String::new(),
                votes: match happy {
                    true => [0, 7, 0, 3, 0, 0, 0, 0, 0, 0],
                    false => [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],
                },
            });
        }
    }
    let path = "votes.csv".into();
    (images, Votes { path, rows })
}

#[test]
fn each_image_meets_its_own_votes() {
    let (images, votes) = drawn();
    let joined = join(&images, &votes, LabelMode::Eight(Rule::CrossEntropy)).unwrap();
    assert_eq!(joined.labels(), &Labels::ferplus());
    let happy: Vec<usize> = (0..images.len())
        .filter(|&i| images.item(i).label == 3)
        .collect();
    assert_eq!(joined.len(), happy.len());
    let targets = joined.targets().unwrap();
    for (at, &index) in happy.iter().enumerate() {
        assert_eq!(joined.image(at), images.image(index));
        assert_eq!(joined.item(at).label, 1);
        let soft = joined.item(at).split == Split::Training;
        let want = if soft { [0.7, 0.3] } else { [1.0, 0.0] };
        assert_eq!([1, 3].map(|class| targets.row(8, at)[class]), want);
    }
}

#[test]
fn hard_modes_have_no_targets_and_soft_ones_their_kind() {
    let (images, votes) = drawn();
    for (name, kind) in [
        ("majority", None),
        ("plurality", None),
        ("probability", Some(TargetKind::Drawn)),
        ("multi_target", Some(TargetKind::AnyOf)),
        ("ferplus-soft7", Some(TargetKind::Distribution)),
        ("ferplus-mixed7", Some(TargetKind::Distribution)),
    ] {
        let joined = join(&images, &votes, name.parse().unwrap()).unwrap();
        assert_eq!(joined.targets().map(Targets::kind), kind, "{name}");
        let all = name.ends_with('7');
        assert_eq!(joined.len() == images.len(), all, "{name}");
    }
}

#[test]
fn mixed_targets_are_mostly_the_label_and_only_training_images_have_them() {
    let (images, votes) = drawn();
    let joined = join(&images, &votes, LabelMode::Mixed7).unwrap();
    assert_eq!(joined.labels(), images.labels());
    let targets = joined.targets().unwrap();
    for (index, item) in joined.items().iter().enumerate() {
        let label = usize::from(item.label);
        let share = targets.row(7, index)[label];
        match (item.split, label) {
            // happy faces alone have votes for happiness, so these add what they can
            (Split::Training, 3) => assert!(share > 0.95, "{share}"),
            // no face at all: any of the other six
            (Split::Training, _) => assert!((0.55..0.65).contains(&share), "{share}"),
            _ => assert_eq!(share, 1.0),
        }
    }
}

#[test]
fn a_split_may_be_missing_but_no_row() {
    let (images, votes) = drawn();
    let mode = LabelMode::Eight(Rule::Majority);
    let some: Vec<_> = images.indices(Split::PublicTest);
    let some: Vec<_> = some.into_iter().map(|i| (i, Split::PublicTest)).collect();
    assert!(join(&images.select(&some), &votes, mode).is_ok());
    let error = join(&images.select(&some[1..]), &votes, mode).unwrap_err();
    assert!(error.to_string().contains("PublicTest rows"), "{error}");
}

#[test]
fn agreement_notices_rows_that_do_not_belong_together() {
    let (images, mut votes) = drawn();
    assert_eq!(agreement(&images, &votes), 1.0);
    votes.rows.rotate_left(1);
    let wrong = Votes {
        rows: votes
            .rows
            .iter()
            .zip(drawn().1.rows)
            .map(|(row, old)| Row {
                votes: row.votes,
                ..old
            })
            .collect(),
        ..votes
    };
    assert!(agreement(&images, &wrong) < LEAST_AGREEMENT);
}

#[test]
fn specifications_read_back_and_wrong_ones_are_refused() {
    let mode = LabelMode::Soft7;
    let text = spec(mode, Path::new("v.csv"), "synth:7:70");
    assert_eq!(
        parse_spec(&text).unwrap(),
        (mode, Path::new("v.csv"), "synth:7:70")
    );
    for wrong in [
        "votes:majority",
        "votes:majority:v.csv",
        "votes:majority::x",
        "votes:most:v.csv:x",
    ] {
        assert!(parse_spec(wrong).is_err(), "{wrong}");
    }
}
