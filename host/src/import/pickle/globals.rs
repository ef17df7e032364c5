//! The only names that a pickle may import, and what stands for them.

use super::Problem;
use crate::import::excerpt;
use crate::import::torch::Dtype;

/// What the machine knows to do with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum Known {
    /// `collections.OrderedDict`: a dict.
    OrderedDict,
    /// `torch._utils._rebuild_tensor` (before 0.4) or `_rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`: its first argument.
    RebuildParameter,
    /// `torch.Size`: its argument.
    Size,
    /// `torch.FloatStorage` and its like.
    Storage(Dtype),
    /// A call whose result no network needs.
    Inert(&'static str),
}

impl Known {
    /// What it is, for messages.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::OrderedDict => "the class OrderedDict",
            Self::RebuildTensor => "the function _rebuild_tensor",
            Self::RebuildParameter => "the function _rebuild_parameter",
            Self::Size => "the class torch.Size",
            Self::Storage(_) => "a class of storages",
            Self::Inert(name) => name,
        }
    }
}

/// Accuracies that NumPy computed, and devices: they lie beside the weights and are not looked at.
const INERT: [&str; 5] = [
    "torch.device",
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "_codecs.encode",
];

/// Finds a name on the list.
pub(super) fn find(module: &str, name: &str) -> Result<Known, Problem> {
    let storage = |module: &str| match module {
        "torch" | "torch.cuda" => Dtype::of_storage(name),
        _ => None,
    };
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Known::OrderedDict,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Known::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Known::RebuildParameter,
        ("torch", "Size") => Known::Size,
        _ => {
            if let Some(dtype) = storage(module) {
                return Ok(Known::Storage(dtype));
            }
            let inert = INERT.into_iter().find(|full| {
                full.strip_suffix(name).and_then(|m| m.strip_suffix('.')) == Some(module)
            });
            let refused = || Problem::Global(excerpt(&format!("{module}.{name}")));
            Known::Inert(inert.ok_or_else(refused)?)
        }
    })
}
