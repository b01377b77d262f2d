//! Replays what fuzzers have found, on any toolchain.
#![allow(clippy::expect_used, reason = "a test that can't go on says why")]

use std::path::Path;

use skopeo_index_fuzz::TARGETS;

fn replayed(name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (_, target) = TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a target");
    let inputs = |dir: &str| std::fs::read_dir(root.join(dir).join(name));
    let corpus = inputs("corpus").expect("every target has a corpus");
    // Only targets that have found something.
    let regressions = inputs("regressions").into_iter().flatten();
    let mut count = 0;
    for input in corpus.chain(regressions) {
        let input = input.expect("an entry").path();
        println!("{}", input.display());
        target(&std::fs::read(input).expect("an input"));
        count += 1;
    }
    assert!(count > 0, "the corpus of {name} is empty");
}

#[test]
fn each_regression_is_some_targets() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for dir in std::fs::read_dir(root).expect("there are some") {
        let name = dir.expect("an entry").file_name();
        assert!(TARGETS.iter().any(|(known, _)| name == *known), "{name:?}");
    }
}

macro_rules! replay {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            replayed(stringify!($target));
        })*
    };
}

replay!(audit digest index packet request stderr step);
