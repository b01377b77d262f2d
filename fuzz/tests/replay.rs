//! Replays corpora and regressions of all fuzz targets, on any toolchain.
#![allow(clippy::expect_used, reason = "a test that can't continue fails")]

use std::path::Path;

use skopeo_index_fuzz::TARGETS;

fn replay(name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (_, target) = TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a target");
    let inputs = |dir: &str| std::fs::read_dir(root.join(dir).join(name));
    let corpus = inputs("corpus").expect("every target has a corpus");
    // Only some targets have found a bug, and only some have documents with verdicts.
    let more = ["regressions", "../corpus"].map(inputs);
    let mut count = 0;
    for input in corpus.chain(more.into_iter().flatten().flatten()) {
        let input = input.expect("an entry").path();
        if input.is_dir() {
            continue;
        }
        println!("{}", input.display());
        target(&std::fs::read(input).expect("an input"));
        count += 1;
    }
    assert!(count > 0, "the corpus of {name} is empty");
}

#[test]
fn every_regression_belongs_to_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for dir in std::fs::read_dir(root).expect("a directory") {
        let name = dir.expect("an entry").file_name();
        assert!(TARGETS.iter().any(|(known, _)| name == *known), "{name:?}");
    }
}

mod corpus_replays_without_panic {
    macro_rules! replay {
        ($($target:ident)*) => {
            $(#[test]
            fn $target() {
                super::replay(stringify!($target));
            })*
        };
    }

    replay!(audit digest gate index note packet registry request stderr step);
}
