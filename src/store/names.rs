//! The names that indexes were fetched by, and when each was last used.
//!
//! `.skopeo-index/names` has a line for each digest, sorted by it, with fields separated by
//! tabs: digest, time of last use (seconds since 1970), and the names, the latest last.
//! Only `list` and `prune` read them: a lost or corrupt line is an index without names, and
//! the next run that uses the index writes it again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::time::{Duration, SystemTime};

use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{CacheEntry, ManifestBytes};
use skopeo_index_core::request::{Reference, Request};

use super::{Dir, DiskError, Store};
use crate::os::{CancelToken, PathError};

/// The file, in the private directory.
const FILE: &str = "names";

/// Maximum size of the file: room for 50,000 indexes with 80 bytes of names each. A run takes
/// some five times as much memory to change it.
const MAX_SIZE: usize = 8 << 20;

/// Maximum number of names of an index; the oldest ones make room.
const MAX_NAMES: usize = 16;

/// How exactly the last use is kept, in seconds: hits within this time write nothing.
const USE_PRECISION: u64 = 60 * 60;

/// The end of the year 9999, in seconds since 1970: RFC 3339 has no later time.
const MAX_TIME: u64 = 253_402_300_799;

/// Names and last use of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameRecord {
    /// Seconds since 1970.
    used: u64,
    names: Vec<String>,
}

/// The name records of a cache.
pub type NameRecords = BTreeMap<Digest, NameRecord>;

impl NameRecord {
    /// The last time that a run fetched or found the index, to the hour.
    #[must_use]
    pub fn used(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.used)
    }

    /// The names that it was fetched by, the latest last.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Parses a line, without trusting the writer.
    fn parse(line: &[u8]) -> Option<(Digest, Self)> {
        let mut fields = str::from_utf8(line).ok()?.split('\t');
        let (digest, used) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let is_name = |name: &str| {
            let reference = name.parse::<Reference>();
            reference.is_ok_and(|reference| reference.digest().is_none())
        };
        let names: Vec<String> = fields.map(str::to_owned).collect();
        let is_valid = used <= MAX_TIME
            && (1..=MAX_NAMES).contains(&names.len())
            && names.iter().all(|name| is_name(name));
        is_valid.then_some((digest, Self { used, names }))
    }

    fn is_current(&self, name: &str, now: u64) -> bool {
        let age = now.checked_sub(self.used);
        age.is_some_and(|age| age < USE_PRECISION) && self.names.iter().any(|known| known == name)
    }

    fn add(&mut self, name: &str, now: u64) {
        self.used = now;
        if !self.names.iter().any(|known| known == name) {
            let surplus = (self.names.len() + 1).saturating_sub(MAX_NAMES);
            self.names.drain(..surplus);
            self.names.push(name.to_owned());
        }
    }
}

/// The name of a request, without the digest.
fn name(request: &Request) -> String {
    request.location().reference(request.name())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn serialize(records: &NameRecords) -> String {
    let mut text = String::new();
    for (digest, NameRecord { used, names }) in records {
        text += &format!("{digest}\t{used}\t{}\n", names.join("\t"));
    }
    text
}

impl Store {
    /// Records the names of indexes that are in the cache, and that they are used now. Reads
    /// one file, and writes it under the cache's lock if something in it changes. Does
    /// nothing once the run is cancelled.
    pub fn record_names(
        &self,
        requests: &[&Request],
        cancel: &CancelToken,
    ) -> Result<(), DiskError> {
        if requests.is_empty() || cancel.cancelled().is_some() {
            return Ok(());
        }
        let (entry, now) = (self.read_names(self.make_private()?)?, now());
        let lines: Vec<&[u8]> = lines(&entry).collect();
        let is_current = |request: &Request| {
            let digest = request.digest().to_string();
            let prefix = |line: &&[u8]| line.get(..Digest::TEXT_LEN).cmp(&Some(digest.as_bytes()));
            let line = lines.binary_search_by(prefix).ok().map(|at| lines[at]);
            let record = line.and_then(NameRecord::parse);
            record.is_some_and(|(_, record)| record.is_current(&name(request), now))
        };
        let mut outdated = requests.to_vec();
        outdated.retain(|request| !is_current(request));
        if outdated.is_empty() {
            return Ok(());
        }
        drop(entry);
        self.update_names(cancel, |records| {
            for request in outdated {
                let record = records.entry(request.digest()).or_default();
                record.add(&name(request), now);
            }
            Ok(())
        })
    }

    /// The name records of all indexes, also of those that are not in the cache any more.
    pub fn name_records(&self) -> Result<NameRecords, PathError> {
        match self.open_private()? {
            Some(private) => Ok(parse(&self.read_names(private)?)),
            None => Ok(NameRecords::new()),
        }
    }

    /// Removes those of `digests` that have a name record and are unused, durably, and the
    /// records of indexes that are not in the cache. Returns the removed ones, and why others
    /// or the records stay. The cache's lock is held: `is_unused` sees what other runs have
    /// recorded in the meantime.
    pub fn prune(
        &self,
        digests: &[Digest],
        is_unused: impl Fn(&NameRecord) -> bool,
        cancel: &CancelToken,
    ) -> (BTreeSet<Digest>, Vec<DiskError>) {
        let (mut removed, mut errors) = (BTreeSet::new(), Vec::new());
        let updated = self.update_names(cancel, |records| {
            let is_unused = |digest: &&Digest| records.get(digest).is_some_and(&is_unused);
            let root = self.make_root()?;
            for digest in digests.iter().filter(is_unused) {
                match self.disk.remove(root, &digest.to_string()) {
                    Ok(()) => drop(removed.insert(*digest)),
                    Err(error) => errors.push(error.into()),
                }
            }
            // After a crash, an object that is there still has its record.
            self.sync_root()?;
            let present = BTreeSet::from_iter(self.objects()?);
            records.retain(|digest, _| present.contains(digest));
            Ok(())
        });
        errors.extend(updated.err());
        (removed, errors)
    }

    /// Changes the records under the cache's lock, and writes them durably, in place of the
    /// old ones.
    fn update_names(
        &self,
        cancel: &CancelToken,
        update: impl FnOnce(&mut NameRecords) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let private = self.make_private()?;
        let _guard = self.lock(private, cancel)?;
        let entry = self.read_names(private)?;
        let mut records = parse(&entry);
        let is_file = entry != CacheEntry::NotAFile;
        drop(entry);
        update(&mut records)?;
        let text = serialize(&records);
        if text.len() > MAX_SIZE {
            let full = io::Error::new(ErrorKind::FileTooLarge, "full; `prune` makes room");
            return Err(PathError::new("write", &private.path().join(FILE), full).into());
        }
        if !is_file {
            // A rename can't replace a directory.
            self.disk.remove(private, FILE)?;
        }
        Ok(self.disk.replace(private, FILE, text.as_bytes())?)
    }

    fn read_names(&self, private: &Dir) -> Result<CacheEntry<ManifestBytes>, PathError> {
        Ok(self.disk.read(private, FILE, MAX_SIZE)?.entry)
    }
}

/// The lines of the file; none where it is something else.
fn lines(entry: &CacheEntry<ManifestBytes>) -> impl Iterator<Item = &[u8]> {
    let bytes = match entry {
        CacheEntry::File { content } => content.as_slice(),
        CacheEntry::Absent | CacheEntry::Oversized { .. } | CacheEntry::NotAFile => &[],
    };
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.is_empty())
}

fn parse(entry: &CacheEntry<ManifestBytes>) -> NameRecords {
    lines(entry).filter_map(NameRecord::parse).collect()
}
