use skopeo_index::machine::{Bytes, Inspected, Verified};

/// The constructor is its room's own.
fn construct(inspected: Inspected<Bytes>) {
    let _verified = Verified::compare(inspected);
}

fn main() {}
