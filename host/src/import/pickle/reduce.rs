//! What the known names make of their arguments. None of this calls anything.

use super::globals::Known;
use super::machine::Machine;
use super::{Id, Problem, Storage, Tensor, Value};
use crate::import::excerpt;

impl<'a> Machine<'a> {
    /// `REDUCE`: what a known name makes of its arguments.
    pub(super) fn reduce(&mut self, function: Id, arguments: Id) -> Result<Id, Problem> {
        let Value::Global(known) = *self.get(function) else {
            return Err(self.kind("what is called", function, "a known class or function"));
        };
        let Value::Tuple(items) = self.get(arguments) else {
            return Err(self.kind("what a call is given", arguments, "a tuple"));
        };
        match (known, items.as_slice()) {
            (Known::OrderedDict, []) => self.make(Value::Dict(Vec::new())),
            (Known::OrderedDict, &[pairs]) => self.ordered_dict(pairs),
            (Known::RebuildTensor, &[storage, offset, size, stride, ..]) => self.tensor(Tensor {
                storage,
                offset,
                size,
                stride,
            }),
            (Known::RebuildParameter, &[tensor, ..]) => match self.get(tensor) {
                Value::Tensor(_) => Ok(tensor),
                _ => Err(self.kind("a parameter's data", tensor, "a tensor")),
            },
            (Known::Size, &[size]) => match self.get(size) {
                Value::Tuple(_) => Ok(size),
                _ => Err(self.kind("torch.Size's argument", size, "a tuple")),
            },
            (Known::Inert(name), _) => self.make(Value::Inert(name)),
            (known, items) => Err(Problem::Malformed {
                what: "call",
                found: format!("{} cannot take {} arguments", known.kind(), items.len()),
            }),
        }
    }

    /// `BUILD`: what Python would put into an object's attributes. A state dict's `_metadata` and
    /// the like are of no use here; on anything that is not a known object it is refused.
    pub(super) fn build(&mut self, state: Id) -> Result<(), Problem> {
        let object = self.top()?;
        match (self.get(object), self.get(state)) {
            (Value::Dict(_), Value::Dict(_)) | (Value::Inert(_), _) => Ok(()),
            (Value::Dict(_), _) => Err(self.kind("a dict's state", state, "a dict")),
            _ => Err(self.kind("what BUILD changes", object, "an OrderedDict")),
        }
    }

    /// Python 2.7 gives an `OrderedDict` its items as one list of pairs.
    fn ordered_dict(&mut self, pairs: Id) -> Result<Id, Problem> {
        let Value::List(items) = self.get(pairs) else {
            return Err(self.kind("OrderedDict's argument", pairs, "a list of pairs"));
        };
        let mut dict = Vec::with_capacity(items.len());
        for &item in items {
            match self.get(item) {
                Value::List(pair) | Value::Tuple(pair) if pair.len() == 2 => {
                    dict.push((pair[0], pair[1]));
                }
                _ => return Err(self.kind("an item of an OrderedDict", item, "a pair")),
            }
        }
        // the list stays where it is, so this counts against the bound once more
        self.count(dict.len())?;
        self.make(Value::Dict(dict))
    }

    fn tensor(&mut self, tensor: Tensor) -> Result<Id, Problem> {
        if !matches!(self.get(tensor.storage), Value::Storage(_)) {
            return Err(self.kind("a tensor's storage", tensor.storage, "a storage"));
        }
        if !matches!(self.get(tensor.offset), Value::Int(_)) {
            return Err(self.kind("a tensor's offset", tensor.offset, "an integer"));
        }
        for (what, id) in [
            ("a tensor's size", tensor.size),
            ("a tensor's stride", tensor.stride),
        ] {
            if !matches!(self.get(id), Value::Tuple(_)) {
                return Err(self.kind(what, id, "a tuple"));
            }
        }
        self.make(Value::Tensor(tensor))
    }

    /// `BINPERSID`: `('storage', torch.FloatStorage, key, device, length[, view])`.
    pub(super) fn storage(&self, id: Id) -> Result<Storage<'a>, Problem> {
        let Value::Tuple(items) = self.get(id) else {
            return Err(self.kind("a persistent id", id, "a tuple"));
        };
        let &[tag, class, key, _device, length, ref view @ ..] = items.as_slice() else {
            return Err(Problem::Malformed {
                what: "persistent id",
                found: format!("{} fields, expected 5 or 6", items.len()),
            });
        };
        let tag = self.expect_text(tag, "a persistent id's tag")?;
        if tag != "storage" {
            return Err(Problem::Malformed {
                what: "persistent id",
                found: format!("`{}`, expected `storage`", excerpt(tag)),
            });
        }
        let Value::Global(Known::Storage(dtype)) = *self.get(class) else {
            return Err(self.kind("a storage's class", class, "a class of storages"));
        };
        let key = self.expect_text(key, "a storage's key")?;
        let Value::Int(len) = *self.get(length) else {
            return Err(self.kind("a storage's length", length, "an integer"));
        };
        if let Some(&view) = view.first()
            && !matches!(self.get(view), Value::None)
        {
            return Err(Problem::Malformed {
                what: "storage",
                found: format!(
                    "`{}` is a view of another, as only PyTorch before 0.4 wrote them",
                    excerpt(key)
                ),
            });
        }
        Ok(Storage { key, dtype, len })
    }

    pub(super) fn expect_text(&self, id: Id, what: &'static str) -> Result<&'a str, Problem> {
        match *self.get(id) {
            Value::Text(text) => Ok(text),
            _ => Err(self.kind(what, id, "text")),
        }
    }

    fn kind(&self, what: &'static str, found: Id, expected: &'static str) -> Problem {
        Problem::Kind {
            what,
            expected,
            found: self.get(found).kind(),
        }
    }
}
