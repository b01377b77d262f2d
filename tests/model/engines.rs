//! The registry client as the source of bytes, alone and before skopeo.

use skopeo_index::fetch::{Engine, EngineChoice};

use crate::bounds::{Bounds, Registry};
use crate::{MISS_HIT_CORRUPT, ONE, assert_holds, is_long};

/// The registry client may say anything, fail, or not answer in time.
#[test]
fn fetch_by_the_registry_client_with_wrong_answers_and_crash_keeps_invariants() {
    for (description, engine) in [
        (
            "one process, registry client",
            EngineChoice::Only(Engine::Registry),
        ),
        (
            "one process, registry client and skopeo",
            EngineChoice::Auto,
        ),
    ] {
        let bounds = Bounds {
            engine,
            registry: Registry::Arbitrary,
            attempts: 2,
            initial_disks: MISS_HIT_CORRUPT.into(),
            faults: u8::from(is_long()),
            crashes: 1,
            power_failures: 1,
            ..Bounds::of(&[ONE])
        };
        assert_holds(description, bounds);
    }
    if is_long() {
        let bounds = Bounds {
            engine: EngineChoice::Auto,
            registry: Registry::Arbitrary,
            crashes: 1,
            context_switches: Some(3),
            ..Bounds::of(&[ONE, ONE])
        };
        assert_holds("two processes, registry client and skopeo", bounds);
    }
}
