//! The machine: a stack, marks in it, a memo and an arena.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::{Id, MAX_VALUES, Object, PickleError, Problem, Value, cycle, globals, opcode as op};
use crate::import::excerpt;

/// Newest protocol that Python writes.
const MAX_PROTOCOL: u8 = 5;

/// Reads the pickle at the start of `bytes`.
///
/// Memory stays below a few times the pickle's length, and below a fixed bound (`MAX_VALUES`).
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
    pub(super) input: Cursor<'a>,
    pub(super) values: Vec<Value<'a>>,
    pub(super) stack: Vec<Id>,
    /// Heights of the stack at its open marks.
    pub(super) marks: Vec<usize>,
    pub(super) memo: BTreeMap<u32, Id>,
    /// Items put into containers so far.
    pub(super) items: usize,
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
}
