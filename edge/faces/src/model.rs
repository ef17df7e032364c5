//! Reads SeetaFace's model file, `seeta_fd_frontal_v1.0.bin`.
//!
//! Little-endian 32-bit numbers. A cascade of levels of classifiers of stages; this crate takes the shape that the frontal
//! model has: boosted classifiers of one stage each on the first level, a single chain of networks after it.

use std::fmt;
use std::ops::RangeInclusive;

use crate::boosted::{Boosted, GROUP, Group, Lookup, VALUES};
use crate::lab;
use crate::mlp::{Layer, Mlp, OUTPUTS};
use crate::surf::{Features, Place};
use crate::window::SIDE;

/// A model file that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelError {
    field: &'static str,
    at: usize,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    Short,
    Long,
    Value(i32),
    NotFinite,
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, at, .. } = self;
        match self.problem {
            Problem::Short => write!(f, "the file ends before {field} at byte {at}"),
            Problem::Long => write!(f, "{field} at byte {at}, where the file should end"),
            Problem::Value(value) => write!(f, "{field} at byte {at} can't be {value}"),
            Problem::NotFinite => write!(f, "{field} at byte {at} is not a finite number"),
        }
    }
}

impl std::error::Error for ModelError {}

/// A cascade.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) boosted: Vec<Boosted>,
    /// Those boosted classifiers whose windows the networks look at, in this order.
    pub(crate) sources: Vec<usize>,
    /// Networks level by level, all of them one after another.
    pub(crate) levels: Vec<Vec<Mlp>>,
}

/// The file's numbers of a classifier.
const BOOSTED: u16 = 0;
const NETWORK: u16 = 1;
/// More of anything than a model can mean.
const MANY: u16 = u16::MAX;

impl Model {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        let mut reader = Reader { bytes, at: 0 };
        let levels = reader.count("the number of levels", 1..=MANY)?;
        let mut boosted = Vec::new();
        for _ in 0..reader.count("the number of boosted classifiers", 1..=MANY)? {
            reader.count("the number of a boosted classifier's stages", 1..=1)?;
            reader.count(
                "the kind of a classifier on the first level",
                BOOSTED..=BOOSTED,
            )?;
            boosted.push(read_boosted(&mut reader)?);
            // It looks at all windows; the file says -1.
            reader.number("the number of a boosted classifier's sources", -1..=0)?;
        }
        let places = Place::all();
        let mut sources = vec![0];
        let mut chain = Vec::new();
        for level in 1..levels {
            reader.count("the number of a later level's classifiers", 1..=1)?;
            let mut networks = Vec::new();
            for _ in 0..reader.count("the number of a later level's stages", 1..=MANY)? {
                reader.count(
                    "the kind of a classifier on a later level",
                    NETWORK..=NETWORK,
                )?;
                networks.push(read_network(&mut reader, &places)?);
            }
            // A level's windows are gathered in the place of its first source, which for us is the only one there is.
            let from = if level == 1 { boosted.len() as u16 } else { 1 };
            let mut named = Vec::new();
            for i in 0..reader.count("the number of a later level's sources", 1..=from)? {
                let last = if i == 0 { 0 } else { from - 1 };
                named.push(reader.count("a later level's source", 0..=last)?);
            }
            if level == 1 {
                sources = named;
            }
            chain.push(networks);
        }
        if reader.at < bytes.len() {
            return Err(reader.error("something", reader.at, Problem::Long));
        }
        Ok(Self {
            boosted,
            sources,
            levels: chain,
        })
    }
}

fn read_boosted(reader: &mut Reader<'_>) -> Result<Boosted, ModelError> {
    let at = reader.at;
    let field = "the number of a boosted classifier's lookups";
    let count = reader.count(field, GROUP as u16..=MANY)?;
    if count % GROUP != 0 {
        return Err(reader.error(field, at, Problem::Value(count as i32)));
    }
    let values = VALUES as u16 - 1;
    reader.count("the greatest value of a feature", values..=values)?;
    let mut places = Vec::new();
    let last = (SIDE - lab::SIDE) as u16;
    for _ in 0..count {
        let x = reader.count("the column of a lookup", 0..=last)?;
        places.push((x, reader.count("the row of a lookup", 0..=last)?));
    }
    let thresholds = reader.floats("the thresholds of a boosted classifier", count)?;
    let mut groups = Vec::new();
    for (places, thresholds) in places.chunks(GROUP).zip(thresholds.chunks(GROUP)) {
        let mut lookups = Vec::new();
        for &(x, y) in places {
            let floats = reader.floats("the weights of a lookup", VALUES)?;
            let mut weights = [0.0; VALUES];
            weights.copy_from_slice(&floats);
            lookups.push(Lookup { x, y, weights });
        }
        // Only the last threshold of a group is ever looked at.
        if let (Ok(lookups), Some(&threshold)) = (lookups.try_into(), thresholds.last()) {
            groups.push(Group { lookups, threshold });
        }
    }
    Ok(Boosted {
        first: groups.remove(0),
        rest: groups,
    })
}

fn read_network(reader: &mut Reader<'_>, places: &[Place]) -> Result<Mlp, ModelError> {
    let layers = reader.count("the number of a network's layers", 2..=MANY)?;
    let count = reader.count(
        "the number of a network's features",
        1..=places.len() as u16,
    )?;
    let mut chosen = Vec::new();
    for _ in 0..count {
        let number = reader.count("the number of a feature", 1..=places.len() as u16)?;
        chosen.push(places[number - 1]);
    }
    let features = Features::new(chosen);
    let threshold = reader.floats("the threshold of a network", 1)?[0];
    let inputs = features.len() as u16;
    let mut inputs = reader.count("the number of a network's inputs", inputs..=inputs)?;
    let mut hidden = Vec::new();
    for _ in 2..layers {
        let outputs = reader.count("the outputs of a network's layer", 1..=MANY)?;
        hidden.push(read_layer(reader, inputs, outputs)?);
        inputs = outputs;
    }
    let last = OUTPUTS as u16;
    let outputs = reader.count("the outputs of a network", last..=last)?;
    Ok(Mlp {
        features,
        threshold,
        hidden,
        last: read_layer(reader, inputs, outputs)?,
    })
}

fn read_layer(reader: &mut Reader<'_>, inputs: usize, outputs: usize) -> Result<Layer, ModelError> {
    let weights = reader.floats("the weights of a network's layer", inputs * outputs)?;
    let biases = reader.floats("the biases of a network's layer", outputs)?;
    Ok(Layer::new(inputs, &weights, &biases))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, field: &'static str, at: usize, problem: Problem) -> ModelError {
        ModelError { field, at, problem }
    }

    /// The next `count` numbers; nothing is set aside for numbers that aren't there.
    fn words(&mut self, field: &'static str, count: usize) -> Result<&[[u8; 4]], ModelError> {
        let (words, _) = self.bytes[self.at..].as_chunks();
        let Some(words) = words.get(..count) else {
            return Err(self.error(field, self.at, Problem::Short));
        };
        self.at += count * 4;
        Ok(words)
    }

    fn number(
        &mut self,
        field: &'static str,
        range: RangeInclusive<i32>,
    ) -> Result<i32, ModelError> {
        let at = self.at;
        let value = i32::from_le_bytes(self.words(field, 1)?[0]);
        if range.contains(&value) {
            Ok(value)
        } else {
            Err(self.error(field, at, Problem::Value(value)))
        }
    }

    /// A number that can't be negative.
    fn count(
        &mut self,
        field: &'static str,
        range: RangeInclusive<u16>,
    ) -> Result<usize, ModelError> {
        let range = i32::from(*range.start())..=i32::from(*range.end());
        Ok(self.number(field, range)? as usize)
    }

    fn floats(&mut self, field: &'static str, count: usize) -> Result<Vec<f32>, ModelError> {
        let at = self.at;
        let words = self.words(field, count)?;
        let floats: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
        match floats.iter().position(|float| !float.is_finite()) {
            Some(i) => Err(self.error(field, at + 4 * i, Problem::NotFinite)),
            None => Ok(floats),
        }
    }
}
