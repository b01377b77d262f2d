use skopeo_index_core::machine::Staged;

/// Nor does it come from nowhere.
fn default() -> Staged {
    Default::default()
}

fn main() {}
