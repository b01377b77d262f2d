//! The program itself.

use std::fs;
use std::process::Command;

use crate::commands::{binary, is_installed, skopeo_index};
use crate::measure::{Workspace, median, time};
use crate::table::{ms, row};

pub fn rows(workspace: &Workspace) {
    let version = median("`-V`", || {
        let mut command = skopeo_index();
        command.arg("-V");
        time(command)
    });
    row("`-V`", &ms(version), "", "", "");
    row(
        "binary, stripped",
        &stripped_size(workspace),
        "",
        "",
        "at most 6 MB",
    );
}

fn stripped_size(workspace: &Workspace) -> String {
    if !is_installed("strip") {
        return "not measured: no strip".to_owned();
    }
    let stripped = workspace.path();
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&stripped).arg(binary());
    time(strip);
    let size = fs::metadata(stripped).expect("the binary").len();
    format!("{:.2} MB", size as f64 / 1e6)
}
