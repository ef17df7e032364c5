//! Networks on the edge's own kernels: the same scores as on tract's operators in floats, and in 8 bits the same as in ONNX
//! Runtime.

use std::borrow::Cow;
use std::collections::HashMap;

use fer_edge::infer::{Classifier, Isa, Runner, TractClassifier};
use fer_models::{Crops, Labels, ModelPackage, Preprocess, sha256_hex};
use fer_tests::judges::{Case, Judges};
use fer_tests::skip;
use fer_tools::export::{OnnxModel, to_onnx};
use fer_tools::graph::build::{Architecture, build};
use fer_tools::graph::{fold::fold, init};
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

/// A small network with random weights as ONNX, and what its input looks like.
fn exported(name: &str) -> (Vec<u8>, Preprocess) {
    let arch = Architecture {
        width: 0.25,
        ..Architecture::published(name)
    };
    let network = fold(&init::fresh(build(&arch, 7).unwrap(), 3));
    let [channels, crop, _] = network.graph.input_shape();
    let input = Preprocess {
        crop,
        ..Preprocess::fer2013(channels)
    };
    let onnx = to_onnx(&network, name, &Labels::fer2013(), &input);
    (onnx.unwrap(), input)
}

fn package(onnx: &[u8], input: Preprocess) -> ModelPackage {
    let mut manifest = ModelPackage::embedded().manifest;
    manifest.model.sha256 = sha256_hex(onnx);
    manifest.input = input;
    manifest.decision.crops = Crops::Center;
    manifest.decision.temperature = 1.0;
    ModelPackage::from_parts(&manifest.to_toml(), Cow::Owned(onnx.to_vec())).unwrap()
}

/// Pictures with structure, between 0 and 1.
fn pictures(count: usize, input: &Preprocess) -> Vec<f32> {
    let wave = |i: usize| ((i % 977) as f32 * 0.13).sin() * ((i / 977) as f32 * 0.71).cos();
    (0..count * input.input_len())
        .map(|i| (wave(i) + 1.0) / 2.0)
        .collect()
}

/// What it runs on, and the scores.
fn scores(package: &ModelPackage, runner: Runner, pictures: &[f32]) -> (String, Vec<f32>) {
    let mut classifier = TractClassifier::load_on(package, runner).unwrap();
    let mut scores = Vec::new();
    classifier.classify(pictures, &mut scores).unwrap();
    (classifier.runs_on().to_owned(), scores)
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn floats_score_as_with_tracts_operators() {
    for name in ["vgg19", "vgg13", "resnet18", "resnet18-gap"] {
        let (onnx, input) = exported(name);
        let (package, pictures) = (package(&onnx, input), pictures(3, &input));
        let (_, expected) = scores(&package, Runner::Tract, &pictures);
        for isa in Isa::available() {
            let (runs_on, found) = scores(&package, Runner::Kernels(isa), &pictures);
            assert_eq!(runs_on, format!("f32, {}", isa.float_name()), "{name}");
            let difference = largest_difference(&expected, &found);
            assert!(difference < 1e-4, "{name}, {isa}: {difference}");
        }
    }
}

#[test]
fn a_network_with_something_else_in_it_runs_on_tract() {
    let (onnx, input) = exported("vgg13");
    let mut model = ModelProto::decode(onnx.as_slice()).unwrap();
    for node in &mut model.graph.as_mut().unwrap().node {
        if node.op_type == "Relu" {
            node.op_type = "Sigmoid".into();
        }
    }
    let package = package(&model.encode_to_vec(), input);
    let (runs_on, _) = scores(&package, Runner::default(), &pictures(1, &input));
    assert_eq!(runs_on, "tract");
}

/// Whoever can put a model folder somewhere can write its checksum too: whatever the file says, it is refused or it runs.
#[test]
fn a_file_that_lies_is_refused_or_runs() {
    let (onnx, input) = exported("vgg11");
    let pictures = pictures(1, &input);
    let mut ran = 0;
    for (kind, whole) in [onnx.clone(), quantised(&onnx)].iter().enumerate() {
        let whole = ModelProto::decode(whole.as_slice()).unwrap();
        for seed in 0..60 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut model = whole.clone();
            lie(model.graph.as_mut().unwrap(), &mut rng);
            let bytes = model.encode_to_vec();
            // an error is as good as scores; a panic, a search without an end or memory without one is not
            let _ = OnnxModel::load(&bytes).and_then(|mut onnx| onnx.logits(&pictures, 1));
            let package = package(&bytes, input);
            let Ok(mut classifier) = TractClassifier::load(&package) else {
                continue;
            };
            let mut scores = Vec::new();
            if classifier.classify(&pictures, &mut scores).is_ok() {
                assert_eq!(scores.len(), 7, "{kind}, seed {seed}");
                ran += 1;
            }
        }
    }
    assert!(
        ran > 0 && ran < 120,
        "{ran} of 120: all lies were found, or none"
    );
}

/// Changes one thing in a graph.
fn lie(graph: &mut GraphProto, rng: &mut StdRng) {
    let names: Vec<String> = graph
        .node
        .iter()
        .flat_map(|node| node.output.clone())
        .chain(graph.initializer.iter().map(|tensor| tensor.name.clone()))
        .collect();
    let name = names[rng.random_range(0..names.len())].clone();
    let (at, other) = (0..graph.node.len(), rng.random_range(0..graph.node.len()));
    let at = rng.random_range(at);
    let tensor = rng.random_range(0..graph.initializer.len());
    let tensor = &mut graph.initializer[tensor];
    match rng.random_range(0..9) {
        0 => graph.node.swap(at, other),
        1 => graph.node[at].op_type = graph.node[other].op_type.clone(),
        2 => graph.node[at].input[0] = name,
        3 => graph.node[at].output[0] = name,
        4 => graph.node[at].attribute.clear(),
        5 => drop(graph.node.remove(at)),
        6 => tensor
            .dims
            .iter_mut()
            .for_each(|size| *size = size.wrapping_mul(1 << 40)),
        7 => tensor.raw_data.truncate(tensor.raw_data.len() / 2),
        _ => graph.node[at].attribute.iter_mut().for_each(|attribute| {
            attribute.i = i64::MAX;
            attribute.ints.fill(i64::MAX);
        }),
    }
}

/// The kernels add a bias to the sums, in their units.
#[test]
fn a_bias_in_other_units_than_the_sums_runs_on_tract() {
    let (onnx, input) = exported("vgg11");
    let mut model = ModelProto::decode(quantised(&onnx).as_slice()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let steps = graph
        .initializer
        .iter_mut()
        .find(|tensor| tensor.name.ends_with("bias/scale"))
        .unwrap();
    let doubled = numbers(steps)
        .into_iter()
        .flat_map(|x| (2.0 * x).to_le_bytes());
    steps.raw_data = doubled.collect();
    let package = package(&model.encode_to_vec(), input);
    let (runs_on, _) = scores(&package, Runner::default(), &pictures(1, &input));
    assert_eq!(runs_on, "tract");
}

/// It would be looked up for ever.
#[test]
fn a_constant_made_of_itself_is_refused() {
    let (onnx, input) = exported("vgg11");
    let mut model = ModelProto::decode(onnx.as_slice()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let name = graph.initializer[0].name.clone();
    let itself = NodeProto {
        op_type: "Identity".into(),
        input: vec![name.clone()],
        output: vec![name],
        ..Default::default()
    };
    graph.node.insert(0, itself);
    let package = package(&model.encode_to_vec(), input);
    let error = TractClassifier::load(&package).err().unwrap().to_string();
    assert!(error.contains("not a usable ONNX model"), "{error}");
}

#[test]
fn integers_score_alike_with_all_instructions_and_as_in_onnx_runtime() {
    for name in ["vgg19", "resnet18"] {
        let (onnx, input) = exported(name);
        let quantised = quantised(&onnx);
        let package = package(&quantised, input);
        const COUNT: usize = 40;
        let pictures = pictures(COUNT, &input);
        let (runs_on, expected) = scores(&package, Runner::Kernels(Isa::Portable), &pictures);
        assert_eq!(runs_on, "int8, plain Rust", "{name}");
        for isa in Isa::available() {
            let (runs_on, found) = scores(&package, Runner::Kernels(isa), &pictures);
            assert_eq!(runs_on, format!("int8, {}", isa.int8_name()), "{name}");
            assert_eq!(found, expected, "{name}, {isa}");
        }
        let Some(logits) = onnx_runtime(&quantised, &pictures, &input) else {
            continue;
        };
        let mut same = 0;
        let mut difference: f32 = 0.0;
        for (scores, logits) in expected.chunks(7).zip(logits.chunks(7)) {
            let mut theirs = vec![0.0; 7];
            fer_models::softmax(logits, 1.0, &mut theirs);
            difference = difference.max(largest_difference(scores, &theirs));
            same += usize::from(best(scores) == best(&theirs));
        }
        skip::note(&format!(
            "{name}: int8 against ONNX Runtime: same decision on {same} of {COUNT}, scores within {difference:.1e}"
        ));
        assert!(
            same >= COUNT - 1 && difference < 0.02,
            "{name}: {same}, {difference}"
        );
    }
}

fn best(scores: &[f32]) -> usize {
    (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
}

/// ONNX Runtime's logits; `None`, after saying why, without its Python.
fn onnx_runtime(onnx: &[u8], pictures: &[f32], input: &Preprocess) -> Option<Vec<f32>> {
    let judges = Judges::find()?;
    let folder = tempfile::tempdir().unwrap();
    let case = Case {
        name: "quantised".into(),
        onnx: onnx.to_vec(),
        shape: [input.channels, input.crop, input.crop],
        pixels: pictures.to_vec(),
    };
    judges.logits("onnxruntime", folder.path(), &[case]).pop()
}

/// What stands for a value of the float file: a name, and the scale and zero point behind it.
#[derive(Clone)]
struct Quantised {
    name: String,
    scale: f32,
    zero: u8,
}

/// The file with `QuantizeLinear` and `DequantizeLinear` around everything, as quantising tools write it. Scales are made up:
/// what counts is that everybody reads them alike.
fn quantised(onnx: &[u8]) -> Vec<u8> {
    let mut model = ModelProto::decode(onnx).unwrap();
    let graph = model.graph.take().unwrap();
    let mut writer = Writer::default();
    let mut values = HashMap::new();
    let pixels = Quantised {
        name: graph.input[0].name.clone(),
        scale: 1.0 / 255.0,
        zero: 0,
    };
    values.insert(pixels.name.clone(), writer.around(pixels));
    let before_relu: Vec<&str> = graph
        .node
        .iter()
        .filter(|node| node.op_type == "Relu")
        .map(|node| node.input[0].as_str())
        .collect();
    for node in &graph.node {
        let (mut node, output) = (node.clone(), node.output[0].clone());
        let x = values.get(&node.input[0]).cloned();
        for (i, name) in node.input.iter_mut().enumerate() {
            let tensor = graph.initializer.iter().find(|tensor| &tensor.name == name);
            if let Some(value) = values.get(name) {
                name.clone_from(&value.name);
            } else if let Some(tensor) = tensor {
                let scale = x.as_ref().map_or(1.0, |x| x.scale);
                *name = if i == 1 {
                    writer.weights(tensor)
                } else {
                    writer.bias(tensor, scale)
                };
            }
        }
        let kind = node.op_type.clone();
        writer.nodes.push(node);
        if before_relu.contains(&output.as_str()) || output == graph.output[0].name {
            continue;
        }
        let (scale, zero) = match (kind.as_str(), x) {
            ("MaxPool" | "Flatten", Some(x)) => (x.scale, x.zero),
            ("Conv" | "Add", _) => (0.04, 117),
            _ => (0.03, 0),
        };
        let value = Quantised {
            name: output.clone(),
            scale,
            zero,
        };
        values.insert(output, writer.around(value));
    }
    model.graph = Some(GraphProto {
        node: writer.nodes,
        initializer: writer.constants,
        ..graph
    });
    model.encode_to_vec()
}

#[derive(Default)]
struct Writer {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    /// Scales of each output channel's weights, of the layer at hand.
    steps: Vec<f32>,
}

const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT8: i32 = 3;
const INT32: i32 = 6;

impl Writer {
    fn constant(
        &mut self,
        name: String,
        data_type: i32,
        dims: &[i64],
        raw_data: Vec<u8>,
    ) -> String {
        let dims = dims.to_vec();
        self.constants.push(TensorProto {
            name: name.clone(),
            data_type,
            dims,
            raw_data,
            ..Default::default()
        });
        name
    }

    fn node(&mut self, kind: &str, input: Vec<String>, output: String) -> String {
        let axis = AttributeProto {
            name: "axis".into(),
            r#type: 2,
            i: 0,
            ..Default::default()
        };
        self.nodes.push(NodeProto {
            op_type: kind.into(),
            name: output.clone(),
            input,
            output: vec![output.clone()],
            attribute: vec![axis],
            ..Default::default()
        });
        output
    }

    /// A value through integers and back; the name changes.
    fn around(&mut self, value: Quantised) -> Quantised {
        let name = &value.name;
        let scale = self.constant(
            format!("{name}/scale"),
            FLOAT,
            &[],
            value.scale.to_le_bytes().to_vec(),
        );
        let zero = self.constant(format!("{name}/zero"), UINT8, &[], vec![value.zero]);
        let inputs = |name: &str| vec![name.to_owned(), scale.clone(), zero.clone()];
        let bytes = self.node("QuantizeLinear", inputs(name), format!("{name}/bytes"));
        let name = self.node("DequantizeLinear", inputs(&bytes), format!("{name}/back"));
        Quantised { name, ..value }
    }

    /// Signed bytes with a scale for each output.
    fn weights(&mut self, tensor: &TensorProto) -> String {
        let (name, outputs) = (&tensor.name, tensor.dims[0] as usize);
        let values = numbers(tensor);
        let rows = || values.chunks(values.len() / outputs);
        self.steps = rows()
            .map(|row| row.iter().fold(1e-6f32, |m, x| m.max(x.abs())) / 127.0)
            .collect();
        let steps = self.steps.clone();
        let bytes = rows()
            .zip(&steps)
            .flat_map(|(row, step)| row.iter().map(move |x| (x / step).round() as i8 as u8));
        let bytes = self.constant(format!("{name}/bytes"), INT8, &tensor.dims, bytes.collect());
        self.back(name, bytes, &steps)
    }

    /// 32-bit integers in units of input scale × weight scale.
    fn bias(&mut self, tensor: &TensorProto, scale: f32) -> String {
        let name = &tensor.name;
        let steps: Vec<f32> = self.steps.iter().map(|step| step * scale).collect();
        let values = numbers(tensor);
        let integers = values
            .iter()
            .zip(&steps)
            .flat_map(|(x, step)| ((x / step).round() as i32).to_le_bytes());
        let integers = self.constant(
            format!("{name}/integers"),
            INT32,
            &tensor.dims,
            integers.collect(),
        );
        self.back(name, integers, &steps)
    }

    fn back(&mut self, name: &str, integers: String, steps: &[f32]) -> String {
        let raw = steps.iter().flat_map(|step| step.to_le_bytes()).collect();
        let scale = self.constant(format!("{name}/scale"), FLOAT, &[steps.len() as i64], raw);
        self.node(
            "DequantizeLinear",
            vec![integers, scale],
            format!("{name}/back"),
        )
    }
}

/// A float tensor's numbers.
fn numbers(tensor: &TensorProto) -> Vec<f32> {
    let raw = tensor.raw_data.as_chunks::<4>().0;
    raw.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}
