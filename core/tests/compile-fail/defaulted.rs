use skopeo_index_core::machine::Staged;

/// No state has a default.
fn default() -> Staged {
    Default::default()
}

fn main() {}
