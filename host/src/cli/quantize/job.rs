//! One quantization: calibrate, choose, judge, write.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::Result;
use fer_models::{Calibration, Crops};
use fer_tools::checkpoint::Checkpoint;
use fer_tools::compress::quantize::{
    Calibrator, IntegerEngine, LayerCost, Method, Quantized, keep_worst, search,
};
use fer_tools::data::{Dataset, Split};
use fer_tools::export::{Exported, Form, Images, Reference, round_to_f16, to_onnx, write_form};
use fer_tools::graph::exec::{Engine, NativeEngine, Params};
use fer_tools::graph::fold::fold;
use fer_tools::graph::{Network, NodeId};
use fer_tools::judge::{Candidate, evaluate_quantized};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::super::exit::Usage;
use super::super::export::{centre_crops, facts, measured};
use super::report::{Accuracies, Report, Tried};
use super::{Args, keeps_all};

pub(super) struct Job<'a> {
    pub(super) args: &'a Args,
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) dataset: &'a Dataset,
    pub(super) split: Split,
}

impl Job<'_> {
    pub(super) fn int8(&self, out: &mut dyn Write) -> Result<Report> {
        let network = &self.checkpoint.network;
        let pixels = self.calibration_images()?;
        // before what takes longer, because a budget may turn out to keep every layer
        let (layers, keep) = self.kept(network, &pixels)?;
        let [f32_center, f32_ten] = self.float_accuracies(network)?;
        let input = self.checkpoint.input;
        let found = search(
            network,
            input,
            &pixels,
            &self.args.recipes(),
            &keep,
            |quantized| self.accuracy(quantized, Crops::Center),
        )?;
        let quantized = &found.quantized;
        let best = &found.trials[found.best];
        let ten = self.accuracy(quantized, Crops::Ten)?;
        let calibration = Calibration {
            method: best.recipe.clone(),
            data: format!("{} (Training)", self.args.data),
            images: (pixels.len() / input.input_len()) as u64,
            seed: self.args.seed(),
        };
        let accuracy = Accuracies {
            f32_center,
            f32_ten,
            center: best.accuracy,
            ten,
        };
        let name = |id: &NodeId| quantized.network().graph.node(*id).name.clone();
        let tried = Tried {
            trials: found.trials,
            chosen: Some(found.best),
            layers,
            kept_f32: keep.iter().map(name).collect(),
        };
        // what cannot be written must not cost the table, nor a reader that has gone the file
        let printed = match self.args.json {
            true => Ok(()),
            false => write!(out, "{}", tried.table(self.split.name())),
        };
        let mut engine = IntegerEngine::new(quantized);
        let exported = self.write(
            Form::Int8(quantized, &calibration),
            ten,
            &mut |pixels, batch| engine.infer(pixels, batch),
        )?;
        printed?;
        self.report(tried, &exported, accuracy)
    }

    pub(super) fn f16(&self) -> Result<Report> {
        let network = &self.checkpoint.network;
        let [f32_center, f32_ten] = self.float_accuracies(network)?;
        let rounded = round_to_f16(&fold(network))?;
        let [center, ten] = self.float_accuracies(&rounded)?;
        let params = Params::new(&rounded);
        let mut engine = NativeEngine::<f32>::new(rounded.graph.clone());
        let exported = self.write(Form::F16(network), ten, &mut |pixels, batch| {
            engine.infer(&params, pixels, batch)
        })?;
        let accuracy = Accuracies {
            f32_center,
            f32_ten,
            center,
            ten,
        };
        self.report(Tried::default(), &exported, accuracy)
    }

    /// Training images chosen by the seed, their centre crops.
    fn calibration_images(&self) -> Result<Vec<f32>> {
        let mut indices = self.dataset.indices(Split::Training);
        if indices.is_empty() {
            return Err(Usage("the data has no Training images to calibrate on".into()).into());
        }
        indices.shuffle(&mut ChaCha8Rng::seed_from_u64(self.args.seed()));
        indices.truncate(self.args.images() as usize);
        Ok(centre_crops(self.dataset, &indices, &self.checkpoint.input))
    }

    /// What each layer costs, and those that stay f32.
    fn kept(
        &self,
        network: &Network,
        pixels: &[f32],
    ) -> Result<(Vec<LayerCost>, BTreeSet<NodeId>)> {
        let limits = self.args.keep_f32.zip(self.args.kept_limit(network)?);
        let Some((budget, limit)) = limits else {
            return Ok((Vec::new(), BTreeSet::new()));
        };
        let calibrator = Calibrator::new(network, self.checkpoint.input, pixels)?;
        let layers = calibrator.sensitivity(Method::Mse)?;
        let keep = keep_worst(&layers, limit);
        if keep.len() == layers.len() {
            return Err(keeps_all(budget).into());
        }
        Ok((layers, keep))
    }

    fn accuracy(&self, quantized: &Quantized, crops: Crops) -> Result<f64> {
        let indices = self.dataset.indices(self.split);
        let input = &self.checkpoint.input;
        let judged = evaluate_quantized(quantized, self.dataset, &indices, input, crops)?;
        Ok(judged.accuracy())
    }

    /// With the centre crop, and with ten.
    fn float_accuracies(&self, network: &Network) -> Result<[f64; 2]> {
        let mut candidate = Candidate::from_checkpoint(Checkpoint {
            network: network.clone(),
            ..self.checkpoint.clone()
        });
        let indices = self.dataset.indices(self.split);
        let mut judge = |crops| candidate.evaluate(self.dataset, &indices, crops);
        Ok([
            judge(Crops::Center)?.accuracy(),
            judge(Crops::Ten)?.accuracy(),
        ])
    }

    fn write(&self, form: Form<'_>, ten: f64, reference: Reference<'_>) -> Result<Exported> {
        let mut indices = self.dataset.indices(self.split);
        let on = (self.args.data.as_str(), self.split, indices.len());
        indices.truncate(self.args.verify as usize);
        let pixels = centre_crops(self.dataset, &indices, &self.checkpoint.input);
        let images = Images {
            pixels: &pixels,
            count: indices.len(),
        };
        let facts = facts(
            self.checkpoint,
            &self.args.name,
            self.args.crops.into(),
            self.args.command(),
            measured(&self.checkpoint.history, on, ten),
        );
        let out = &self.args.out;
        Ok(write_form(out, form, &facts, images, reference)?)
    }

    fn report(&self, tried: Tried, exported: &Exported, accuracy: Accuracies) -> Result<Report> {
        let Checkpoint {
            network,
            labels,
            input,
            ..
        } = self.checkpoint;
        let f32_bytes = to_onnx(&fold(network), &self.args.name, labels, input)?.len();
        Ok(Report {
            model: self.args.out.display().to_string(),
            split: self.split.name().into(),
            tried,
            accuracy,
            bytes: exported.bytes,
            f32_bytes,
            verified_images: exported.agreement.images,
            same_decision: exported.agreement.same_argmax,
            logit_difference: exported.agreement.difference,
        })
    }
}
