//! What is explored: the processes, the initial disk, and how much may go wrong.

use skopeo_index_core::machine::{Method, Network};

use crate::file_system::{FileSystem, Text};
use crate::process::ROOT;
use crate::seeded_bug::SeededBug;

pub const INDEXES: [Text; 2] = [
    r#"{"schemaVersion":2,"manifests":[]}"#,
    r#"{"schemaVersion":2,"manifests":[],"annotations":{}}"#,
];
/// A manifest that is not an index.
pub const IMAGE: Text = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
pub const GARBAGE: Text = "<html>";

/// What skopeo's commands answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registry {
    /// The requested bytes.
    Correct,
    /// Also another index, an image, garbage, nothing, a transient or a permanent failure.
    Arbitrary,
}

/// What is on the disk at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InitialDisk {
    /// Neither the cache nor its parent.
    NoParentOfCache,
    /// An empty cache that was never synced.
    UnsyncedCache,
    EmptyCache,
    /// The first requested document at its digest's name, never synced.
    UnsyncedIndex,
    /// Other bytes at that name.
    CorruptObject,
    /// A directory at that name.
    DirectoryAtName,
}

impl InitialDisk {
    /// `object` is the path of the first requested document.
    pub fn file_system(self, object: Text, document: Text) -> FileSystem {
        let cache = FileSystem::with_dir(ROOT);
        match self {
            Self::NoParentOfCache => FileSystem::with_dir("/"),
            Self::UnsyncedCache => FileSystem::with_dir("/srv").and_unsynced_dir(ROOT),
            Self::EmptyCache => cache,
            Self::UnsyncedIndex => cache.and_unsynced_file(object, document),
            Self::CorruptObject => cache.and_unsynced_file(object, "corrupt"),
            Self::DirectoryAtName => cache.and_unsynced_dir(object),
        }
    }

    /// Whether something is at the first digest's name.
    pub const fn has_object(self) -> bool {
        match self {
            Self::UnsyncedIndex | Self::CorruptObject | Self::DirectoryAtName => true,
            Self::NoParentOfCache | Self::UnsyncedCache | Self::EmptyCache => false,
        }
    }
}

/// What is explored. The counters limit the events on one path.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The requested documents, one for each process.
    pub requested: Vec<Text>,
    pub method: Method,
    pub network: Network,
    pub attempts: u32,
    pub registry: Registry,
    pub initial_disks: Vec<InitialDisk>,
    /// Failing file-system calls and records.
    pub faults: u8,
    /// Killed processes.
    pub crashes: u8,
    pub power_failures: u8,
    /// Restarts of crashed processes.
    pub restarts: u8,
    /// Removals of the first digest's object by another program.
    pub removals: u8,
    /// Switches away from a process that could continue; `None` for every order.
    pub context_switches: Option<u8>,
    pub bug: Option<SeededBug>,
}

impl Bounds {
    /// Method raw, an empty cache, and no disturbance.
    pub fn of(requested: &[Text]) -> Self {
        Self {
            requested: requested.to_vec(),
            method: Method::Raw,
            network: Network::Allowed,
            attempts: 1,
            registry: Registry::Correct,
            initial_disks: vec![InitialDisk::EmptyCache],
            faults: 0,
            crashes: 0,
            power_failures: 0,
            restarts: 0,
            removals: 0,
            context_switches: None,
            bug: None,
        }
    }

    /// The number of processes that can crash, by themselves or in a power failure.
    pub fn max_crashed(&self) -> usize {
        let in_power_failures = usize::from(self.power_failures) * self.requested.len();
        usize::from(self.crashes) + in_power_failures
    }
}
