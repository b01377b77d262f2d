//! `skopeo-index schema`: the schemas of everything that is printed or written as JSON.

use clap::builder::PossibleValuesParser;
use serde_json::Value;

use super::output::{self, CliError};
use super::table::Table;

/// Print a JSON Schema of the program's JSON, or list them
///
/// Each is of draft 2020-12 and complete: it refers to no other document.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Schema to print
    #[arg(value_parser = PossibleValuesParser::new(SCHEMAS.map(|(name, _)| name)))]
    name: Option<String>,
}

macro_rules! schemas {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("schemas/", $name, ".json")))),*]
    };
}

/// The schema whose definitions others refer to.
const RECORD: &str = "record";

/// Names and texts, in the order of the list.
const SCHEMAS: [(&str, &str); 14] = schemas![
    "fetch",
    "fetch-dry-run",
    "progress",
    "resolve",
    "resolve-osbuild",
    "inspect",
    "verify",
    "list",
    "prune",
    "record",
    "audit-verify",
    "audit-show",
    "statement",
    "envelope",
];

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    match args.name.as_deref() {
        Some(name) => output::line(&format!("{:#}", bundle(name)?)),
        None => list(),
    }
}

fn list() -> Result<(), CliError> {
    let mut table = Table::new(["NAME", "CONTENT"]);
    for (name, _) in SCHEMAS {
        let title = parse(name)?["title"].take();
        table.push([
            name.to_owned(),
            title.as_str().unwrap_or_default().to_owned(),
        ])?;
    }
    table.print()
}

/// A schema with that of records embedded, if it refers to that (JSON Schema Core, section
/// 9.3.1, "Bundling").
fn bundle(name: &str) -> Result<Value, CliError> {
    let (mut schema, record) = (parse(name)?, parse(RECORD)?);
    let is_used = |id: &str| schema.to_string().contains(&format!("\"$ref\":\"{id}#"));
    if record["$id"].as_str().is_some_and(is_used) {
        schema["$defs"][RECORD] = record;
    }
    Ok(schema)
}

fn parse(name: &str) -> Result<Value, CliError> {
    let schema = SCHEMAS.into_iter().find(|(known, _)| *known == name);
    let parsed = serde_json::from_str(schema.map_or("", |(_, text)| text));
    parsed.map_err(|error| CliError::other(format!("schema {name}: {error}")))
}
