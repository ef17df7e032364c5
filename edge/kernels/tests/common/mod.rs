//! Plain loops that the kernels must equal, and random numbers without a crate.

use fer_kernels::{Shape, Window};

/// A generator (PCG's multiplier) whose seed a failing test prints.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// One of `range`.
    pub(crate) fn of(&mut self, range: std::ops::RangeInclusive<usize>) -> usize {
        range.start() + self.bits() as usize % (range.end() - range.start() + 1)
    }

    /// Between -1 and 1.
    pub(crate) fn float(&mut self) -> f32 {
        self.bits() as f32 / (1u32 << 30) as f32 - 1.0
    }

    /// Any, the ends more often than chance would have them.
    pub(crate) fn byte(&mut self) -> u8 {
        match self.bits() % 8 {
            0 => 0,
            1 => 255,
            _ => self.bits() as u8,
        }
    }

    /// Any, -128 included.
    pub(crate) fn weight(&mut self) -> i8 {
        self.byte().wrapping_add(128) as i8
    }
}

/// A convolution: sizes and window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) pictures: usize,
    pub(crate) input: Shape,
    pub(crate) outputs: usize,
    pub(crate) window: Window,
}

impl Case {
    /// Any that has outputs.
    pub(crate) fn random(random: &mut Random) -> Self {
        Self::first_with_outputs(|| Self {
            pictures: random.of(1..=3),
            input: Shape {
                height: random.of(1..=12),
                width: random.of(1..=19),
                channels: random.of(1..=70),
            },
            outputs: random.of(1..=80),
            window: Window {
                kernel: [random.of(1..=5), random.of(1..=5)],
                stride: [random.of(1..=3), random.of(1..=3)],
                pads: [0; 4].map(|_: usize| random.of(0..=2)),
            },
        })
    }

    /// Any that Winograd's tiles take, and some that they don't quite.
    pub(crate) fn tiled(random: &mut Random) -> Self {
        Self::first_with_outputs(|| Self {
            pictures: random.of(1..=3),
            input: Shape {
                height: random.of(6..=11),
                width: random.of(6..=13),
                channels: (32 << random.of(0..=2)) + random.of(0..=3),
            },
            outputs: (32 << random.of(0..=2)) + random.of(0..=3),
            window: Window {
                kernel: [3, 3],
                stride: [1, 1],
                pads: [0; 4].map(|_: usize| random.of(0..=2)),
            },
        })
    }

    fn first_with_outputs(mut draw: impl FnMut() -> Self) -> Self {
        loop {
            let case = draw();
            if case.window.output(case.input, 1).is_some() {
                return case;
            }
        }
    }

    pub(crate) fn output(&self) -> Shape {
        self.window.output(self.input, self.outputs).unwrap()
    }

    /// For each output, in the order of a network's scores: the sum over its window.
    ///
    /// `product` gets indices into pictures `[pictures, channels, rows, columns]` and weights `[outputs, inputs, rows,
    /// columns]`.
    pub(crate) fn sums<T: Copy + std::iter::Sum>(
        &self,
        product: impl Fn(usize, usize) -> T,
    ) -> Vec<T> {
        let (input, output) = (self.input, self.output());
        let [kernel_height, kernel_width] = self.window.kernel;
        let mut sums = Vec::new();
        for picture in 0..self.pictures {
            for (y, x) in (0..output.height).flat_map(|y| (0..output.width).map(move |x| (y, x))) {
                for channel in 0..self.outputs {
                    let mut products = Vec::new();
                    for c in 0..input.channels {
                        for (ky, kx) in (0..kernel_height)
                            .flat_map(|ky| (0..kernel_width).map(move |kx| (ky, kx)))
                        {
                            let row =
                                (y * self.window.stride[0] + ky).wrapping_sub(self.window.pads[0]);
                            let column =
                                (x * self.window.stride[1] + kx).wrapping_sub(self.window.pads[1]);
                            if row < input.height && column < input.width {
                                let plane = picture * input.channels + c;
                                products.push(product(
                                    (plane * input.height + row) * input.width + column,
                                    ((channel * input.channels + c) * kernel_height + ky)
                                        * kernel_width
                                        + kx,
                                ));
                            }
                        }
                    }
                    sums.push(products.into_iter().sum());
                }
            }
        }
        sums
    }
}
