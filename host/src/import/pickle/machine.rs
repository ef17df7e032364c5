//! The machine: a stack, marks in it, a memo and an arena.

use std::collections::BTreeMap;

use super::cursor::{Cursor, utf8};
use super::{Id, MAX_VALUES, Object, PickleError, Problem, Value, cycle, globals, opcode as op};
use crate::import::excerpt;

/// Newest protocol that Python writes.
const MAX_PROTOCOL: u8 = 5;

/// Reads the pickle at the start of `bytes`.
///
/// Memory stays below a few times the pickle's length, and below a fixed bound ([`MAX_VALUES`]).
pub(in crate::import) fn load(bytes: &[u8]) -> Result<Object<'_>, PickleError> {
    let mut machine = Machine {
        input: Cursor::new(bytes),
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        items: 0,
    };
    loop {
        let offset = machine.input.at();
        let fail = |problem| PickleError { offset, problem };
        if let Some(root) = machine.step().map_err(fail)? {
            cycle::check(&machine.values, root).map_err(fail)?;
            return Ok(Object {
                values: machine.values,
                root,
                length: machine.input.at(),
            });
        }
    }
}

/// A pickle while it is read.
pub(super) struct Machine<'a> {
    input: Cursor<'a>,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at its open marks.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Id>,
    /// Items put into containers so far.
    items: usize,
}

impl<'a> Machine<'a> {
    /// Runs one opcode; `STOP` gives the result.
    fn step(&mut self) -> Result<Option<Id>, Problem> {
        match self.input.byte("an opcode")? {
            op::PROTO => {
                let protocol = self.input.byte("the protocol")?;
                if protocol > MAX_PROTOCOL {
                    return Err(Problem::Malformed {
                        what: "pickle protocol",
                        found: format!("{protocol}, newest known is {MAX_PROTOCOL}"),
                    });
                }
            }
            op::FRAME => {
                let length = u64::from_le_bytes(self.input.array("a frame's length")?);
                if length > self.input.left() {
                    return Err(Problem::Truncated("a frame"));
                }
            }
            op::STOP => return self.pop().map(Some),

            op::MARK => {
                if self.marks.len() == MAX_VALUES {
                    return Err(Problem::TooMany("marks"));
                }
                self.marks.push(self.stack.len());
            }
            op::POP => {
                // as in Python, a mark on top goes instead of a value
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            op::POP_MARK => drop(self.pop_mark()?),
            op::DUP => {
                let top = self.top()?;
                self.push_id(top)?;
            }

            op::NONE => self.push(Value::None)?,
            op::NEWTRUE => self.push(Value::Bool(true))?,
            op::NEWFALSE => self.push(Value::Bool(false))?,
            op::BININT => {
                let bytes = self.input.array("an integer")?;
                self.push(Value::Int(i32::from_le_bytes(bytes).into()))?;
            }
            op::BININT1 => {
                let byte = self.input.byte("an integer")?;
                self.push(Value::Int(byte.into()))?;
            }
            op::BININT2 => {
                let bytes = self.input.array("an integer")?;
                self.push(Value::Int(u16::from_le_bytes(bytes).into()))?;
            }
            op::LONG1 => self.long(1)?,
            op::LONG4 => self.long(4)?,
            op::BINFLOAT => {
                self.input.take(8, "a float")?;
                self.push(Value::Float)?;
            }
            op::SHORT_BINSTRING => self.python2_text(1)?,
            op::BINSTRING => self.python2_text(4)?,
            op::SHORT_BINUNICODE => self.text(1)?,
            op::BINUNICODE => self.text(4)?,
            op::BINUNICODE8 => self.text(8)?,
            op::SHORT_BINBYTES => self.bytes(1)?,
            op::BINBYTES => self.bytes(4)?,
            op::BINBYTES8 => self.bytes(8)?,

            op::EMPTY_LIST => self.push(Value::List(Vec::new()))?,
            op::EMPTY_TUPLE => self.push(Value::Tuple(Vec::new()))?,
            op::EMPTY_DICT => self.push(Value::Dict(Vec::new()))?,
            op::LIST => {
                let items = self.pop_mark()?;
                self.count(items.len())?;
                self.push(Value::List(items))?;
            }
            op::TUPLE => {
                let items = self.pop_mark()?;
                self.tuple(items)?;
            }
            op::TUPLE1 => self.short_tuple::<1>()?,
            op::TUPLE2 => self.short_tuple::<2>()?,
            op::TUPLE3 => self.short_tuple::<3>()?,
            op::DICT => {
                let items = self.pop_mark()?;
                self.push(Value::Dict(Vec::new()))?;
                self.set_items(&items)?;
            }
            op::APPEND => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            op::APPENDS => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            op::SETITEM => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            op::SETITEMS => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }

            op::BINPUT => {
                let index = self.input.byte("a memo index")?;
                self.put(index.into())?;
            }
            op::LONG_BINPUT => {
                let index = u32::from_le_bytes(self.input.array("a memo index")?);
                self.put(index)?;
            }
            op::MEMOIZE => self.put(self.memo.len() as u32)?,
            op::BINGET => {
                let index = self.input.byte("a memo index")?;
                self.recall(index.into())?;
            }
            op::LONG_BINGET => {
                let index = u32::from_le_bytes(self.input.array("a memo index")?);
                self.recall(index)?;
            }

            op::GLOBAL => {
                let module = self.input.line("a module's name")?;
                let name = self.input.line("a class's name")?;
                self.push(Value::Global(globals::find(module, name)?))?;
            }
            op::STACK_GLOBAL => {
                let name = self.pop_text("a class's name")?;
                let module = self.pop_text("a module's name")?;
                self.push(Value::Global(globals::find(module, name)?))?;
            }
            op::REDUCE => {
                let arguments = self.pop()?;
                let function = self.pop()?;
                let result = self.reduce(function, arguments)?;
                self.push_id(result)?;
            }
            op::BUILD => {
                let state = self.pop()?;
                self.build(state)?;
            }
            op::BINPERSID => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Value::Storage(storage))?;
            }
            op::INST => {
                // named in the error: it is what the file wants to run
                let module = self.input.line("a module's name")?;
                let name = self.input.line("a class's name")?;
                return Err(Problem::Global(excerpt(&format!("{module}.{name}"))));
            }
            other => return Err(op::refused(other)),
        }
        Ok(None)
    }

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

    fn push(&mut self, value: Value<'a>) -> Result<(), Problem> {
        let id = self.make(value)?;
        self.push_id(id)
    }

    fn push_id(&mut self, id: Id) -> Result<(), Problem> {
        if self.stack.len() == MAX_VALUES {
            return Err(Problem::TooMany("values on the stack"));
        }
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, Problem> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Everything above the last mark, and the mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>, Problem> {
        let height = self.marks.pop().ok_or(Problem::NoMark)?;
        Ok(self.stack.split_off(height))
    }

    fn pop_text(&mut self, what: &'static str) -> Result<&'a str, Problem> {
        let id = self.pop()?;
        self.expect_text(id, what)
    }

    fn put(&mut self, index: u32) -> Result<(), Problem> {
        let top = self.top()?;
        self.memo.insert(index, top);
        if self.memo.len() > MAX_VALUES {
            return Err(Problem::TooMany("memo entries"));
        }
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), Problem> {
        let id = *self.memo.get(&index).ok_or(Problem::NoMemo(index))?;
        self.push_id(id)
    }

    fn text(&mut self, width: u64) -> Result<(), Problem> {
        let text = utf8(self.input.counted(width, "text")?, "text")?;
        self.push(Value::Text(text))
    }

    /// Python 2 wrote `str` as bytes; names are plain ASCII.
    fn python2_text(&mut self, width: u64) -> Result<(), Problem> {
        let bytes = self.input.counted(width, "text")?;
        self.push(std::str::from_utf8(bytes).map_or(Value::Bytes, Value::Text))
    }

    fn bytes(&mut self, width: u64) -> Result<(), Problem> {
        self.input.counted(width, "bytes")?;
        self.push(Value::Bytes)
    }

    fn long(&mut self, width: u64) -> Result<(), Problem> {
        let bytes = self.input.counted(width, "an integer")?;
        if bytes.len() > 8 {
            return self.push(Value::Long(bytes));
        }
        let negative = bytes.last().is_some_and(|&high| high >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(wide)))
    }

    fn short_tuple<const N: usize>(&mut self) -> Result<(), Problem> {
        let mut items = vec![Id(0); N];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.tuple(items)
    }

    fn tuple(&mut self, items: Vec<Id>) -> Result<(), Problem> {
        self.count(items.len())?;
        self.push(Value::Tuple(items))
    }

    fn append(&mut self, new: &[Id]) -> Result<(), Problem> {
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

    fn set_items(&mut self, new: &[Id]) -> Result<(), Problem> {
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
