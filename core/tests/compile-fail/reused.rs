use skopeo_index_core::machine::{CacheEntry, Fetch, Outcome};

/// A step consumes the state.
fn reuse(fetch: Fetch) {
    let _first = fetch.step(Outcome::LookedUp { entry: CacheEntry::Absent });
    let _second = fetch.step(Outcome::LookedUp { entry: CacheEntry::Absent });
}

fn main() {}
