use skopeo_index_core::machine::{Inspected, ManifestBytes, Verified};

/// The constructor is its room's own.
fn construct(inspected: Inspected<ManifestBytes>) {
    let _verified = Verified::compare(inspected);
}

fn main() {}
