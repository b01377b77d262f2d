//! The `skopeo-index` command.

mod cli;

use std::process::ExitCode;

use signal_hook::consts::SIGXFSZ;
use skopeo_index::os::{Descendants, best_effort, ignore_signals};

fn main() -> ExitCode {
    let _killed_at_the_end = Descendants::adopt();
    // A write beyond the limit of file sizes fails then (EFBIG), like one to a full disk.
    best_effort(ignore_signals(&[SIGXFSZ]));
    cli::run(std::env::args_os())
}
