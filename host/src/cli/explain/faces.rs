//! The faces that are explained.

use std::path::PathBuf;

use anyhow::{Context, Result};
use fer_models::Labels;
use fer_tools::checkpoint::Checkpoint;
use fer_tools::data::{self, LoadOptions, Split, average};
use fer_tools::explain::{Class, Explainer, Explanation, Heat, Occlusion};

use super::super::exit::Usage;
use super::super::picture::name_of;
use super::output::write_cells;
use super::{Args, MethodName};

/// A face to explain.
pub(super) struct Face {
    pub(super) name: Vec<String>,
    /// Its own class, where it is one's average.
    pub(super) class: Option<usize>,
    /// What is shown.
    pub(super) tile: Vec<u8>,
    /// The faces whose maps are averaged, where it is not the one that is shown.
    others: Vec<Vec<u8>>,
}

impl Face {
    /// The map of one method, with a line for each covered square of the face that is shown into `cells`.
    pub(super) fn explain(
        &self,
        explainer: &mut Explainer,
        method: MethodName,
        how: &Occlusion,
        class: Class,
        cells: &mut String,
    ) -> Result<Explanation> {
        let mut one = |tile: &[u8], cells: &mut String| -> Result<Explanation> {
            if let Some(layered) = method.layered() {
                return Ok(explainer.explain(tile, layered, class)?);
            }
            let (explanation, map) = explainer.occlude(tile, how, class)?;
            let (name, labels) = (&self.name[0], explainer.labels());
            write_cells(cells, name, explanation.class, &map, labels);
            Ok(explanation)
        };
        let shown = one(&self.tile, cells)?;
        if self.others.is_empty() {
            return Ok(shown);
        }
        let mut unwritten = String::new();
        let maps = self
            .others
            .iter()
            .map(|tile| Ok(one(tile, &mut unwritten)?.heat));
        let maps = maps.collect::<Result<Vec<_>>>()?;
        let heat = Heat::mean(&maps).unwrap_or(shown.heat);
        Ok(Explanation { heat, ..shown })
    }
}

/// The faces that the flags name.
pub(super) fn faces(args: &Args, checkpoint: &Checkpoint) -> Result<Vec<Face>> {
    let tile = checkpoint.input.tile;
    let options = LoadOptions {
        skip_bad: args.skip_bad,
        tile,
    };
    if let Some(spec) = &args.per_class {
        let data = data::open(&args.votes.spec(spec)?, &options)?.dataset;
        let averages = average::class_averages(&data, Split::Training)?;
        let labels = &checkpoint.labels;
        let training = data.indices(Split::Training);
        let face = |average: average::Average| -> Result<Face> {
            let own = data.labels().index_of(&average.class);
            let of_class = |i: &&usize| Some(usize::from(data.item(**i).label)) == own;
            let most = args.faces.map_or(0, |n| n as usize);
            let others = training.iter().filter(of_class).take(most);
            let others: Vec<Vec<u8>> = others.map(|&i| data.image(i).to_vec()).collect();
            let maps = match others.len() {
                0 => Vec::new(),
                n => vec![format!("maps of {n}")],
            };
            let class = labels
                .index_of(&average.class)
                .with_context(|| format!("{spec}: the network does not know {}", average.class))?;
            Ok(Face {
                name: [average.class, format!("{} faces", average.faces)]
                    .into_iter()
                    .chain(maps)
                    .collect(),
                class: Some(class),
                tile: average.pixels,
                others,
            })
        };
        return averages.into_iter().map(face).collect();
    }
    if let Some(spec) = &args.data {
        let data = data::open(&args.votes.spec(spec)?, &options)?.dataset;
        let face = |&number: &usize| -> Result<Face> {
            if number >= data.len() {
                let len = data.len();
                return Err(Usage(format!("--numbers {number}: {spec} has {len} faces")).into());
            }
            let label = usize::from(data.item(number).label);
            Ok(Face {
                name: vec![format!("{number}"), data.labels().names()[label].clone()],
                class: None,
                tile: data.image(number).to_vec(),
                others: Vec::new(),
            })
        };
        return args.numbers.iter().map(face).collect();
    }
    let face = |path: &PathBuf| -> Result<Face> {
        Ok(Face {
            name: vec![name_of(path)],
            class: None,
            tile: data::read_tile(path, tile)?,
            others: Vec::new(),
        })
    };
    args.images.iter().map(face).collect()
}

/// The class that the flag names; `None` without the flag.
pub(super) fn asked_class(name: Option<&str>, labels: &Labels) -> Result<Option<Class>> {
    match name {
        None => Ok(None),
        Some("predicted") => Ok(Some(Class::Predicted)),
        Some(name) => match labels.index_of(name) {
            Some(class) => Ok(Some(Class::Number(class))),
            None => {
                let known = labels.names().join(", ");
                Err(Usage(format!("--class {name}: expected predicted, {known}")).into())
            }
        },
    }
}
