//! Finds a container that holds itself, directly or through others.

use super::{Id, Problem, Value};

/// Walks everything below `root` without recursion.
pub(super) fn check(values: &[Value<'_>], root: Id) -> Result<(), Problem> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; values.len()];
    // values on the path from the root, with the child to look at next
    let mut path = vec![(root, 0)];
    states[root.0 as usize] = State::Open;
    while let Some((id, next)) = path.last_mut() {
        let Some(child) = child(&values[id.0 as usize], *next) else {
            states[id.0 as usize] = State::Done;
            path.pop();
            continue;
        };
        *next += 1;
        match states[child.0 as usize] {
            State::New => {
                states[child.0 as usize] = State::Open;
                path.push((child, 0));
            }
            State::Open => return Err(Problem::SelfReference),
            State::Done => {}
        }
    }
    Ok(())
}

/// The `index`-th value that a container holds.
fn child(value: &Value<'_>, index: usize) -> Option<Id> {
    match value {
        Value::List(items) | Value::Tuple(items) => items.get(index).copied(),
        Value::Dict(items) => {
            let &(key, value) = items.get(index / 2)?;
            Some(if index.is_multiple_of(2) { key } else { value })
        }
        _ => None,
    }
}
