//! Memory of the parsers, measured by the allocator of this test binary.
#![allow(
    unsafe_code,
    reason = "an allocator that counts is an unsafe trait; it calls the system's"
)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use skopeo_index_core::index::{Index, MAX_MANIFEST_SIZE};

/// Counts the bytes that are allocated, and their maximum. `realloc` is the default, which
/// holds the old and the new block at once.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = ALLOCATED.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Limit of the memory for a document, beside its bytes.
const MAX_PEAK: usize = 16 << 20;

/// The greatest number of bytes allocated while `run` runs, beyond those before it.
fn peak_of<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATED.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = run();
    (result, PEAK.load(Relaxed) - before)
}

/// `before`, as many of `items` with commas between them as 4 MiB hold, and `after`.
fn filled(before: &str, items: impl IntoIterator<Item = String>, after: &str) -> String {
    let mut document = before.to_owned();
    for item in items {
        if document.len() + item.len() + 1 + after.len() > MAX_MANIFEST_SIZE {
            break;
        }
        document.push_str(&item);
        document.push(',');
    }
    document.pop();
    document + after
}

/// Different short keys, in the order of their fingerprints: it fills a tree worst.
fn keys() -> Vec<String> {
    let letters: Vec<char> = ('!'..='~').filter(|c| !['"', '\\'].contains(c)).collect();
    let tail = letters
        .iter()
        .flat_map(|a| letters.iter().map(move |b| format!("{a}{b}")));
    let tails: Vec<_> = tail.collect();
    let mut keys: Vec<_> = letters[..60]
        .iter()
        .flat_map(|first| tails.iter().map(move |tail| format!("{first}{tail}")))
        .collect();
    keys.sort_by_cached_key(|key| {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        hasher.finish()
    });
    keys
}

/// Every spelling of a key of letters.
fn spellings(key: &str) -> impl Iterator<Item = String> {
    (0..1_u32 << key.len()).map(move |bits| {
        let respelt = |(at, c): (usize, char)| match bits >> at & 1 {
            0 => c.to_ascii_lowercase(),
            _ => c.to_ascii_uppercase(),
        };
        key.chars().enumerate().map(respelt).collect()
    })
}

fn hostile_documents() -> Vec<(&'static str, String)> {
    let repeat = |text: &str| std::iter::repeat(text.to_owned());
    let (keys, start) = (keys(), r#"{"schemaVersion":2,"manifests":["#);
    let descriptor = |more: &str| format!(r#"{{"mediaType":"a","digest":"a:b","size":1{more}}}"#);
    let list = |of: &str| filled(start, repeat(of), "]}");
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let members = || keys.iter().map(|key| format!(r#""{key}":1"#));
    let platforms = vec![descriptor(r#","platform":{}"#); 30_000].join(",");
    let half = filled("{", members().take(200_000), r#","x":{"#);
    let respelt = [
        "schemaVersion",
        "mediaType",
        "manifests",
        "fsLayers",
        "signatures",
    ];
    let respelt = respelt.into_iter().flat_map(spellings);
    let escaped = r"\n".repeat(MAX_MANIFEST_SIZE / 2 - 100);
    vec![
        (
            "keys of the document",
            filled(r#"{"manifests":[],"#, members(), "}"),
        ),
        (
            "keys of one descriptor",
            filled(&format!("{start}{{"), members(), "}]}"),
        ),
        (
            "keys after platforms",
            filled(&format!("{start}{platforms},{{"), members(), "}]}"),
        ),
        ("keys of nested objects", filled(&half, members(), "}}")),
        (
            "small objects in a list",
            filled(r#"{"a":["#, repeat(r#"{"a":{}}"#), "]}"),
        ),
        ("small objects in descriptors' place", list(r#"{"a":{}}"#)),
        (
            "small objects in members",
            filled(
                "{",
                keys.iter().map(|key| format!(r#""{key}":{{"a":{{}}}}"#)),
                "}",
            ),
        ),
        ("empty lists", list("[]")),
        (
            "respelt keys",
            filled(
                r#"{"manifests":[],"#,
                respelt.map(|key| format!(r#""{key}":1"#)),
                "}",
            ),
        ),
        (
            "one deciding key many times",
            filled("{", repeat(r#""size":1"#), "}"),
        ),
        (
            "one list many times",
            filled("{", repeat(r#""manifests":[]"#), "}"),
        ),
        ("minimal descriptors", list(&descriptor(""))),
        ("empty platforms", list(&descriptor(r#","platform":{}"#))),
        (
            "platforms",
            list(&descriptor(
                r#","platform":{"os":"l","architecture":"a","variant":"v","os.version":"1"}"#,
            )),
        ),
        (
            "artifact types",
            list(&descriptor(r#","artifactType":"a""#)),
        ),
        (
            "an invalid descriptor at the end",
            filled(start, repeat(&descriptor(r#","platform":{}"#)), ",1]}"),
        ),
        ("a long key", format!(r#"{{"{escaped}":1}}"#)),
        (
            "a long value",
            format!(r#"{{"schemaVersion":2,"manifests":[],"x":"{escaped}"}}"#),
        ),
        (
            "a long media type",
            format!(r#"{{"manifests":[],"mediaType":"{escaped}"}}"#),
        ),
        (
            "a descriptor's long media type",
            format!(r#"{start}{{"mediaType":"{escaped}","digest":"a:b","size":1}}]}}"#),
        ),
        (
            "a long digest",
            format!(r#"{start}{{"mediaType":"a","digest":"{escaped}","size":1}}]}}"#),
        ),
        ("the deepest nesting", list(&nested(125))),
        ("nesting beyond the limit", nested(MAX_MANIFEST_SIZE / 2)),
        ("nesting without an end", "[".repeat(MAX_MANIFEST_SIZE)),
        (
            "a long number",
            format!(
                r#"{{"manifests":[],"x":{}}}"#,
                "9".repeat(MAX_MANIFEST_SIZE - 100)
            ),
        ),
    ]
}

#[test]
fn parsing_a_hostile_document_takes_at_most_16_mib_beyond_its_bytes() {
    let mut exceeded = Vec::new();
    for (name, document) in hostile_documents() {
        assert!(document.len() <= MAX_MANIFEST_SIZE, "{name}");
        let (_, peak) = peak_of(|| Index::parse(document.as_bytes()).map(|index| index.summary()));
        println!("{name}: {} KiB", peak >> 10);
        if peak > MAX_PEAK {
            exceeded.push((name, peak));
        }
    }
    assert_eq!(exceeded, [], "name and peak in bytes");
}
