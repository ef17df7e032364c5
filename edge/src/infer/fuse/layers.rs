//! The kinds of layers.

use fer_kernels::{Element, Integers, Window};
use tract_onnx::pb::NodeProto;

use super::constants::{Constant, Numbers};
use super::{Reader, Unfused, Value, refuse};

impl<'a> Reader<'a> {
    pub(super) fn conv(&mut self, node: &'a NodeProto) -> Result<(), Unfused> {
        let (x, [weights, bias]) = (self.input(node)?, self.parameters(node)?);
        let Some(weights) = weights else {
            return refuse("no weights");
        };
        let [_, inputs, height, width] = weights.shape[..] else {
            return refuse("weights that aren't of rank 4");
        };
        if node.get_attr_opt("group")?.unwrap_or(1i64) != 1
            || inputs != self.builder.shape(x.map).channels
        {
            return refuse("grouped");
        }
        let window = window(node, Some([height, width]))?;
        self.layer(node, x, window, weights, bias)
    }

    /// A linear layer over all numbers of a map: a convolution with a window of the map's size.
    pub(super) fn gemm(&mut self, node: &'a NodeProto) -> Result<(), Unfused> {
        let (x, [weights, bias]) = (self.input(node)?, self.parameters(node)?);
        let one = |name: &str| Ok::<_, Unfused>(node.get_attr_opt(name)?.unwrap_or(1f32) == 1.0);
        let flag = |name: &str| Ok::<_, Unfused>(node.get_attr_opt(name)?.unwrap_or(0i64) == 1);
        if !one("alpha")? || !one("beta")? || flag("transA")? || !flag("transB")? {
            return refuse("not the product with transposed weights");
        }
        let shape = self.builder.shape(x.map);
        let Some(weights) = weights.filter(|w| w.shape.len() == 2 && w.shape[1] == shape.len())
        else {
            return refuse("weights that don't fit the map");
        };
        self.layer(node, x, Window::whole(shape), weights, bias)
    }

    /// Weights and bias.
    fn parameters(&self, node: &NodeProto) -> Result<[Option<Constant>; 2], Unfused> {
        let get = |i: usize| {
            let name = node.input.get(i).filter(|name| !name.is_empty());
            name.map(|name| self.constants.get(name)).transpose()
        };
        Ok([get(1)?, get(2)?])
    }

    fn layer(
        &mut self,
        node: &'a NodeProto,
        x: Value,
        window: Window,
        weights: Constant,
        bias: Option<Constant>,
    ) -> Result<(), Unfused> {
        let outputs = weights.shape[0];
        let (last, relu) = self.absorb_relu(node);
        let integers = |constant: &Constant| matches!(constant.numbers, Numbers::Integers { .. });
        let bytes = self
            .bytes(x)
            .filter(|_| integers(&weights) && bias.as_ref().is_none_or(integers));
        let Some(from) = bytes else {
            let map = self.floats(x)?;
            let bias = match bias {
                Some(bias) => bias.to_floats()?,
                None => vec![0.0; outputs],
            };
            let map = self
                .builder
                .conv(map, window, &weights.to_floats()?, &bias, relu)?;
            return self.define(last, Value::plain(map));
        };
        let (last, to) = self.absorb_quantize(last)?;
        let layer = integer_layer(from.scale, &weights, bias.as_ref(), outputs)?;
        // in the order of ONNX Runtime, so that the last bit is the same
        let scale: Vec<f32> = match to {
            Element::Float => layer.scales,
            Element::Byte(to) => layer.scales.iter().map(|scale| scale / to.scale).collect(),
        };
        let layer = Integers {
            weights: &layer.weights,
            bias: &layer.bias,
            scale: &scale,
            zero: from.zero,
        };
        let map = self.builder.conv_integers(x.map, window, layer, to, relu)?;
        self.define(last, Value::plain(map))
    }

    pub(super) fn add(&mut self, node: &'a NodeProto) -> Result<(), Unfused> {
        let [a, b] = node.input.as_slice() else {
            return refuse("not two inputs");
        };
        let (a, b) = (self.value(a)?, self.value(b)?);
        let (last, relu) = self.absorb_relu(node);
        if self.bytes(a).is_some() && self.bytes(b).is_some() {
            let (last, to) = self.absorb_quantize(last)?;
            if let Element::Byte(_) = to {
                let map = self.builder.add(a.map, b.map, to, relu)?;
                return self.define(last, Value::plain(map));
            }
        }
        let (a, b) = (self.floats(a)?, self.floats(b)?);
        let map = self.builder.add(a, b, Element::Float, relu)?;
        self.define(last, Value::plain(map))
    }

    pub(super) fn max_pool(&mut self, node: &'a NodeProto) -> Result<Value, Unfused> {
        let (x, window) = (self.input(node)?, window(node, None)?);
        if node.output.len() > 1 {
            return refuse("indices");
        }
        // the greatest integer stands for the greatest number
        Ok(Value {
            map: self.builder.max_pool(x.map, window)?,
            ..x
        })
    }

    pub(super) fn average_pool(&mut self, node: &'a NodeProto) -> Result<(), Unfused> {
        let x = self.input(node)?;
        let shape = self.builder.shape(x.map);
        let window = match node.op_type.as_str() {
            "GlobalAveragePool" => Window::whole(shape),
            _ => window(node, None)?,
        };
        let padding = node.get_attr_opt("count_include_pad")?.unwrap_or(0i64) != 0;
        if self.bytes(x).is_some() {
            let (last, to) = self.absorb_quantize(node)?;
            if let Element::Byte(_) = to {
                let map = self.builder.average_pool(x.map, window, padding, to)?;
                return self.define(last, Value::plain(map));
            }
        }
        let map = self.floats(x)?;
        let map = self
            .builder
            .average_pool(map, window, padding, Element::Float)?;
        self.define(node, Value::plain(map))
    }
}

/// A layer's integers as the kernels take them.
struct IntegerLayer {
    weights: Vec<i8>,
    bias: Vec<i32>,
    /// Input scale × weight scale of each output.
    scales: Vec<f32>,
}

fn integer_layer(
    scale: f32,
    weights: &Constant,
    bias: Option<&Constant>,
    outputs: usize,
) -> Result<IntegerLayer, Unfused> {
    let Numbers::Integers {
        values,
        scales,
        axis,
    } = &weights.numbers
    else {
        return refuse("weights of floats");
    };
    let each = match scales.len() {
        1 => vec![scales[0]; outputs],
        len if len == outputs && *axis == 0 => scales.clone(),
        _ => return refuse("scales that aren't one an output"),
    };
    let narrow = values.iter().map(|&value| i8::try_from(value));
    let sums: Vec<f32> = each.iter().map(|weight| scale * weight).collect();
    let bias = match bias.map(|bias| &bias.numbers) {
        Some(Numbers::Integers { values, scales, .. }) => {
            let of = |output: usize| scales[output.min(scales.len() - 1)];
            let fits = |(output, &sum): (usize, &f32)| (of(output) - sum).abs() <= 1e-5 * sum.abs();
            if ![1, outputs].contains(&scales.len()) || !sums.iter().enumerate().all(fits) {
                return refuse("a bias in other units than the sums");
            }
            values.clone()
        }
        Some(Numbers::Floats(_)) => return refuse("a bias of floats"),
        None => vec![0; outputs],
    };
    Ok(IntegerLayer {
        weights: narrow
            .collect::<Result<_, _>>()
            .map_err(|_| Unfused("weights that aren't signed bytes".into()))?,
        bias,
        scales: sums,
    })
}

/// Networks for faces have no wider windows, and a damaged file must not make the process ask for more memory than there is.
const WIDEST: usize = 64;

/// The window of a convolution, whose size the weights have, or of a pooling.
fn window(node: &NodeProto, kernel: Option<[usize; 2]>) -> Result<Window, Unfused> {
    let list = |name: &str, default: &[i64]| -> Result<Vec<usize>, Unfused> {
        let list = node
            .get_attr_opt_vec::<i64>(name)?
            .unwrap_or_else(|| default.to_vec());
        let list: Result<Vec<usize>, _> = list.into_iter().map(usize::try_from).collect();
        match list {
            Ok(list) if list.len() == default.len() => Ok(list),
            _ => refuse(format!("{name} of another kind")),
        }
    };
    let automatic = node.get_attr_opt::<&str>("auto_pad")?.unwrap_or("NOTSET");
    let rounds_up = node.get_attr_opt("ceil_mode")?.unwrap_or(0i64) != 0;
    if automatic != "NOTSET" || rounds_up || list("dilations", &[1, 1])? != [1, 1] {
        return refuse("auto_pad, ceil_mode or dilations");
    }
    let kernel = match kernel {
        Some(kernel) => kernel,
        None => match list("kernel_shape", &[0, 0])?[..] {
            [height, width] => [height, width],
            _ => return refuse("a kernel of another kind"),
        },
    };
    let (strides, pads) = (list("strides", &[1, 1])?, list("pads", &[0; 4])?);
    let window = Window {
        kernel,
        stride: [strides[0], strides[1]],
        pads: [pads[0], pads[1], pads[2], pads[3]],
    };
    let padded = (0..4).any(|i| window.pads[i] > kernel[i % 2]);
    if padded || kernel.iter().any(|&side| side > WIDEST) {
        return refuse("a window of unusual size");
    }
    Ok(window)
}
