//! The mean of several networks' weights.

use super::{Array, Graph, GraphError, Network, Op, Weights};

/// One network with the mean of the numbers of `first` and `more`; its dropout is that of `first`.
///
/// Networks that were trained on from the same one mostly lie in one basin of the loss. Their mean is often better than each of
/// them, and takes no longer than one (Wortsman et al., "Model soups", ICML 2022). The mean of networks that were trained from
/// scratch knows nothing.
///
/// # Errors
/// When one has another structure than the first, whose number counts from 1.
pub fn average(first: &Network, more: &[Network]) -> Result<Network, GraphError> {
    for (at, other) in more.iter().enumerate() {
        if !alike(&first.graph, &other.graph) {
            return Err(GraphError::Unlike { number: at + 2 });
        }
    }
    let count = (more.len() + 1) as f64;
    let mean = |(name, array): (&String, &Array)| {
        let mut sums: Vec<f64> = array.data().iter().map(|&v| v.into()).collect();
        for (at, other) in more.iter().enumerate() {
            let values = other.weights.get(name);
            let values = values.filter(|values| values.shape() == array.shape());
            let values = values.ok_or(GraphError::Unlike { number: at + 2 })?;
            for (sum, &v) in sums.iter_mut().zip(values.data()) {
                *sum += f64::from(v);
            }
        }
        let data: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
        Ok((name.clone(), Array::new(array.shape(), data)))
    };
    Ok(Network {
        graph: first.graph.clone(),
        weights: first
            .weights
            .iter()
            .map(mean)
            .collect::<Result<Weights, GraphError>>()?,
    })
}

/// The same but for what is dropped in training.
fn alike(a: &Graph, b: &Graph) -> bool {
    let same =
        |a: &Op, b: &Op| a == b || matches!((a, b), (Op::Dropout { .. }, Op::Dropout { .. }));
    let mut pairs = a.nodes().iter().zip(b.nodes());
    a.nodes().len() == b.nodes().len()
        && pairs.all(|(a, b)| (&a.name, &a.inputs) == (&b.name, &b.inputs) && same(&a.op, &b.op))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{Architecture, build};
    use crate::graph::init::fresh;

    fn network(name: &str, dropout: f32, seed: u64) -> Network {
        let arch = Architecture {
            width: 0.05,
            dropout,
            ..Architecture::published(name)
        };
        fresh(build(&arch, 7).unwrap(), seed)
    }

    #[test]
    fn every_number_is_the_mean_of_all() {
        let all = [1, 2, 3].map(|seed| network("vgg11", 0.1 * seed as f32, seed));
        let mean = average(&all[0], &all[1..]).unwrap();
        assert_eq!(mean.graph, all[0].graph);
        assert_eq!(mean.weights.len(), all[0].weights.len());
        for (name, array) in &mean.weights {
            for (i, got) in array.data().iter().enumerate() {
                let want: f32 = all.iter().map(|n| n.weights[name].data()[i]).sum();
                assert!((got - want / 3.0).abs() < 1e-6, "{name}[{i}]");
            }
        }
        // what is the same in all stays the same bits
        let again = average(&all[1], &[all[1].clone(), all[1].clone()]).unwrap();
        assert_eq!(again, all[1]);
    }

    #[test]
    fn networks_of_another_structure_are_refused_by_number() {
        let vgg = network("vgg11", 0.5, 1);
        let others = [vgg.clone(), network("resnet18", 0.5, 1)];
        let error = average(&vgg, &others).unwrap_err();
        assert!(matches!(error, GraphError::Unlike { number: 3 }), "{error}");
    }
}
