//! The machine's stack, memo and containers: every growth is counted before it happens.

use super::cursor::utf8;
use super::machine::Machine;
use super::{Id, MAX_VALUES, Problem, Value};

impl<'a> Machine<'a> {
    /// A value by its place.
    pub(super) fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id.0 as usize]
    }

    /// A new value in the arena.
    pub(super) fn make(&mut self, value: Value<'a>) -> Result<Id, Problem> {
        if self.values.len() == MAX_VALUES {
            return Err(Problem::TooMany("values"));
        }
        self.values.push(value);
        Ok(Id(self.values.len() as u32 - 1))
    }

    /// Allows for `items` more in containers.
    pub(super) fn count(&mut self, items: usize) -> Result<(), Problem> {
        self.items += items;
        if self.items > MAX_VALUES {
            return Err(Problem::TooMany("items"));
        }
        Ok(())
    }

    /// The value on top of the stack.
    pub(super) fn top(&self) -> Result<Id, Problem> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&top) if self.stack.len() > bottom => Ok(top),
            _ => Err(Problem::Empty),
        }
    }

    pub(super) fn push(&mut self, value: Value<'a>) -> Result<(), Problem> {
        let id = self.make(value)?;
        self.push_id(id)
    }

    pub(super) fn push_id(&mut self, id: Id) -> Result<(), Problem> {
        if self.stack.len() == MAX_VALUES {
            return Err(Problem::TooMany("values on the stack"));
        }
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Result<Id, Problem> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Everything above the last mark, and the mark.
    pub(super) fn pop_mark(&mut self) -> Result<Vec<Id>, Problem> {
        let height = self.marks.pop().ok_or(Problem::NoMark)?;
        Ok(self.stack.split_off(height))
    }

    pub(super) fn pop_text(&mut self, what: &'static str) -> Result<&'a str, Problem> {
        let id = self.pop()?;
        self.expect_text(id, what)
    }

    pub(super) fn put(&mut self, index: u32) -> Result<(), Problem> {
        let top = self.top()?;
        self.memo.insert(index, top);
        if self.memo.len() > MAX_VALUES {
            return Err(Problem::TooMany("memo entries"));
        }
        Ok(())
    }

    pub(super) fn recall(&mut self, index: u32) -> Result<(), Problem> {
        let id = *self.memo.get(&index).ok_or(Problem::NoMemo(index))?;
        self.push_id(id)
    }

    pub(super) fn text(&mut self, width: u64) -> Result<(), Problem> {
        let text = utf8(self.input.counted(width, "text")?, "text")?;
        self.push(Value::Text(text))
    }

    /// Python 2 wrote `str` as bytes; names are plain ASCII.
    pub(super) fn python2_text(&mut self, width: u64) -> Result<(), Problem> {
        let bytes = self.input.counted(width, "text")?;
        self.push(std::str::from_utf8(bytes).map_or(Value::Bytes, Value::Text))
    }

    pub(super) fn bytes(&mut self, width: u64) -> Result<(), Problem> {
        self.input.counted(width, "bytes")?;
        self.push(Value::Bytes)
    }

    pub(super) fn long(&mut self, width: u64) -> Result<(), Problem> {
        let bytes = self.input.counted(width, "an integer")?;
        if bytes.len() > 8 {
            return self.push(Value::Long(bytes));
        }
        let negative = bytes.last().is_some_and(|&high| high >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(wide)))
    }

    pub(super) fn short_tuple<const N: usize>(&mut self) -> Result<(), Problem> {
        let mut items = vec![Id(0); N];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.tuple(items)
    }

    pub(super) fn tuple(&mut self, items: Vec<Id>) -> Result<(), Problem> {
        self.count(items.len())?;
        self.push(Value::Tuple(items))
    }

    pub(super) fn append(&mut self, new: &[Id]) -> Result<(), Problem> {
        self.count(new.len())?;
        let list = self.top()?;
        match &mut self.values[list.0 as usize] {
            Value::List(items) => items.extend(new),
            other => {
                return Err(Problem::Kind {
                    what: "what is appended to",
                    expected: "a list",
                    found: other.kind(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn set_items(&mut self, new: &[Id]) -> Result<(), Problem> {
        self.count(new.len())?;
        let dict = self.top()?;
        let (pairs, rest) = new.as_chunks::<2>();
        match &mut self.values[dict.0 as usize] {
            Value::Dict(items) if rest.is_empty() => {
                items.extend(pairs.iter().map(|&[k, v]| (k, v)))
            }
            Value::Dict(_) => {
                return Err(Problem::Malformed {
                    what: "items of a dict",
                    found: "a key without a value".into(),
                });
            }
            other => {
                return Err(Problem::Kind {
                    what: "what items are set in",
                    expected: "a dict",
                    found: other.kind(),
                });
            }
        }
        Ok(())
    }
}
