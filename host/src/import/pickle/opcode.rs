//! The opcodes of pickle protocols 0 to 5, by their names in Python's `pickletools`.

use super::Problem;

pub(super) const MARK: u8 = b'(';
pub(super) const STOP: u8 = b'.';
pub(super) const POP: u8 = b'0';
pub(super) const POP_MARK: u8 = b'1';
pub(super) const DUP: u8 = b'2';
pub(super) const BINFLOAT: u8 = b'G';
pub(super) const BININT: u8 = b'J';
pub(super) const BININT1: u8 = b'K';
pub(super) const BININT2: u8 = b'M';
pub(super) const NONE: u8 = b'N';
pub(super) const BINPERSID: u8 = b'Q';
pub(super) const REDUCE: u8 = b'R';
pub(super) const BINSTRING: u8 = b'T';
pub(super) const SHORT_BINSTRING: u8 = b'U';
pub(super) const BINUNICODE: u8 = b'X';
pub(super) const APPEND: u8 = b'a';
pub(super) const BUILD: u8 = b'b';
pub(super) const GLOBAL: u8 = b'c';
pub(super) const DICT: u8 = b'd';
pub(super) const EMPTY_DICT: u8 = b'}';
pub(super) const APPENDS: u8 = b'e';
pub(super) const BINGET: u8 = b'h';
pub(super) const INST: u8 = b'i';
pub(super) const LONG_BINGET: u8 = b'j';
pub(super) const LIST: u8 = b'l';
pub(super) const EMPTY_LIST: u8 = b']';
pub(super) const BINPUT: u8 = b'q';
pub(super) const LONG_BINPUT: u8 = b'r';
pub(super) const SETITEM: u8 = b's';
pub(super) const TUPLE: u8 = b't';
pub(super) const EMPTY_TUPLE: u8 = b')';
pub(super) const SETITEMS: u8 = b'u';
pub(super) const BINBYTES: u8 = b'B';
pub(super) const SHORT_BINBYTES: u8 = b'C';
pub(super) const PROTO: u8 = 0x80;
pub(super) const TUPLE1: u8 = 0x85;
pub(super) const TUPLE2: u8 = 0x86;
pub(super) const TUPLE3: u8 = 0x87;
pub(super) const NEWTRUE: u8 = 0x88;
pub(super) const NEWFALSE: u8 = 0x89;
pub(super) const LONG1: u8 = 0x8a;
pub(super) const LONG4: u8 = 0x8b;
pub(super) const SHORT_BINUNICODE: u8 = 0x8c;
pub(super) const BINUNICODE8: u8 = 0x8d;
pub(super) const BINBYTES8: u8 = 0x8e;
pub(super) const STACK_GLOBAL: u8 = 0x93;
pub(super) const MEMOIZE: u8 = 0x94;
pub(super) const FRAME: u8 = 0x95;

const OBJECT: &str = "it makes an object of any class";
const EXTENSION: &str = "it names a class by a number of Python's registry";
const TEXTUAL: &str = "it belongs to protocol 0, which PyTorch never wrote";
const SET: &str = "no checkpoint needs a set";
const BUFFER: &str = "it reads a buffer outside the file";

/// Why an opcode that the machine does not run is refused.
pub(super) fn refused(opcode: u8) -> Problem {
    let (name, why) = match opcode {
        INST => ("INST", OBJECT),
        b'o' => ("OBJ", OBJECT),
        0x81 => ("NEWOBJ", OBJECT),
        0x92 => ("NEWOBJ_EX", OBJECT),
        0x82 => ("EXT1", EXTENSION),
        0x83 => ("EXT2", EXTENSION),
        0x84 => ("EXT4", EXTENSION),
        b'F' => ("FLOAT", TEXTUAL),
        b'I' => ("INT", TEXTUAL),
        b'L' => ("LONG", TEXTUAL),
        b'P' => ("PERSID", TEXTUAL),
        b'S' => ("STRING", TEXTUAL),
        b'V' => ("UNICODE", TEXTUAL),
        b'g' => ("GET", TEXTUAL),
        b'p' => ("PUT", TEXTUAL),
        0x8f => ("EMPTY_SET", SET),
        0x90 => ("ADDITEMS", SET),
        0x91 => ("FROZENSET", SET),
        0x96 => ("BYTEARRAY8", "no checkpoint needs a byte array"),
        0x97 => ("NEXT_BUFFER", BUFFER),
        0x98 => ("READONLY_BUFFER", BUFFER),
        other => return Problem::Unknown(other),
    };
    Problem::Opcode { name, why }
}
