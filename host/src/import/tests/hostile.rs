//! Pickles that want to run something: all refused, by the name of what they want to run.

use super::assemble::*;

/// Names that an attack, or a checkpoint that is no plain one, would import.
const NAMES: [&str; 46] = [
    "os.system",
    "os.popen",
    "os.execv",
    "posix.system",
    "nt.system",
    "subprocess.Popen",
    "subprocess.check_output",
    "commands.getoutput",
    "builtins.eval",
    "builtins.exec",
    "builtins.getattr",
    "builtins.__import__",
    "builtins.open",
    "builtins.compile",
    "builtins.breakpoint",
    "__builtin__.eval",
    "__builtin__.apply",
    "operator.attrgetter",
    "operator.methodcaller",
    "functools.partial",
    "importlib.import_module",
    "runpy.run_path",
    "pty.spawn",
    "socket.socket",
    "shutil.rmtree",
    "webbrowser.open",
    "ctypes.CDLL",
    "code.interact",
    "timeit.timeit",
    "pickle.loads",
    "_pickle.loads",
    "marshal.loads",
    "types.FunctionType",
    "types.CodeType",
    "copyreg._reconstructor",
    "collections.defaultdict",
    "collections.OrderedDict.fromkeys",
    "torch.load",
    "torch.hub.load",
    "torch.jit.load",
    "torch.storage._load_from_bytes",
    "torch._utils._rebuild_tensor_v3",
    "torch.nn.modules.container.Sequential",
    "models.vgg.VGG",
    "numpy.core.multiarray._reconstruct",
    "torch.FloatTensor",
];

/// Each of the three ways to say a name, as the object of both containers.
fn wordings(module: &str, name: &str) -> [Vec<u8>; 3] {
    let argument = tuple(&[text("touch /tmp/owned")]);
    let stack = [text(module), text(name), b"\x93".to_vec()].concat();
    [
        [global(module, name), argument.clone(), b"R".to_vec()].concat(),
        [stack, argument, b"R".to_vec()].concat(),
        [
            b"(".to_vec(),
            text("id"),
            format!("i{module}\n{name}\n").into_bytes(),
        ]
        .concat(),
    ]
}

#[test]
fn names_are_refused_by_name_however_they_are_spelt() {
    let mut refused = 0;
    for full in NAMES {
        let (module, name) = match full {
            // a method of a class that is on the list
            "collections.OrderedDict.fromkeys" => ("collections", "OrderedDict.fromkeys"),
            full => full.rsplit_once('.').unwrap(),
        };
        for body in wordings(module, name) {
            // inside a state dict that is otherwise as it should be
            let object = pickle(dict(&[("epoch", int(3)), ("net", body)]));
            for file in [legacy(&object, &[]), zip(&object, &[])] {
                let says = refusal(&file);
                assert!(says.contains(&format!("`{full}` is refused")), "{says}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, NAMES.len() * 6);
}

#[test]
fn a_chain_of_getattr_ends_at_its_first_link() {
    let getattr = |object, name| call(global("builtins", "getattr"), &[object, text(name)]);
    let os = call(global("builtins", "__import__"), &[text("os")]);
    let system = getattr(os, "system");
    let body = call(system, &[text("id")]);
    let says = refusal(&legacy(&pickle(body), &[]));
    assert!(says.contains("`builtins.getattr` is refused"), "{says}");
}

#[test]
fn terminal_codes_in_a_name_are_not_repeated() {
    let body = global("os\x1b[2J", "system");
    let says = refusal(&legacy(&pickle(body), &[]));
    assert!(
        says.contains("os\\u{1b}[2J.system") && !says.contains('\x1b'),
        "{says}"
    );
    let body = global(&"a".repeat(1 << 20), "b");
    assert!(refusal(&legacy(&pickle(body), &[])).len() < 500);
}
