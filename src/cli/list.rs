//! `skopeo-index list`.

use serde_json::{Value, json};
use skopeo_index::store::{NameRecord, NameRecords};
use skopeo_index::units::DecimalBytes;

use super::cache::CacheLocation;
use super::exclusive::Exclusive;
use super::object::Object;
use super::options::Format;
use super::output::{self, CliError};
use super::table::{Table, cell, cut};

/// List the indexes in the cache: size, last use, names and platforms
///
/// A corrupt object is shown as such; `verify` has an exit status for it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    cache: Exclusive<CacheLocation>,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

const HEAD: [&str; 5] = ["DIGEST", "SIZE", "LAST USED", "NAMES", "PLATFORMS"];

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let store = args.cache.0.open_existing()?;
    let records = store.name_records().unwrap_or_else(|error| {
        output::print_stderr(&format!("could not read names: {error}"));
        NameRecords::new()
    });
    let mut table = None;
    for digest in store.objects()? {
        let object = Object::check(&store, digest);
        // Another source's object.
        if object.is_not_an_index() && args.cache.0.is_shared() {
            continue;
        }
        let record = records.get(&digest);
        match args.format {
            Format::Json => output::json_line(&json(&object, record))?,
            Format::Text => {
                let table = table.get_or_insert_with(|| Table::new(HEAD));
                table.push(row(&object, record))?;
            }
        }
    }
    table.map_or(Ok(()), |mut table| table.print())
}

fn row(object: &Object, record: Option<&NameRecord>) -> [String; 5] {
    let unknown = || "-".to_owned();
    let platforms = match object.index() {
        Some((index, _)) if index.platforms.is_empty() => unknown(),
        Some((index, _)) => cut(&index.platforms.join(", ")),
        None => object.label(),
    };
    let size = object.index().map(|(_, size)| DecimalBytes(size));
    [
        object.digest.to_string(),
        size.map_or_else(unknown, |size| size.to_string()),
        record.map_or_else(unknown, time),
        record.map_or_else(unknown, |record| cell(&record.names().join(", "))),
        platforms,
    ]
}

/// An object and its name record as a JSON object. What is not known is `null`.
pub(super) fn json(object: &Object, record: Option<&NameRecord>) -> Value {
    let index = object.index();
    json!({
        "digest": object.digest,
        "status": object.word(),
        "reason": object.reason(),
        "size": index.map(|(_, size)| size),
        "mediaType": index.map(|(index, _)| index.media_type),
        "manifests": index.map(|(index, _)| index.manifests),
        "platforms": index.map(|(index, _)| &index.platforms),
        "names": record.map(NameRecord::names),
        "lastUsed": record.map(time),
    })
}

/// The last use, as RFC 3339 has it.
fn time(record: &NameRecord) -> String {
    humantime::format_rfc3339_seconds(record.used()).to_string()
}
