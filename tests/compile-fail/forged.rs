use skopeo_index::machine::{Bytes, Inspected, Verified};

/// Verified by writing it down.
fn forge(inspected: Inspected<Bytes>) -> Verified<Bytes> {
    Verified { inspected }
}

fn main() {}
