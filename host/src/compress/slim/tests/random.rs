//! Properties that hold for any graph.

use proptest::prelude::*;

use super::super::testing::any_network;
use super::super::{Channels, Ranking, Scope, SlimError, SlimOptions, Target, slim};
use super::assert_cut_equals_masked;
use crate::graph::{Graph, Op};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_slim_network_is_whole_and_equals_its_mask(
        network in any_network(),
        percent in 0.0..=1.0,
        min_channels in 1_usize..5,
        round_to in 1_usize..5,
        scope in prop::sample::select(vec![Scope::Network, Scope::Layer]),
    ) {
        let options = SlimOptions { target: Target::Percent(percent), min_channels, round_to, scope };
        let slimmed = match slim(&network, &options) {
            Ok(slimmed) => slimmed,
            Err(SlimError::NothingPrunable { .. }) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let graph = &slimmed.network.graph;
        let again = Graph::new(graph.name(), graph.nodes().to_vec());
        prop_assert_eq!(&again.unwrap(), graph);
        prop_assert!(graph.check_weights(&slimmed.network.weights).is_ok());
        prop_assert_eq!(graph.input_shape(), network.graph.input_shape());
        prop_assert_eq!(graph.classes(), network.graph.classes());
        for (id, node) in network.graph.iter() {
            if matches!(node.op, Op::Conv2d(_)) {
                let floor = network.graph.shape(id)[0].min(min_channels);
                prop_assert!(graph.shape(id)[0] >= floor, "{} of {}", graph.shape(id)[0], floor);
            }
        }
        assert_cut_equals_masked(&network, &slimmed.keep);
    }

    #[test]
    fn any_larger_count_cuts_a_superset(
        network in any_network(),
        min_channels in 1_usize..5,
        round_to in 1_usize..5,
        scope in prop::sample::select(vec![Scope::Network, Scope::Layer]),
    ) {
        let channels = Channels::of(&network.graph);
        let options = SlimOptions { min_channels, round_to, scope, ..SlimOptions::default() };
        if let Ok(ranking) = Ranking::of(&network, &channels, &options) {
            let mut last = ranking.weakest(0);
            prop_assert!(!last.contains(&true));
            for count in 1..=ranking.len() {
                let cut = ranking.weakest(count);
                prop_assert!(last.iter().zip(&cut).all(|(&before, &now)| now || !before));
                last = cut;
            }
        }
    }
}
