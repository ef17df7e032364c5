//! Where in the saved object the tensors lie: the reference systems wrap them differently.

use std::collections::BTreeMap;

use super::error::{Refusal, excerpt};
use super::names::is_spare;
use super::pickle::{Id, Object, Value};
use super::torch::{TensorView, TorchFile};

/// Keys under which a state dict is saved beside other things.
const KEYS: [&str; 3] = ["net", "state_dict", "model_state_dict"];
/// What `torch.nn.DataParallel` puts before every name.
const PARALLEL: &str = "module.";
/// Ends the name of BatchNorm's counter, which only its training reads.
const COUNTER: &str = "num_batches_tracked";
/// Longest name of a tensor.
const MAX_NAME: usize = 512;

/// One entry of `cfg`, the widths of a pruned VGG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A convolution of that many channels.
    Channels(usize),
    /// `'M'`: a 2×2 max pooling.
    Pool,
}

/// The tensors of a checkpoint by name.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    /// One of `KEYS`, or empty.
    pub key: &'static str,
    /// Checked views of floating numbers; `module.` is dropped from the names.
    pub tensors: BTreeMap<&'a str, TensorView<'a>>,
    /// Tensors that no inference needs, which are left out: counters of BatchNorm, and spare ones.
    pub ignored: usize,
    /// `cfg`, where there is one.
    pub cfg: Option<Vec<Unit>>,
}

impl<'a> Layout<'a> {
    /// Finds the state dict and checks every tensor in it.
    pub(super) fn find(file: &TorchFile<'a>) -> Result<Self, Refusal> {
        let object = &file.object;
        let root = entries(object.root(), "the saved object")?;
        let (key, state) = state_dict(object, root)?;
        let mut layout = Self {
            key,
            tensors: BTreeMap::new(),
            ignored: 0,
            cfg: match get(object, root, "cfg") {
                Some(cfg) if !key.is_empty() => Some(units(object, cfg)?),
                _ => None,
            },
        };
        let names = names(object, state, key)?;
        for (name, id) in names {
            layout.insert(file, name, id)?;
        }
        Ok(layout)
    }

    fn insert(&mut self, file: &TorchFile<'a>, name: &'a str, id: Id) -> Result<(), Refusal> {
        let fail = |layout: &Self, problem: String| Refusal::Field {
            field: layout.field(name),
            problem,
        };
        if name.rsplit('.').next() == Some(COUNTER) || is_spare(name) {
            self.ignored += 1;
            return Ok(());
        }
        let Some(view) = file.tensor(id) else {
            let kind = file.object.get(id).kind();
            return Err(fail(self, format!("is {kind}, expected a tensor")));
        };
        let view = view.map_err(|problem| fail(self, problem))?;
        if !view.dtype().is_float() {
            let problem = format!("holds {}, expected floats", view.dtype().name());
            return Err(fail(self, problem));
        }
        if view.len() == 0 {
            return Err(fail(self, format!("its size {:?} is empty", view.shape)));
        }
        if self.tensors.insert(name, view).is_some() {
            return Err(fail(self, "stands in the state dict twice".into()));
        }
        Ok(())
    }

    /// The path of a tensor, for messages.
    pub(super) fn field(&self, name: &str) -> String {
        let name = excerpt(name);
        match self.key {
            "" => format!("`{name}`"),
            key => format!("`{key}.{name}`"),
        }
    }
}

type Entries = [(Id, Id)];

fn entries<'o>(value: &'o Value<'_>, what: &str) -> Result<&'o Entries, Refusal> {
    match value {
        Value::Dict(items) => Ok(items),
        other => Err(Refusal::Field {
            field: what.into(),
            problem: format!("is {}, expected a dict of tensors", other.kind()),
        }),
    }
}

/// The value of a text key; the last one, as in Python.
fn get<'o, 'a>(object: &'o Object<'a>, dict: &Entries, key: &str) -> Option<&'o Value<'a>> {
    let mut items = dict.iter().rev();
    let found = items.find(|(k, _)| matches!(object.get(*k), Value::Text(text) if *text == key))?;
    Some(object.get(found.1))
}

/// The key of the state dict, and its items.
fn state_dict<'o>(
    object: &'o Object<'_>,
    root: &'o Entries,
) -> Result<(&'static str, &'o Entries), Refusal> {
    let mut found = KEYS
        .into_iter()
        .filter_map(|key| Some((key, get(object, root, key)?)));
    if let Some((key, value)) = found.next() {
        if let Some((second, _)) = found.next() {
            return Err(Refusal::Container(format!(
                "holds both `{key}` and `{second}`, expected one state dict"
            )));
        }
        return Ok((key, entries(value, &format!("`{key}`"))?));
    }
    let tensors = |&(_, value): &(Id, Id)| matches!(object.get(value), Value::Tensor(_));
    if root.is_empty() || !root.iter().all(tensors) {
        let shown: Vec<String> = root
            .iter()
            .take(20)
            .map(|&(key, value)| match object.get(key) {
                Value::Text(text) => format!("`{}` ({})", excerpt(text), object.get(value).kind()),
                other => other.kind().to_owned(),
            })
            .collect();
        return Err(Refusal::Container(format!(
            "holds no state dict: expected {} or tensors only, found {}",
            KEYS.map(|key| format!("`{key}`")).join(", "),
            if shown.is_empty() {
                "nothing".into()
            } else {
                shown.join(", ")
            }
        )));
    }
    Ok(("", root))
}

/// The names in a state dict, without what `DataParallel` adds to all of them.
fn names<'a>(
    object: &Object<'a>,
    state: &Entries,
    key: &str,
) -> Result<Vec<(&'a str, Id)>, Refusal> {
    let fail = |problem: String| Refusal::Field {
        field: if key.is_empty() {
            "the saved object".into()
        } else {
            format!("`{key}`")
        },
        problem,
    };
    let mut names = Vec::with_capacity(state.len());
    for &(name, value) in state {
        match *object.get(name) {
            Value::Text(text) if text.len() <= MAX_NAME => names.push((text, value)),
            Value::Text(text) => return Err(fail(format!("holds the name {}", excerpt(text)))),
            ref other => {
                return Err(fail(format!(
                    "has {} as a key, expected names",
                    other.kind()
                )));
            }
        }
    }
    if names.iter().all(|(name, _)| name.starts_with(PARALLEL)) {
        for (name, _) in &mut names {
            *name = &name[PARALLEL.len()..];
        }
    }
    Ok(names)
}

/// Reads `cfg`.
fn units(object: &Object<'_>, cfg: &Value<'_>) -> Result<Vec<Unit>, Refusal> {
    let Value::List(items) = cfg else {
        return Err(Refusal::Field {
            field: "`cfg`".into(),
            problem: format!("is {}, expected a list of channels", cfg.kind()),
        });
    };
    let unit = |(i, &id): (usize, &Id)| {
        let found = match *object.get(id) {
            Value::Text("M") => return Ok(Unit::Pool),
            Value::Int(n) => match usize::try_from(n) {
                Ok(n) if n > 0 => return Ok(Unit::Channels(n)),
                _ => n.to_string(),
            },
            Value::Text(text) => excerpt(text),
            ref other => other.kind().to_owned(),
        };
        Err(Refusal::Field {
            field: format!("`cfg[{i}]`"),
            problem: format!("is {found}, expected channels or 'M'"),
        })
    };
    items.iter().enumerate().map(unit).collect()
}
