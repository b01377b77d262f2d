//! Compares skopeo-index with other clients, in one run: `make bench`.
//!
//! The programs of a row take turns, so that a slow moment of the machine slows all of them,
//! and their medians are compared. No other program verifies or stores what it fetches.
//! Everything is written below one directory, which is removed at the end: a file system
//! that has just removed thousands of files is slow at creating others.
//!
//! Prints a Markdown table, with the target of each row.
#![allow(clippy::expect_used, reason = "a benchmark that can't continue fails")]

use std::path::Path;

mod audit;
mod cold;
mod commands;
mod engine;
mod hits;
mod measure;
mod osbuild;
mod program;
mod table;

use measure::Workspace;

/// A subject's name, and what prints its rows.
type Subject = (&'static str, fn(&Workspace));

/// The subjects.
const SUBJECTS: [Subject; 8] = [
    ("plain", cold::plain),
    ("token", cold::token),
    ("latency", cold::latency),
    ("engine", engine::rows),
    ("hits", hits::rows),
    ("audit", audit::rows),
    ("osbuild", osbuild::rows),
    ("program", program::rows),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [mode, dir] if mode == hits::READER => hits::read_all(Path::new(dir)),
        // Cargo appends `--bench`; `cargo test --benches` only builds. Names of subjects
        // before it choose these.
        [chosen @ .., bench] if bench == "--bench" => {
            let workspace = Workspace::new();
            table::head();
            for (name, rows) in SUBJECTS {
                if chosen.is_empty() || chosen.iter().any(|chosen| chosen == name) {
                    rows(&workspace);
                }
            }
        }
        _ => {}
    }
}
