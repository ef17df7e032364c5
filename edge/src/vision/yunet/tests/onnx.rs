//! A tiny ONNX file with a YuNet's outputs, written by hand: the wire format of protobuf is a few
//! lines, and the package that knows it is no dependency here.

/// How the file differs from a YuNet's.
pub(super) struct Layout {
    /// What the class scores are called.
    pub(super) class: &'static str,
    /// Values of a box.
    pub(super) offsets: usize,
    /// Channels of the input.
    pub(super) channels: usize,
    /// Width and height that are written into the graph.
    pub(super) fixed: Option<[usize; 2]>,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            class: "cls",
            offsets: 4,
            channels: 3,
            fixed: None,
        }
    }
}

/// A network that sees a face wherever a cell of the coarsest level is bright.
pub(super) fn yunet(layout: &Layout) -> Vec<u8> {
    let mut graph = text(2, "yunet");
    for stride in [8, 16, 32] {
        let seen = if stride == 32 { 1.0 } else { 0.0 };
        // Half a cell to the middle; twice the cell's size.
        let size = 2f32.ln();
        let offsets: Vec<f32> = [0.5, 0.5, size, size]
            .into_iter()
            .cycle()
            .take(layout.offsets)
            .collect();
        graph.extend(level(layout, stride, layout.class, seen, &[0.0]));
        graph.extend(level(layout, stride, "obj", 0.0, &[1.0]));
        graph.extend(level(layout, stride, "bbox", 0.0, &offsets));
        graph.extend(level(layout, stride, "kps", 0.0, &[0.0; 10]));
    }
    let [width, height] = layout.fixed.unwrap_or([640, 640]);
    graph.extend(field(
        11,
        &value("input", &[1, layout.channels, height, width]),
    ));
    let opset = number(2, 17);
    [number(1, 8), field(8, &opset), field(7, &graph)].concat()
}

/// One output: the mean brightness of each cell times `seen`, plus `bias`, as `[1, cells, values]`.
fn level(layout: &Layout, stride: usize, kind: &str, seen: f32, bias: &[f32]) -> Vec<u8> {
    let name = format!("{kind}_{stride}");
    let part = |part| format!("{name}.{part}");
    let [pool, conv, moved] = ["pool", "conv", "moved"].map(part);
    let [weight, bias_name, shape] = ["weight", "bias", "shape"].map(part);
    let channels = layout.channels;
    let weights = vec![seen / (channels as f32 * 255.0); bias.len() * channels];
    let side = [stride as i64; 2];
    let cells = layout
        .fixed
        .map_or(-1, |[w, h]| (w / stride * (h / stride)) as i64);
    let target = [1, cells, bias.len() as i64];
    [
        node(
            "AveragePool",
            &["input"],
            &pool,
            &[("kernel_shape", &side), ("strides", &side)],
        ),
        node("Conv", &[&pool, &weight, &bias_name], &conv, &[]),
        node("Transpose", &[&conv], &moved, &[("perm", &[0, 2, 3, 1])]),
        node("Reshape", &[&moved, &shape], &name, &[]),
        floats(&weight, &[bias.len(), channels, 1, 1], &weights),
        floats(&bias_name, &[bias.len()], bias),
        longs(&shape, &target),
        field(12, &text(1, &name)),
    ]
    .concat()
}

fn node(op: &str, inputs: &[&str], output: &str, attributes: &[(&str, &[i64])]) -> Vec<u8> {
    let mut bytes: Vec<u8> = inputs.iter().flat_map(|input| text(1, input)).collect();
    bytes.extend(text(2, output));
    bytes.extend(text(4, op));
    for (name, values) in attributes {
        let mut attribute = text(1, name);
        attribute.extend(values.iter().flat_map(|&v| number(8, v as u64)));
        attribute.extend(number(20, 7));
        bytes.extend(field(5, &attribute));
    }
    field(1, &bytes)
}

fn floats(name: &str, dims: &[usize], values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor(name, dims, 1, &raw)
}

fn longs(name: &str, values: &[i64]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor(name, &[values.len()], 7, &raw)
}

fn tensor(name: &str, dims: &[usize], kind: u64, raw: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = dims.iter().flat_map(|&d| number(1, d as u64)).collect();
    bytes.extend(number(2, kind));
    bytes.extend(text(8, name));
    bytes.extend(field(9, raw));
    field(5, &bytes)
}

fn value(name: &str, dims: &[usize]) -> Vec<u8> {
    let shape: Vec<u8> = dims
        .iter()
        .flat_map(|&d| field(1, &number(1, d as u64)))
        .collect();
    let tensor = [number(1, 1), field(2, &shape)].concat();
    [text(1, name), field(2, &field(1, &tensor))].concat()
}

fn text(tag: u64, text: &str) -> Vec<u8> {
    field(tag, text.as_bytes())
}

fn field(tag: u64, bytes: &[u8]) -> Vec<u8> {
    [
        varint(tag << 3 | 2),
        varint(bytes.len() as u64),
        bytes.to_vec(),
    ]
    .concat()
}

fn number(tag: u64, value: u64) -> Vec<u8> {
    [varint(tag << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
