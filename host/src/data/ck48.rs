//! CK+48 file names: `S<subject>_<sequence>_<frame>.png`.
//!
//! CK+48 is the last three frames of each labelled sequence of the Extended Cohn-Kanade set
//! (Lucey et al., 2010), cut to 48×48. The names carry the person and the recording, which is
//! what folds without a shared person need.

/// Person and recording of one CK+48 image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The person, with the leading `S`: `S005`.
    pub subject: String,
    /// The recording of that person: `001`.
    pub sequence: String,
}

/// Parses a file name without its suffix; `None` where it is not CK+48's pattern.
pub fn parse_name(stem: &str) -> Option<Recording> {
    let number = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut parts = stem.split('_');
    let (subject, sequence, frame) = (parts.next()?, parts.next()?, parts.next()?);
    let fits = number(subject.strip_prefix('S')?, 4) && number(sequence, 4) && number(frame, 8);
    (fits && parts.next().is_none()).then(|| Recording {
        subject: subject.to_owned(),
        sequence: sequence.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_subject_and_sequence() {
        let recording = parse_name("S132_006_00000023").unwrap();
        assert_eq!((&*recording.subject, &*recording.sequence), ("S132", "006"));
    }

    #[test]
    fn other_names_are_not_ck48() {
        for name in [
            "",
            "S1",
            "132_006_0023",
            "S132_006",
            "S132_006_23_1",
            "Sx_1_2",
            "S1__2",
            "S1_2_é",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
