use skopeo_index::machine::Staged;

/// Nor does it come from nowhere.
fn default() -> Staged {
    Default::default()
}

fn main() {}
