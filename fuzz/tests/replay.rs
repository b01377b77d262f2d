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
    let mut count = 0;
    for dir in ["corpus", "regressions"] {
        let Ok(inputs) = std::fs::read_dir(root.join(dir).join(name)) else {
            continue;
        };
        for input in inputs {
            let input = input.expect("an entry").path();
            println!("{}", input.display());
            target(&std::fs::read(input).expect("an input"));
            count += 1;
        }
    }
    assert!(count > 0, "there is no corpus of {name}");
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
