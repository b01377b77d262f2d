use skopeo_index_core::machine::{Fetch, Outcome};

/// A state is used up by its step.
fn reuse(fetch: Fetch) {
    let _first = fetch.step(Outcome::Absent);
    let _second = fetch.step(Outcome::Absent);
}

fn main() {}
