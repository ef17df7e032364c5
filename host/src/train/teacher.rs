//! The networks that are learnt from besides the labels (Hinton, Vinyals and Dean, 2015).

use crate::checkpoint::Checkpoint;
use crate::data::Dataset;
use crate::graph::Graph;
use crate::graph::exec::{Engine, Params};
use crate::loader::Batch;
use crate::predict;
use fer_models::Crops;

use super::TrainError;

/// All teachers of a run, which say the mean of what each says.
pub(super) struct Teachers(Vec<Teacher>);

impl Teachers {
    /// Teachers on the engines that `engine` makes; with `crops`, they look at all `training` images now.
    pub(super) fn new(
        teachers: &[Checkpoint],
        engine: impl Fn(Graph) -> Box<dyn Engine>,
        crops: Option<Crops>,
        dataset: &Dataset,
        training: &[usize],
    ) -> Result<Self, TrainError> {
        let each = teachers.iter().map(|teacher| {
            let engine = engine(teacher.network.graph.clone());
            Teacher::new(teacher, engine, crops, dataset, training)
        });
        Ok(Self(each.collect::<Result<_, _>>()?))
    }

    /// The mean of their logits, `[batch, classes]`: of their distributions the geometric mean, at any temperature.
    /// `None` where there are none.
    pub(super) fn logits(&mut self, batch: &Batch) -> Result<Option<Vec<f32>>, TrainError> {
        let share = 1.0 / self.0.len() as f32;
        let Some((first, more)) = self.0.split_first_mut() else {
            return Ok(None);
        };
        let mut mean = first.logits(batch)?;
        for teacher in more {
            for (sum, said) in mean.iter_mut().zip(teacher.logits(batch)?) {
                *sum += said;
            }
        }
        mean.iter_mut().for_each(|sum| *sum *= share);
        Ok(Some(mean))
    }
}

/// What a teacher says, either of each batch as the student sees it or of each image once and for all.
enum Teacher {
    /// It looks at every augmented image: one more forward pass in every step.
    Live {
        engine: Box<dyn Engine>,
        params: Params,
    },
    /// Its logits `[images of the data set, classes]`, those of images that aren't trained on zero.
    Still { classes: usize, logits: Vec<f32> },
}

impl Teacher {
    /// A teacher on `engine`; with `crops`, it looks at all `training` images now.
    fn new(
        teacher: &Checkpoint,
        mut engine: Box<dyn Engine>,
        crops: Option<Crops>,
        dataset: &Dataset,
        training: &[usize],
    ) -> Result<Self, TrainError> {
        let params = Params::new(&teacher.network);
        let Some(crops) = crops else {
            return Ok(Self::Live { engine, params });
        };
        tracing::info!("the teacher looks at {} images", training.len());
        let said = predict::logits(dataset, training, &teacher.input, crops, |pixels, batch| {
            engine.infer(&params, pixels, batch)
        })?;
        let classes = dataset.labels().len();
        let mut logits = vec![0.0; dataset.len() * classes];
        for (&image, said) in training.iter().zip(said.chunks_exact(classes)) {
            logits[image * classes..(image + 1) * classes].copy_from_slice(said);
        }
        Ok(Self::Still { classes, logits })
    }

    /// Its logits `[batch, classes]`.
    fn logits(&mut self, batch: &Batch) -> Result<Vec<f32>, TrainError> {
        match self {
            Self::Live { engine, params } => {
                Ok(engine.infer(params, &batch.pixels, batch.images.len())?)
            }
            Self::Still { classes, logits } => Ok(batch
                .images
                .iter()
                .flat_map(|image| &logits[image * *classes..(image + 1) * *classes])
                .copied()
                .collect()),
        }
    }
}
