//! Loops compiled for the widest vectors that the processor has.

/// Defines functions whose loops are compiled several times, for plain x86-64 or Arm, for AVX2 and for
/// AVX-512; the right one is chosen at every call, at run time.
///
/// Everything inlined into the body is compiled with it. A closure would do the same on paper, but
/// nothing forces the compiler to inline a large one, and then its loops stay narrow.
macro_rules! wide {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$life:lifetime $(, $element:ident: $bound:ident)?>(
            $($arg:ident: $type:ty),* $(,)?
        ) $body:block
    )*) => {$(
        $(#[$meta])*
        $vis fn $name<$life $(, $element: $bound)?>($($arg: $type),*) {
            struct Run<$life $(, $element: $bound)?> {
                $($arg: $type),*
            }
            impl<$life $(, $element: $bound)?> pulp::WithSimd for Run<$life $(, $element)?> {
                type Output = ();

                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) {
                    let Self { $($arg),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Run { $($arg),* });
        }
    )*};
}

pub(crate) use wide;
