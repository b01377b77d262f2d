//! The `skopeo-index` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    skopeo_index::cli::run(std::env::args_os())
}
