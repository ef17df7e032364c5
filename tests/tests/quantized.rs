//! Quantized files in ONNX Runtime and tract: they must decide as our integer executor does.

use std::collections::BTreeSet;

use fer_models::{Crops, Labels, Preprocess};
use fer_tests::judges::{Case, Judges};
use fer_tests::skip;
use fer_tools::checkpoint::Checkpoint;
use fer_tools::compress::quantize::{Calibrator, IntegerEngine, Method, Quantized};
use fer_tools::data::{Dataset, LoadOptions, Split, load};
use fer_tools::export::{OnnxModel, compare, to_onnx_int8};
use fer_tools::graph::build::{Architecture, build};
use fer_tools::graph::{Role, init};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn case(name: &str, quantized: &Quantized, input: &Preprocess, pixels: Vec<f32>) -> Case {
    Case {
        name: name.into(),
        onnx: to_onnx_int8(quantized, name, &Labels::fer2013(), input).unwrap(),
        shape: [input.channels, input.crop, input.crop],
        pixels,
    }
}

fn onnx_runtime(judges: &Judges, cases: &[Case]) -> Vec<Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    judges.logits("onnxruntime", folder.path(), cases)
}

/// The families that the edge's integer kernels know. The others are quantized layer by layer as well, with floats
/// between, where a face on a border may go either way.
const FAMILIES: [&str; 5] = ["vgg11", "vgg19", "vggnet", "resnet18", "resnet18-gap"];

#[test]
fn onnx_runtime_computes_our_integers_on_every_architecture() {
    let Some(judges) = Judges::find() else { return };
    const IMAGES: usize = 40;
    let mut rng = StdRng::seed_from_u64(1);
    let (mut cases, mut expected) = (Vec::new(), Vec::new());
    for name in FAMILIES {
        let arch = Architecture {
            width: 0.125,
            ..Architecture::published(name)
        };
        let mut network = init::fresh(build(&arch, 7).unwrap(), 2);
        for spec in network.graph.tensors() {
            let values = network.weights.get_mut(&spec.name).unwrap().data_mut();
            for value in values {
                match spec.role {
                    Role::NormScale | Role::RunningVar => *value = rng.random_range(0.5..1.5),
                    Role::NormShift | Role::RunningMean => *value = rng.random_range(-0.5..0.5),
                    Role::Weight | Role::Bias => {}
                }
            }
        }
        let [channels, crop, _] = network.graph.input_shape();
        let input = Preprocess {
            crop,
            ..Preprocess::fer2013(channels)
        };
        let pixels: Vec<f32> = (0..IMAGES * input.input_len())
            .map(|_| f32::from(rng.random::<u8>()) / 255.0)
            .collect();
        let calibrator = Calibrator::new(&network, input, &pixels).unwrap();
        let quantized = calibrator.quantize(Method::MinMax, &BTreeSet::new());
        let quantized = quantized.unwrap();
        let logits = IntegerEngine::new(&quantized).infer(&pixels, IMAGES);
        expected.push(logits.unwrap());
        cases.push(case(name, &quantized, &input, pixels));
    }
    let found = onnx_runtime(&judges, &cases);
    for ((case, found), expected) in cases.iter().zip(&found).zip(&expected) {
        let equal = found.iter().zip(expected).filter(|(a, b)| a == b).count();
        let agreement = compare(found, expected, 7).unwrap();
        skip::note(&format!(
            "{}: {equal} of {} logits equal, {agreement:?}",
            case.name,
            found.len()
        ));
        assert!(agreement.same_argmax + 1 >= IMAGES, "{}", case.name);
        // without additions, every operation is an integer one or rounds as ours does
        if case.name.starts_with("vgg") {
            assert!(agreement.difference < 1e-5, "{}: {agreement:?}", case.name);
        }
    }
}

fn faces(dataset: &Dataset, indices: &[usize], input: &Preprocess) -> Vec<f32> {
    let mut pixels = vec![0.0; indices.len() * input.input_len()];
    for (&face, out) in indices.iter().zip(pixels.chunks_mut(input.input_len())) {
        input.write_input(dataset.image(face), Crops::Center, out);
    }
    pixels
}

#[test]
fn three_runtimes_decide_alike_on_the_faces_of_public_test() {
    let Some(judges) = Judges::find() else { return };
    let Some(data) = skip::data() else {
        skip::skip("no ../shared/data and no FER_DATA: the quantized model was not judged");
        return;
    };
    let path = skip::root().join("models/zoo/vgg19-lite/checkpoint.safetensors");
    let checkpoint = Checkpoint::load(&path).unwrap();
    let input = checkpoint.input;
    let dataset = load(&data.join("fer2013.csv.xz"), &LoadOptions::default())
        .unwrap()
        .dataset;
    let training = faces(&dataset, &dataset.indices(Split::Training)[..200], &input);
    let public = dataset.indices(Split::PublicTest);
    let pixels = faces(&dataset, &public, &input);

    let calibrator = Calibrator::new(&checkpoint.network, input, &training).unwrap();
    let quantized = calibrator.quantize(Method::Mse, &BTreeSet::new()).unwrap();
    let mut engine = IntegerEngine::new(&quantized);
    let batches = pixels.chunks(100 * input.input_len());
    let ours: Vec<f32> = batches
        .flat_map(|batch| {
            let count = batch.len() / input.input_len();
            engine.infer(batch, count).unwrap()
        })
        .collect();
    let case = case("vgg19-lite", &quantized, &input, pixels);
    let tract = OnnxModel::load(&case.onnx)
        .unwrap()
        .logits(&case.pixels, public.len())
        .unwrap();
    let theirs = onnx_runtime(&judges, std::slice::from_ref(&case)).remove(0);
    for (runtime, logits) in [("onnxruntime", theirs), ("tract", tract)] {
        let agreement = compare(&logits, &ours, 7).unwrap();
        skip::note(&format!("{runtime} against the integers: {agreement:?}"));
        assert!(
            agreement.same_argmax * 1000 >= public.len() * 995,
            "{runtime}: {agreement:?}"
        );
    }
}
