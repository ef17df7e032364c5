//! Importing takes no more memory than a small multiple of the file, whatever the file claims.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use fer_tools::import::{ImportError, Imported, from_bytes};

/// Keeps the largest amount of memory in use at once.
struct Peak;

static NOW: AtomicUsize = AtomicUsize::new(0);
static HIGHEST: AtomicUsize = AtomicUsize::new(0);

#[expect(
    unsafe_code,
    reason = "an allocator is an unsafe trait; this one only counts"
)]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Peak {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), SeqCst) + layout.size();
        HIGHEST.fetch_max(now, SeqCst);
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), SeqCst);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Peak = Peak;

/// What a pickle may take whatever its size: its values are bounded by number.
const PICKLE: usize = 32 << 20;
/// What any import takes, whatever the file: graphs of all architectures to compare with.
const BASE: usize = 6 << 20;

/// Imports `file` and gives the most memory that it took besides the file.
fn measure(file: &[u8]) -> (Result<Imported, ImportError>, usize) {
    let before = NOW.load(SeqCst);
    HIGHEST.store(before, SeqCst);
    let result = from_bytes(Path::new("measured.pt"), file, None);
    (result, HIGHEST.load(SeqCst) - before)
}

/// Magic number, protocol and an empty dict for the system.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";

/// A legacy file with `body` as its object, and no more.
fn legacy(body: &[u8]) -> Vec<u8> {
    [LEGACY, b"\x80\x02", body, b"."].concat()
}

/// A zip archive that ends in `end`, its directory starting at byte 4.
fn archive(middle: &[u8], count: u64, size: u64) -> Vec<u8> {
    let at = 4 + middle.len() as u64;
    let mut wide = b"PK\x06\x06".to_vec();
    wide.resize(56, 0);
    for (place, value) in [(24, count), (32, count), (40, size), (48, 4)] {
        wide[place..place + 8].copy_from_slice(&value.to_le_bytes());
    }
    let locator = [b"PK\x06\x07\0\0\0\0", &at.to_le_bytes()[..], &[1, 0, 0, 0]].concat();
    let end = [&b"PK\x05\x06"[..], &[0; 4], &[0xff; 12], &[0; 2]].concat();
    [b"PK\x03\x04", middle, &wide, &locator, &end].concat()
}

#[test]
fn no_file_takes_more_than_its_size_allows() {
    // one test: the counter is the process's

    // files that PyTorch wrote
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch");
    for name in ["tiny-vgg11.t7", "tiny-vggnet.pth"] {
        let file = std::fs::read(folder.join(name)).unwrap();
        let (result, peak) = measure(&file);
        assert!(result.is_ok(), "{name}");
        say(&format!("{name}: {} bytes took {peak}", file.len()));
        assert!(peak <= 4 * file.len() + BASE, "{name}: {peak}");
    }

    // small files that claim much
    let length = |opcode: &[u8], bytes: &[u8]| legacy(&[opcode, bytes].concat());
    let ordered = b"ccollections\nOrderedDict\n";
    let claims = [
        length(b"\x8b", &i32::MAX.to_le_bytes()),
        length(b"\x8b", &u32::MAX.to_le_bytes()),
        length(b"\x8d", &u64::MAX.to_le_bytes()),
        length(b"\x8d", &(1u64 << 36).to_le_bytes()),
        length(b"\x8e", &(1u64 << 36).to_le_bytes()),
        length(b"B", &u32::MAX.to_le_bytes()),
        length(b"T", &u32::MAX.to_le_bytes()),
        length(b"\x95", &(1u64 << 36).to_le_bytes()),
        length(b"Nr", &u32::MAX.to_le_bytes()),
        archive(&[0; 4096], u64::MAX, u64::MAX),
        archive(&[0; 4096], 4000, u64::MAX),
        archive(&[0; 4096], 80, 80 * 46),
    ];
    for file in &claims {
        let (result, peak) = measure(file);
        assert!(result.is_err());
        assert!(peak <= 4 * file.len() + (64 << 10), "{result:?}: {peak}");
    }

    // pickles of which every byte is another value, mark, item or memo entry
    let pairs = [
        b"](".to_vec(),
        b"K\x01K\x02\x86".repeat(4000),
        b"e".to_vec(),
    ]
    .concat();
    let copies = [
        &ordered[..],
        b"q\x00",
        &pairs,
        b"\x85q\x01",
        &b"h\x00h\x01R".repeat(100_000),
    ]
    .concat();
    let memo: Vec<u8> = (0..1 << 20)
        .flat_map(|i: u32| [b"r", &i.to_le_bytes()[..]].concat())
        .collect();
    let mut laughs = b"]q\x00".to_vec();
    for level in 0..200u8 {
        laughs.extend(
            [
                b"](",
                &[b'h', level].repeat(200)[..],
                &[b'e', b'q', level + 1],
            ]
            .concat(),
        );
    }
    let bombs = [
        b"]".repeat(4 << 20),
        b"}".repeat(4 << 20),
        b"(".repeat(4 << 20),
        b"N".repeat(4 << 20),
        [b"N".to_vec(), b"2".repeat(4 << 20)].concat(),
        b"N\x85".repeat(4 << 20),
        [b"]".repeat(250_000), b"a".repeat(249_999)].concat(),
        [b")".to_vec(), b"\x85".repeat(1 << 20)].concat(),
        [b"N".to_vec(), memo].concat(),
        copies,
        laughs,
    ];
    for body in &bombs {
        let file = legacy(body);
        let (result, peak) = measure(&file);
        assert!(result.is_err());
        say(&format!(
            "{} bytes of {:02x?}… took {peak}",
            file.len(),
            &body[..4]
        ));
        assert!(peak <= file.len() + PICKLE, "{result:?}: {peak}");
    }
}

/// For the reader of the test's output.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
