//! The `skopeo-index` command.

mod cli;

use std::process::ExitCode;

use skopeo_index::os::{Descendants, best_effort, ignore_file_size_signal};

fn main() -> ExitCode {
    let _killed_at_the_end = Descendants::adopt();
    // Without the handler, a write beyond the limit ends the process instead of failing.
    best_effort(ignore_file_size_signal());
    cli::run(std::env::args_os())
}
