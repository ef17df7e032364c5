use super::*;

/// Shares of `rule` for votes in FER+'s order, in tenths rounded; `None` where it drops the row.
fn tenths(rule: Rule, votes: [u8; COLUMNS]) -> Option<[u32; EXPRESSIONS]> {
    rule.shares(&votes)
        .map(|shares| shares.map(|share| (share * 10.0).round() as u32))
}

#[test]
fn a_majority_needs_more_than_half_after_single_votes_are_gone() {
    let of = |votes| tenths(Rule::Majority, votes);
    let happy = Some([0, 10, 0, 0, 0, 0, 0, 0]);
    // 5 of 10 is half, but three singles do not count: 5 of 7
    assert_eq!(of([1, 5, 1, 1, 2, 0, 0, 0, 0, 0]), happy);
    assert_eq!(of([5, 5, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    assert_eq!(of([0, 4, 0, 0, 0, 0, 0, 0, 6, 0]), None, "unknown wins");
    assert_eq!(
        of([1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        None,
        "nothing but singles"
    );
}

#[test]
fn leading_expressions_are_taken_until_three_quarters() {
    for rule in [Rule::Probability, Rule::CrossEntropy] {
        let of = |votes| tenths(rule, votes);
        assert_eq!(
            of([6, 2, 2, 0, 0, 0, 0, 0, 0, 0]),
            Some([6, 2, 2, 0, 0, 0, 0, 0])
        );
        // 8 of 10 are enough, the third stays out
        assert_eq!(
            of([6, 0, 2, 0, 0, 0, 0, 0, 2, 0]),
            Some([8, 0, 3, 0, 0, 0, 0, 0])
        );
        assert_eq!(
            of([2, 2, 2, 2, 2, 0, 0, 0, 0, 0]),
            None,
            "five level columns"
        );
        assert_eq!(of([4, 0, 0, 0, 0, 0, 0, 0, 6, 0]), None, "unknown first");
        assert_eq!(
            of([4, 0, 0, 0, 0, 0, 0, 0, 4, 0]),
            None,
            "level with unknown"
        );
    }
}

#[test]
fn every_expression_with_three_tenths_is_a_right_answer() {
    let of = |votes| tenths(Rule::MultiTarget, votes);
    assert_eq!(
        of([3, 0, 3, 2, 2, 0, 0, 0, 0, 0]),
        Some([5, 0, 5, 0, 0, 0, 0, 0])
    );
    assert_eq!(
        of([3, 2, 2, 2, 0, 0, 0, 0, 0, 0]),
        None,
        "a third is not half"
    );
    // "unknown" is kept beside a stronger expression and then cut off
    assert_eq!(
        of([6, 0, 0, 0, 0, 0, 0, 0, 4, 0]),
        Some([10, 0, 0, 0, 0, 0, 0, 0])
    );
}

#[test]
fn plurality_keeps_single_votes_and_pairs() {
    let of = |votes| tenths(Rule::Plurality, votes);
    let neutral = Some([10, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(of([5, 5, 0, 0, 0, 0, 0, 0, 0, 0]), neutral);
    assert_eq!(of([5, 1, 1, 1, 1, 0, 0, 0, 1, 0]), neutral);
    assert_eq!(of([3, 3, 3, 1, 0, 0, 0, 0, 0, 0]), None, "three level");
    assert_eq!(of([4, 2, 2, 2, 0, 0, 0, 0, 0, 0]), None, "4 of 10");
    assert_eq!(
        of([5, 0, 0, 0, 0, 0, 0, 0, 5, 0]),
        None,
        "level with unknown"
    );
}

#[test]
fn soft_seven_follow_fer2013s_order_and_fall_back_on_its_label() {
    let shares = shared_shares(&[4, 0, 0, 1, 3, 2, 0, 7, 0, 0], 0);
    assert_eq!(shares, [0.3, 0.2, 0.0, 0.0, 0.1, 0.0, 0.4]);
    let none = shared_shares(&[0, 0, 0, 0, 0, 0, 0, 8, 1, 1], 5);
    assert_eq!(none, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn names_read_back() {
    for mode in LabelMode::ALL {
        assert_eq!(mode.name().parse::<LabelMode>().unwrap(), mode);
    }
    let error = "softmax".parse::<LabelMode>().unwrap_err().to_string();
    assert!(error.contains("expected majority, probability"), "{error}");
}

#[test]
fn only_training_images_have_soft_labels() {
    assert_eq!(Rule::Probability.on(Split::Training), Rule::Probability);
    assert_eq!(Rule::Probability.on(Split::PublicTest), Rule::Majority);
    assert_eq!(Rule::Plurality.on(Split::PrivateTest), Rule::Plurality);
}
