//! `skopeo-index states`: the machine, drawn from its table.

use clap::ValueEnum;

use super::exit::ExitStatus;
use super::output::{self, CliError};
use skopeo_index_core::machine::{State, TABLE, TableRow};

/// Draw the state machine that every fetch runs through
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// As what
    #[arg(long, value_enum, default_value = "text")]
    format: Drawing,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Drawing {
    Text,
    Mermaid,
    Dot,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    let drawn = match args.format {
        Drawing::Text => text(),
        Drawing::Mermaid => mermaid(),
        Drawing::Dot => dot(),
    };
    output::line(drawn.trim_end())?;
    Ok(ExitStatus::Done)
}

/// `Outcome [condition]`, as UML writes it.
fn label(row: &TableRow) -> String {
    if row.when.is_empty() {
        row.on.to_string()
    } else {
        format!("{} [{}]", row.on, row.when)
    }
}

fn text() -> String {
    let rows: Vec<[String; 3]> = TABLE
        .iter()
        .map(|row| [row.from.to_string(), label(row), row.to.to_string()])
        .collect();
    let mut lines: Vec<_> = output::columns(["STATE", "OUTCOME", "NEXT"], &rows).collect();
    lines.push(String::new());
    lines.push(format!(
        "It begins with {} and ends with {} or {}.",
        State::Pending,
        State::Committed,
        State::Failed
    ));
    lines.join("\n")
}

fn mermaid() -> String {
    let mut lines = vec![
        "stateDiagram-v2".to_owned(),
        format!("    [*] --> {}", State::Pending),
    ];
    lines.extend(
        TABLE
            .iter()
            .map(|row| format!("    {} --> {}: {}", row.from, row.to, label(row))),
    );
    lines.extend([State::Committed, State::Failed].map(|end| format!("    {end} --> [*]")));
    lines.join("\n")
}

fn dot() -> String {
    let mut lines = vec!["digraph fetch {".to_owned(), "    rankdir=LR;".to_owned()];
    lines
        .extend([State::Committed, State::Failed].map(|end| format!("    {end} [peripheries=2];")));
    lines.extend(
        TABLE
            .iter()
            .map(|row| format!("    {} -> {} [label=\"{}\"];", row.from, row.to, label(row))),
    );
    lines.push("}".to_owned());
    lines.join("\n")
}
