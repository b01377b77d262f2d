//! What is explored: the processes, the initial disk, and how much may go wrong.

use skopeo_index::fetch::{Engine, EngineChoice};
use skopeo_index_core::machine::{Method, Network};

use crate::file_system::{FileSystem, Node, Text, VICTIM, intern};
use crate::process::ROOT;
use crate::seeded_bug::SeededBug;

pub const INDEXES: [Text; 2] = [
    r#"{"schemaVersion":2,"manifests":[]}"#,
    r#"{"schemaVersion":2,"manifests":[],"annotations":{}}"#,
];
/// A manifest that is not an index.
pub const IMAGE: Text = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
pub const GARBAGE: Text = "<html>";

/// What skopeo's commands and the registry client answer.
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
    /// Something else at that name.
    NodeAtName(Node),
    /// Something else than a directory of ours as the private directory.
    PrivateDir(Node),
    /// A synced corrupt object, and something else than a directory as the quarantine.
    Quarantine(Node),
    /// A synced corrupt object, and a pipe as the cache's lock.
    LockIsPipe,
    /// A pipe as the lock of a stale staging directory.
    StaleLockIsPipe,
    /// Something else than a directory of ours as a stale staging directory.
    StaleStaging(Node),
}

/// Disks on which others have put something in the way.
pub const HOSTILE_DISKS: [InitialDisk; 11] = [
    InitialDisk::NodeAtName(Node::Link),
    InitialDisk::NodeAtName(Node::Pipe),
    InitialDisk::NodeAtName(Node::Endless),
    InitialDisk::PrivateDir(Node::Link),
    InitialDisk::PrivateDir(Node::ForeignDir),
    InitialDisk::PrivateDir(Node::Pipe),
    InitialDisk::Quarantine(Node::Link),
    InitialDisk::LockIsPipe,
    InitialDisk::StaleLockIsPipe,
    InitialDisk::StaleStaging(Node::Link),
    InitialDisk::StaleStaging(Node::ForeignDir),
];

/// A stale staging directory that can't be removed.
pub const FOREIGN_STAGING: &str = "/staging-foreign";

impl InitialDisk {
    /// `object` is the path of the first requested document.
    pub fn file_system(self, object: Text, document: Text) -> FileSystem {
        let cache = FileSystem::with_dir(ROOT);
        let private = |name: &str| intern(&format!("{ROOT}/.skopeo-index{name}"));
        // What links lead to.
        let victim = |fs: FileSystem| {
            let stale = intern(&format!("{VICTIM}/staging-old"));
            let fs = fs.and_node(VICTIM, Node::Dir).and_node(stale, Node::Dir);
            fs.and_node(intern(&format!("{stale}/data")), Node::Pipe)
        };
        let with_private = || victim(FileSystem::with_dir(private("")));
        match self {
            Self::NoParentOfCache => FileSystem::with_dir("/"),
            Self::UnsyncedCache => FileSystem::with_dir("/srv").and_unsynced_dir(ROOT),
            Self::EmptyCache => cache,
            Self::UnsyncedIndex => cache.and_unsynced_file(object, document),
            Self::CorruptObject => cache.and_unsynced_file(object, "corrupt"),
            Self::DirectoryAtName => cache.and_unsynced_dir(object),
            Self::NodeAtName(node) => victim(cache).and_node(object, node),
            Self::PrivateDir(node) => {
                let fs = victim(cache).and_node(private(""), node);
                let stale = private("/staging-old");
                match node {
                    Node::ForeignDir => fs.and_node(stale, Node::Dir),
                    _ => fs,
                }
            }
            Self::Quarantine(node) => with_private()
                .and_node(private("/quarantine"), node)
                .and_file(object, "corrupt"),
            Self::LockIsPipe => with_private()
                .and_node(private("/lock"), Node::Pipe)
                .and_file(object, "corrupt"),
            Self::StaleLockIsPipe => with_private()
                .and_node(private(FOREIGN_STAGING), Node::Dir)
                .and_node(private(&format!("{FOREIGN_STAGING}/lock")), Node::Pipe),
            Self::StaleStaging(node) => with_private().and_node(private(FOREIGN_STAGING), node),
        }
    }

    /// Whether a directory of ours is a link.
    pub const fn has_link(self) -> bool {
        matches!(
            self,
            Self::PrivateDir(Node::Link)
                | Self::Quarantine(Node::Link)
                | Self::StaleStaging(Node::Link)
        )
    }

    /// Whether every fetch of the first digest has to fail.
    pub const fn is_refused(self) -> bool {
        matches!(
            self,
            Self::NodeAtName(Node::Endless)
                | Self::PrivateDir(_)
                | Self::Quarantine(_)
                | Self::LockIsPipe
        )
    }

    /// Whether something is at the first digest's name.
    pub const fn has_object(self) -> bool {
        match self {
            Self::UnsyncedIndex
            | Self::CorruptObject
            | Self::DirectoryAtName
            | Self::NodeAtName(_)
            | Self::Quarantine(_)
            | Self::LockIsPipe => true,
            Self::NoParentOfCache
            | Self::UnsyncedCache
            | Self::EmptyCache
            | Self::PrivateDir(_)
            | Self::StaleLockIsPipe
            | Self::StaleStaging(_) => false,
        }
    }
}

/// What is explored. The counters limit the events on one path.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The requested documents, one for each process.
    pub requested: Vec<Text>,
    pub engine: EngineChoice,
    pub method: Method,
    pub network: Network,
    pub attempts: u32,
    pub registry: Registry,
    /// Verifiers, which approve everything with a correct registry.
    pub verifiers: u8,
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
    /// skopeo by method raw, an empty cache, and no disturbance.
    pub fn of(requested: &[Text]) -> Self {
        Self {
            requested: requested.to_vec(),
            engine: EngineChoice::Only(Engine::Skopeo),
            method: Method::Raw,
            network: Network::Allowed,
            attempts: 1,
            registry: Registry::Correct,
            verifiers: 0,
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
