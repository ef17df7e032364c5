//! Pickles that are damaged, misuse what is allowed, or try to exhaust memory or stack.

use super::assemble::*;
use crate::import::pickle::{self, MAX_VALUES};

/// A pickle's body with words of the error that it must give.
type Case = (Vec<u8>, &'static str);

fn opcodes() -> Vec<Case> {
    let object = global("collections", "OrderedDict");
    let with = |rest: &[u8]| [&object[..], rest].concat();
    vec![
        (with(b")\x81"), "opcode NEWOBJ is refused"),
        (with(b")}\x92"), "opcode NEWOBJ_EX is refused"),
        ([b"(", &object[..], b"o"].concat(), "opcode OBJ is refused"),
        (b"\x82\x01".to_vec(), "opcode EXT1 is refused"),
        (b"\x83\x01\x01".to_vec(), "opcode EXT2 is refused"),
        (b"\x84\x01\x01\x01\x01".to_vec(), "opcode EXT4 is refused"),
        (b"P0\n".to_vec(), "opcode PERSID is refused"),
        (b"I1\n".to_vec(), "opcode INT is refused"),
        (b"L1L\n".to_vec(), "opcode LONG is refused"),
        (b"F1\n".to_vec(), "opcode FLOAT is refused"),
        (b"S'id'\n".to_vec(), "opcode STRING is refused"),
        (b"Vid\n".to_vec(), "opcode UNICODE is refused"),
        (b"Np0\n".to_vec(), "opcode PUT is refused"),
        (b"g0\n".to_vec(), "opcode GET is refused"),
        (b"\x8f".to_vec(), "opcode EMPTY_SET is refused"),
        (b"\x8f(\x90".to_vec(), "opcode EMPTY_SET is refused"),
        (b"(\x91".to_vec(), "opcode FROZENSET is refused"),
        (
            [b"\x96", &[0; 8][..]].concat(),
            "opcode BYTEARRAY8 is refused",
        ),
        (b"\x97".to_vec(), "opcode NEXT_BUFFER is refused"),
        (b"\x98".to_vec(), "opcode READONLY_BUFFER is refused"),
        (b"\xff".to_vec(), "0xff is no opcode"),
        (b"\x00".to_vec(), "0x00 is no opcode"),
        (b"\x80\x06".to_vec(), "protocol: 6, newest known is 5"),
    ]
}

fn calls() -> Vec<Case> {
    let ordered = || global("collections", "OrderedDict");
    let rebuild = || global("torch._utils", "_rebuild_tensor_v2");
    let device = call(global("torch", "device"), &[text("cpu")]);
    vec![
        (b"])R".to_vec(), "what is called is a list"),
        (b"K\x01)R".to_vec(), "what is called is an integer"),
        (
            [text("os"), b")R".to_vec()].concat(),
            "what is called is text",
        ),
        (
            [ordered(), b"]R".to_vec()].concat(),
            "what a call is given is a list",
        ),
        (
            call(ordered(), &[int(1)]),
            "OrderedDict's argument is an integer",
        ),
        (
            call(ordered(), &[list(&[int(1)])]),
            "an item of an OrderedDict",
        ),
        (
            call(ordered(), &[int(1), int(2)]),
            "cannot take 2 arguments",
        ),
        (call(rebuild(), &[int(1)]), "cannot take 1 arguments"),
        (
            call(rebuild(), &[int(1), int(0), tuple(&[]), tuple(&[])]),
            "a tensor's storage is an integer",
        ),
        (
            call(global("torch", "FloatStorage"), &[int(1)]),
            "a class of storages cannot take",
        ),
        (
            call(global("torch", "Size"), &[int(1)]),
            "torch.Size's argument is an integer",
        ),
        (
            call(global("torch._utils", "_rebuild_parameter"), &[int(1)]),
            "a parameter's data is an integer",
        ),
        (call(device, &[]), "what is called is torch.device"),
        (b"]}b".to_vec(), "what BUILD changes is a list"),
        (
            [vector("0", 1), b"}b".to_vec()].concat(),
            "what BUILD changes is a tensor",
        ),
        (
            [ordered(), b"}b".to_vec()].concat(),
            "what BUILD changes is the class",
        ),
        (b"}]b".to_vec(), "a dict's state is a list"),
        (b"}K\x01a".to_vec(), "what is appended to is a dict"),
        (b"]K\x01K\x02s".to_vec(), "what items are set in is a list"),
        (b"}(K\x01u".to_vec(), "a key without a value"),
        (b"(K\x01d".to_vec(), "a key without a value"),
        (b"K\x01K\x02\x93".to_vec(), "a class's name is an integer"),
    ]
}

fn stack() -> Vec<Case> {
    let cut = |opcode: u8, length: &[u8]| [&[opcode], length, b"abc"].concat();
    vec![
        (b"".to_vec(), "the stack is empty"),
        (b"0".to_vec(), "the stack is empty"),
        (b"2".to_vec(), "the stack is empty"),
        (b"R".to_vec(), "the stack is empty"),
        (b"q\x00".to_vec(), "the stack is empty"),
        (b"N(0N(R".to_vec(), "the stack is empty"),
        (b"N(s".to_vec(), "the stack is empty"),
        (b"\x87".to_vec(), "the stack is empty"),
        (b"t".to_vec(), "no mark"),
        (b"1".to_vec(), "no mark"),
        (b"Ne".to_vec(), "no mark"),
        (b"h\x07".to_vec(), "memo entry 7 was never written"),
        (
            b"j\xff\xff\xff\xff".to_vec(),
            "memo entry 4294967295 was never written",
        ),
        (
            cut(0x8b, &u32::MAX.to_le_bytes()),
            "the file ends inside an integer",
        ),
        (
            cut(0x8b, &0x8000_0000u32.to_le_bytes()),
            "the file ends inside an integer",
        ),
        (cut(0x8a, &[255]), "the file ends inside an integer"),
        (
            cut(0x8d, &u64::MAX.to_le_bytes()),
            "the file ends inside text",
        ),
        (
            cut(0x8d, &(1u64 << 40).to_le_bytes()),
            "the file ends inside text",
        ),
        (
            cut(b'X', &u32::MAX.to_le_bytes()),
            "the file ends inside text",
        ),
        (cut(0x8c, &[255]), "the file ends inside text"),
        (
            cut(b'T', &u32::MAX.to_le_bytes()),
            "the file ends inside text",
        ),
        (
            cut(0x8e, &u64::MAX.to_le_bytes()),
            "the file ends inside bytes",
        ),
        (
            cut(b'B', &u32::MAX.to_le_bytes()),
            "the file ends inside bytes",
        ),
        (
            cut(0x95, &u64::MAX.to_le_bytes()),
            "the file ends inside a frame",
        ),
        (b"X\x02\x00\x00\x00\xff\xfe".to_vec(), "text: not UTF-8"),
        (b"cos".to_vec(), "the file ends inside a module's name"),
        (
            b"cos\nsystem".to_vec(),
            "the file ends inside a class's name",
        ),
    ]
}

fn persistent_ids() -> Vec<Case> {
    let id = |fields: &[Vec<u8>]| [tuple(fields), b"Q".to_vec()].concat();
    let class = || global("torch", "FloatStorage");
    let view = tuple(&[text("1"), int(0), int(1)]);
    vec![
        (b"K\x01Q".to_vec(), "a persistent id is an integer"),
        (id(&[]), "0 fields, expected 5 or 6"),
        (
            id(&[text("module"), class(), text("0"), text("cpu"), int(1)]),
            "`module`, expected",
        ),
        (
            id(&[int(1), class(), text("0"), text("cpu"), int(1)]),
            "tag is an integer",
        ),
        (
            id(&[text("storage"), int(1), text("0"), text("cpu"), int(1)]),
            "class is an integer",
        ),
        (
            id(&[text("storage"), class(), int(1), text("cpu"), int(1)]),
            "key is an integer",
        ),
        (
            id(&[text("storage"), class(), text("0"), text("cpu"), text("1")]),
            "length is text",
        ),
        (
            id(&[
                text("storage"),
                class(),
                text("0"),
                text("cpu"),
                int(1),
                view,
            ]),
            "is a view",
        ),
    ]
}

fn cycles() -> Vec<Case> {
    vec![
        (b"]q\x00h\x00a".to_vec(), "a container holds itself"),
        (b"}q\x00K\x01h\x00s".to_vec(), "a container holds itself"),
        (b"}q\x00h\x00K\x01s".to_vec(), "a container holds itself"),
        (b"]q\x00]q\x01h\x00aa".to_vec(), "a container holds itself"),
        (
            b"]q\x00h\x00\x85\x85\x85a".to_vec(),
            "a container holds itself",
        ),
    ]
}

fn bombs() -> Vec<Case> {
    let many = MAX_VALUES + 1;
    // ten times the entry before, twelve times over: a million million when written out
    let mut laughs = b"]q\x00".to_vec();
    for level in 0..12u8 {
        laughs.extend(b"](");
        laughs.extend([b'h', level].repeat(10));
        laughs.extend([b'e', b'q', level + 1]);
    }
    let ordered = global("collections", "OrderedDict");
    let pairs = list(&vec![b"K\x01K\x02\x86".to_vec(); 1000]);
    let copies = [b"c", &ordered[1..], b"q\x00", &pairs, b"\x85q\x01"].concat();
    let copies = [copies, b"h\x00h\x01R".repeat(1000)].concat();
    let memo: Vec<u8> = (0..many as u32)
        .flat_map(|i| [b"r", &i.to_le_bytes()[..]].concat())
        .collect();
    vec![
        (laughs, "expected a dict of tensors"),
        (b"]".repeat(many), "values, no checkpoint has so many"),
        (b"(".repeat(many), "marks, no checkpoint has so many"),
        (
            [b"N".to_vec(), b"2".repeat(many)].concat(),
            "values on the stack",
        ),
        (
            [b"N".to_vec(), memo].concat(),
            "memo entries, no checkpoint",
        ),
        (copies, "items, no checkpoint has so many"),
        (
            [b"]".repeat(100_000), b"a".repeat(99_999)].concat(),
            "expected a dict of tensors",
        ),
        (
            [b")".to_vec(), b"\x85".repeat(100_000)].concat(),
            "expected a dict of tensors",
        ),
        (
            [b"(".repeat(100_000), b"t".repeat(100_000)].concat(),
            "expected a dict of tensors",
        ),
    ]
}

#[test]
fn damaged_and_greedy_pickles_say_what_is_wrong() {
    let groups = [
        opcodes(),
        calls(),
        stack(),
        persistent_ids(),
        cycles(),
        bombs(),
    ];
    let cases: Vec<Case> = groups.into_iter().flatten().collect();
    for (body, words) in &cases {
        let says = refusal(&legacy(&pickle(body), &[]));
        let head = &body[..body.len().min(40)];
        assert!(says.contains(words), "{head:02x?}: {says}");
        let says = refusal(&zip(&pickle(body), &[]));
        assert!(says.contains(words), "{head:02x?} in zip: {says}");
    }
    assert!(cases.len() >= 90, "{}", cases.len());
}

#[test]
fn nothing_recurses_on_a_small_stack() {
    let deep = [b"]".repeat(250_000), b"a".repeat(249_999), b".".to_vec()].concat();
    let thread = std::thread::Builder::new().stack_size(64 << 10);
    let run = thread.spawn(move || {
        let object = pickle::load(&deep).unwrap();
        assert_eq!(object.values().count(), 250_000);
    });
    run.unwrap().join().unwrap();
}
