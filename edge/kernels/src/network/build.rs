//! Takes a network layer by layer.

use std::sync::Arc;

use super::step::Step;
use super::{Bytes, Element, Error, Network, Spec};
use crate::isa::Isa;
use crate::map::{Layout, Shape, Window};
use crate::quant::{self, Integers, Limits, Output};
use crate::{float, pointwise, pool};

/// A map that a layer made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Map(usize);

/// Takes a network layer by layer. A layer's input is any map made before.
#[derive(Debug)]
pub struct Builder {
    isa: Isa,
    maps: Vec<(Shape, Element)>,
    steps: Vec<Step>,
}

impl Builder {
    /// A network for pictures of this size, on these instructions.
    ///
    /// # Errors
    /// When this processor doesn't have the instructions, or the picture has no pixels.
    pub fn new(isa: Isa, input: Shape) -> Result<Self, Error> {
        if !isa.is_available() {
            return Err(Error::Isa(isa));
        }
        if input.is_empty() {
            return Err(Error::Window);
        }
        Ok(Self {
            isa,
            maps: vec![(input, Element::Float)],
            steps: Vec::new(),
        })
    }

    /// The picture, as floats.
    pub fn input(&self) -> Map {
        Map(0)
    }

    /// Size of a map.
    pub fn shape(&self, map: Map) -> Shape {
        self.maps[map.0].0
    }

    /// What a map is made of.
    pub fn element(&self, map: Map) -> Element {
        self.maps[map.0].1
    }

    /// A convolution of floats: weights `[outputs, inputs, rows, columns]`, bias `[outputs]`.
    ///
    /// # Errors
    /// When sizes don't fit.
    pub fn conv(
        &mut self,
        from: Map,
        window: Window,
        weights: &[f32],
        bias: &[f32],
        relu: bool,
    ) -> Result<Map, Error> {
        self.floats(from)?;
        let inputs = self.shape(from).channels;
        let shape = self.windowed(from, &window, bias.len())?;
        let [height, width] = window.kernel;
        Error::size(
            "weights",
            bias.len() * inputs * height * width,
            weights.len(),
        )?;
        if float::Winograd::fits(&window, inputs, shape) {
            let conv = float::Winograd::new(self.isa, window, inputs, weights, bias, relu);
            return Ok(self.push(shape, Element::Float, |to| Step::Tiled {
                conv,
                from: from.0,
                to,
            }));
        }
        let conv = float::Conv::new(self.isa, window, inputs, weights, bias, relu);
        Ok(self.push(shape, Element::Float, |to| Step::Float {
            conv,
            from: from.0,
            to,
        }))
    }

    /// A convolution of integers, which makes integers, or floats where `to` is [`Element::Float`].
    ///
    /// # Errors
    /// When sizes don't fit, or the input isn't made of integers.
    pub fn conv_integers(
        &mut self,
        from: Map,
        window: Window,
        layer: Integers<'_>,
        to: Element,
        relu: bool,
    ) -> Result<Map, Error> {
        self.bytes(from)?;
        let inputs = self.shape(from).channels;
        let shape = self.windowed(from, &window, layer.bias.len())?;
        let [height, width] = window.kernel;
        let outputs = layer.bias.len();
        Error::size(
            "weights",
            outputs * inputs * height * width,
            layer.weights.len(),
        )?;
        Error::size("scales", outputs, layer.scale.len())?;
        let output = match to {
            Element::Float => Output::Floats { relu },
            Element::Byte(bytes) => Output::Bytes(Limits::new(bytes.zero, relu)),
        };
        let conv = quant::Conv::new(self.isa, window, inputs, layer, output);
        Ok(self.push(shape, to, |to| Step::Integer {
            conv,
            from: from.0,
            to,
        }))
    }

    /// The greatest of each window, of floats or integers.
    ///
    /// # Errors
    /// When the window doesn't fit.
    pub fn max_pool(&mut self, from: Map, window: Window) -> Result<Map, Error> {
        let shape = self.windowed(from, &window, self.shape(from).channels)?;
        Ok(self.push(shape, self.element(from), |to| Step::MaxPool {
            window,
            from: from.0,
            to,
        }))
    }

    /// The mean of each window; `padding` counts as zeros or not at all. Integers stay integers, of the scale `to`.
    ///
    /// # Errors
    /// When the window doesn't fit, or `to` isn't made of what the input is made of.
    pub fn average_pool(
        &mut self,
        from: Map,
        window: Window,
        padding: bool,
        to: Element,
    ) -> Result<Map, Error> {
        let shape = self.windowed(from, &window, self.shape(from).channels)?;
        let bytes = match (self.element(from), to) {
            (Element::Float, Element::Float) => None,
            (Element::Byte(from), Element::Byte(to)) => Some(pool::Bytes {
                zero: from.zero,
                ratio: from.scale / to.scale,
                limits: Limits::new(to.zero, false),
            }),
            _ => return Err(Error::Element),
        };
        Ok(self.push(shape, to, |to| Step::AveragePool {
            window,
            padding,
            bytes,
            from: from.0,
            to,
        }))
    }

    /// The sum of two maps of one size, of floats or integers like `to`.
    ///
    /// # Errors
    /// When sizes or elements differ.
    pub fn add(&mut self, a: Map, b: Map, to: Element, relu: bool) -> Result<Map, Error> {
        let shape = self.shape(a);
        if shape != self.shape(b) {
            return Err(Error::Window);
        }
        let bytes = match (self.element(a), self.element(b), to) {
            (Element::Float, Element::Float, Element::Float) => None,
            (Element::Byte(a), Element::Byte(b), Element::Byte(to)) => Some(pointwise::AddBytes {
                zeros: [a.zero, b.zero],
                ratios: [a.scale / to.scale, b.scale / to.scale],
                limits: Limits::new(to.zero, relu),
            }),
            _ => return Err(Error::Element),
        };
        Ok(self.push(shape, to, |to| Step::Add {
            relu,
            bytes,
            from: [a.0, b.0],
            to,
        }))
    }

    /// Floats as integers.
    ///
    /// # Errors
    /// When the map is made of integers.
    pub fn quantize(&mut self, from: Map, bytes: Bytes) -> Result<Map, Error> {
        self.floats(from)?;
        let shape = self.shape(from);
        Ok(self.push(shape, Element::Byte(bytes), |to| Step::Quantize {
            scale: bytes.scale,
            limits: Limits::new(bytes.zero, false),
            from: from.0,
            to,
        }))
    }

    /// Integers as floats.
    ///
    /// # Errors
    /// When the map is made of floats.
    pub fn dequantize(&mut self, from: Map) -> Result<Map, Error> {
        let bytes = self.bytes(from)?;
        let shape = self.shape(from);
        Ok(self.push(shape, Element::Float, |to| Step::Dequantize {
            bytes,
            from: from.0,
            to,
        }))
    }

    /// The network that makes `output`.
    ///
    /// # Errors
    /// When the output isn't made of floats.
    pub fn finish(self, output: Map) -> Result<Network, Error> {
        self.floats(output)?;
        let spec = |&(shape, element): &(Shape, Element)| Spec {
            layout: Layout {
                shape,
                gap: 0,
                gap_rows: 0,
            },
            element,
            slack: 0,
        };
        let mut maps: Vec<Spec> = self.maps.iter().map(spec).collect();
        for step in &self.steps {
            step.widen(&mut maps);
        }
        Ok(Network {
            id: Arc::new(()),
            isa: self.isa,
            maps,
            steps: self.steps,
            output: output.0,
        })
    }

    fn push(&mut self, shape: Shape, element: Element, step: impl FnOnce(usize) -> Step) -> Map {
        let map = Map(self.maps.len());
        self.maps.push((shape, element));
        self.steps.push(step(map.0));
        map
    }

    fn floats(&self, map: Map) -> Result<(), Error> {
        match self.element(map) {
            Element::Float => Ok(()),
            Element::Byte(_) => Err(Error::Element),
        }
    }

    fn bytes(&self, map: Map) -> Result<Bytes, Error> {
        match self.element(map) {
            Element::Byte(bytes) => Ok(bytes),
            Element::Float => Err(Error::Element),
        }
    }

    fn windowed(&self, from: Map, window: &Window, channels: usize) -> Result<Shape, Error> {
        let shape = window.output(self.shape(from), channels);
        shape.filter(|s| !s.is_empty()).ok_or(Error::Window)
    }
}
