//! Tiles: recomputed from their entries, at once and in steps.

use std::collections::BTreeMap;

use proptest::prelude::*;
use skopeo_index_core::audit::{LineTooLong, MAX_RECORD_LEN, NodeHash, TileBuilder, leaf_hash};

use crate::merkle::naive_root;

type Tiles = BTreeMap<String, Vec<u8>>;

fn line(n: usize) -> Vec<u8> {
    format!("record {n}").into_bytes()
}

/// The tiles of a log of `size` records that one of `from` lacks.
fn tiles(from: usize, size: usize) -> Tiles {
    let (mut tiles, mut builder) = (Tiles::new(), TileBuilder::new(from as u64));
    let mut take = |tile: skopeo_index_core::audit::Tile| {
        let before = tiles.insert(tile.to_string(), tile.bytes().to_vec());
        assert_eq!(before, None, "{tile}");
        Ok::<_, LineTooLong>(())
    };
    for n in 0..size {
        builder.push(&line(n), &mut take).expect("no error");
    }
    builder.finish(take).expect("no error");
    tiles
}

/// The path of the nth tile of a level, by the words of the specification: "1234067 is
/// encoded as x001/x234/067".
fn path_of(level: &str, n: usize, width: usize) -> String {
    let (mut path, mut rest) = (format!("{:03}", n % 1000), n / 1000);
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    let partial = match width {
        256 => String::new(),
        width => format!(".p/{width}"),
    };
    format!("tile/{level}/{path}{partial}")
}

/// The expected tiles, from the definition: each hash is the root of its leaves.
fn expected(size: usize) -> Tiles {
    let lines: Vec<_> = (0..size).map(line).collect();
    let leaves: Vec<NodeHash> = lines.iter().map(|line| leaf_hash(line)).collect();
    let mut tiles = Tiles::new();
    for (n, bundle) in lines.chunks(256).enumerate() {
        let entry = |line: &Vec<u8>| [&[0, line.len() as u8], &line[..]].concat();
        let bytes = bundle.iter().flat_map(entry).collect();
        tiles.insert(path_of("entries", n, bundle.len()), bytes);
    }
    let mut span = 1;
    for level in 0.. {
        let hashes: Vec<_> = leaves.chunks_exact(span).map(naive_root).collect();
        if hashes.is_empty() {
            return tiles;
        }
        for (n, tile) in hashes.chunks(256).enumerate() {
            tiles.insert(path_of(&level.to_string(), n, tile.len()), tile.concat());
        }
        span *= 256;
    }
    tiles
}

proptest! {
    #![proptest_config(crate::support::property::config(24, "audit-tile.txt"))]

    #[test]
    fn tiles_grown_in_steps_are_those_made_at_once(steps in prop::collection::vec(1..400_usize, 1..5)) {
        let (mut grown, mut size) = (Tiles::new(), 0);
        for step in steps {
            let more = tiles(size, size + step);
            for (path, bytes) in more {
                // A tile is written once, and never changes.
                prop_assert_eq!(grown.insert(path.clone(), bytes), None, "{}", path);
            }
            size += step;
        }
        let at_once = tiles(0, size);
        prop_assert_eq!(&at_once, &expected(size));
        for (path, bytes) in &at_once {
            prop_assert_eq!(grown.get(path), Some(bytes), "{}", path);
        }
        // What else is there are partial tiles of earlier sizes.
        grown.retain(|path, _| !at_once.contains_key(path));
        prop_assert!(grown.keys().all(|path| path.contains(".p/")), "{:?}", grown.keys());
    }
}

#[test]
fn tiles_of_sizes_around_full_tiles_match_their_definition() {
    for size in [1, 255, 256, 257, 511, 512, 513] {
        assert_eq!(tiles(0, size), expected(size), "{size}");
    }
}

/// The example of c2sp.org/tlog-tiles.
#[test]
fn tiles_of_70_000_records_are_those_of_the_specification() {
    let tiles = tiles(0, 70_000);
    let of = |level: &str| {
        let prefix = format!("tile/{level}/");
        tiles
            .keys()
            .filter(|path| path.starts_with(&prefix))
            .count()
    };
    assert_eq!((of("entries"), of("0"), of("1"), of("2")), (274, 274, 2, 1));
    for path in [
        "tile/0/272",
        "tile/0/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ] {
        assert!(tiles.contains_key(path), "{path}");
    }
}

#[test]
fn longest_record_keeps_its_length_in_a_tile() {
    let mut builder = TileBuilder::new(0);
    let line = vec![b'x'; MAX_RECORD_LEN];
    builder
        .push(&line, |_| Ok::<_, LineTooLong>(()))
        .expect("no error");
    let mut entries = Vec::new();
    let take = |tile: skopeo_index_core::audit::Tile| {
        entries.push(tile.bytes().to_vec());
        Ok::<_, LineTooLong>(())
    };
    builder.finish(take).expect("no error");
    assert_eq!(entries[0], [&[0xff, 0xff], &line[..]].concat());
}

#[test]
fn line_too_long_for_a_tile_is_an_error_and_not_appended() {
    let mut builder = TileBuilder::new(0);
    let mut push = |line: &[u8]| builder.push(line, |_| Ok(()));
    assert_eq!(push(b"a record"), Ok(()));
    let line = vec![b'x'; MAX_RECORD_LEN + 1];
    assert_eq!(push(&line), Err(LineTooLong { at: 1 }));
    assert_eq!(builder.tree().size(), 1);
}
