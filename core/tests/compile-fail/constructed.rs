use skopeo_index_core::machine::{Inspected, ManifestBytes, Verified};

/// Constructors are private to the module.
fn construct(inspected: Inspected<ManifestBytes>) {
    let _verified = Verified::verify(inspected);
}

fn main() {}
