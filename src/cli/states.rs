//! `skopeo-index states`: the state machine, drawn from its table.

use clap::ValueEnum;
use skopeo_index_core::machine::{State, TABLE, TableRow};

use super::output::{self, CliError};
use super::table::Table;

/// Draw the state machine that every fetch runs through
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    format: StatesFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StatesFormat {
    Text,
    Mermaid,
    Dot,
}

/// The states in which a fetch ends.
const FINAL: [State; 2] = [State::Committed, State::Failed];

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    match args.format {
        StatesFormat::Text => print_table(),
        StatesFormat::Mermaid => output::line(&mermaid().join("\n")),
        StatesFormat::Dot => output::line(&dot().join("\n")),
    }
}

/// `Outcome [condition]`, as in UML.
fn label(row: &TableRow) -> String {
    if row.when.is_empty() {
        row.on.to_string()
    } else {
        format!("{} [{}]", row.on, row.when)
    }
}

fn print_table() -> Result<(), CliError> {
    let mut table = Table::new(["STATE", "OUTCOME", "NEXT"]);
    for row in TABLE {
        table.push([row.from.to_string(), label(row), row.to.to_string()])?;
    }
    table.print()?;
    let ([committed, failed], first) = (FINAL, State::Pending);
    output::line(&format!(
        "\nA fetch begins in {first} and ends in {committed} or {failed}."
    ))
}

fn mermaid() -> Vec<String> {
    let begin = format!("    [*] --> {}", State::Pending);
    let rows = TABLE.iter();
    let rows = rows.map(|row| format!("    {} --> {}: {}", row.from, row.to, label(row)));
    let ends = FINAL.map(|end| format!("    {end} --> [*]"));
    let head = ["stateDiagram-v2".to_owned(), begin];
    head.into_iter().chain(rows).chain(ends).collect()
}

fn dot() -> Vec<String> {
    let head = ["digraph fetch {".to_owned(), "    rankdir=LR;".to_owned()];
    let ends = FINAL.map(|end| format!("    {end} [peripheries=2];"));
    let rows = TABLE.iter();
    let rows =
        rows.map(|row| format!("    {} -> {} [label=\"{}\"];", row.from, row.to, label(row)));
    let lines = head.into_iter().chain(ends).chain(rows);
    lines.chain(["}".to_owned()]).collect()
}
