//! What a state wants done, and what may come of it.

use serde::{Deserialize, Serialize};

use super::{Content, Facts, Method, Trouble};
use crate::digest::Digest;
use crate::request::Request;

/// Something to be done outside the core: the smallest unit whose success is a
/// durable truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<'a, C> {
    /// Read the cache's object of this digest, and make sure that it is durable.
    LookUp {
        /// Its name.
        digest: Digest,
    },
    /// Move the cache's object of this digest aside, if its bytes still don't
    /// hash to its name.
    Quarantine {
        /// Its name.
        digest: Digest,
    },
    /// Make a place to copy to, which is swept when this process is gone.
    Stage,
    /// Have skopeo bring the bytes.
    Copy {
        /// What to bring.
        request: &'a Request,
        /// By which commands.
        method: Method,
        /// Where to.
        at: &'a Staging,
        /// Which attempt this is, from 1.
        attempt: u32,
    },
    /// Wait before the next attempt.
    Pause {
        /// The attempt that failed, from 1.
        attempt: u32,
    },
    /// Have skopeo read what it copied (method copy).
    Reread {
        /// Where it copied to.
        at: &'a Staging,
        /// In which attempt.
        attempt: u32,
    },
    /// Have skopeo compute the digest of what it copied (method copy).
    Opinion {
        /// Where it copied to.
        at: &'a Staging,
        /// In which attempt.
        attempt: u32,
    },
    /// Nothing: the core goes on by itself.
    Proceed,
    /// Put the bytes into the cache: write, sync, rename without replacing, sync
    /// the directory, read back.
    Publish {
        /// The object's name.
        digest: Digest,
        /// Its bytes.
        content: &'a C,
        /// Where to write them first.
        at: &'a Staging,
    },
}

/// A place to copy to, named by whoever made it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Staging(String);

impl Staging {
    /// A place by its name, relative to the cache.
    #[must_use]
    pub const fn new(name: String) -> Self {
        Self(name)
    }

    /// The name, relative to the cache.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How published bytes got to their place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placed {
    /// Nothing was there.
    New,
    /// Somebody had put the same bytes there meanwhile.
    AlreadyThere,
    /// Something else was there and was moved aside, to this name.
    Replaced(String),
}

/// What came of an effect: a claim, from which the core draws its own conclusions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome<C> {
    /// The cache has no object of that name.
    Absent,
    /// It has one, with these bytes.
    Found {
        /// The bytes.
        content: C,
    },
    /// It has one that is larger than any index may be.
    FoundOversized {
        /// SHA-256 of its bytes.
        digest: Digest,
        /// How many there are.
        size: u64,
    },
    /// Something has that name which isn't a regular file.
    FoundNotAFile,
    /// The object was moved aside, to this name.
    Quarantined {
        /// Relative to the cache.
        name: String,
    },
    /// There is a place to copy to.
    Staged {
        /// Its name.
        at: Staging,
    },
    /// skopeo brought bytes.
    Copied {
        /// The bytes.
        content: C,
    },
    /// skopeo read these bytes from what it had copied.
    Reread {
        /// The bytes.
        content: C,
    },
    /// skopeo says that this is the digest.
    Opinion {
        /// What it printed, shortened.
        digest: String,
    },
    /// The core may go on.
    Proceed,
    /// The pause is over.
    Paused,
    /// The bytes were put into the cache.
    Published {
        /// What was read back from there.
        content: C,
        /// How they got there.
        placed: Placed,
    },
    /// The effect failed.
    Trouble {
        /// How.
        trouble: Trouble,
    },
}

impl<C: Content> Outcome<C> {
    /// The same outcome with facts in place of bytes, as an event carries it.
    #[must_use]
    pub fn facts(&self) -> Outcome<Facts> {
        let told = |content: &C| content.facts().clone();
        match self {
            Self::Absent => Outcome::Absent,
            Self::Found { content } => Outcome::Found {
                content: told(content),
            },
            Self::FoundOversized { digest, size } => Outcome::FoundOversized {
                digest: *digest,
                size: *size,
            },
            Self::FoundNotAFile => Outcome::FoundNotAFile,
            Self::Quarantined { name } => Outcome::Quarantined { name: name.clone() },
            Self::Staged { at } => Outcome::Staged { at: at.clone() },
            Self::Copied { content } => Outcome::Copied {
                content: told(content),
            },
            Self::Reread { content } => Outcome::Reread {
                content: told(content),
            },
            Self::Opinion { digest } => Outcome::Opinion {
                digest: digest.clone(),
            },
            Self::Proceed => Outcome::Proceed,
            Self::Paused => Outcome::Paused,
            Self::Published { content, placed } => Outcome::Published {
                content: told(content),
                placed: placed.clone(),
            },
            Self::Trouble { trouble } => Outcome::Trouble {
                trouble: trouble.clone(),
            },
        }
    }
}

impl<C> Outcome<C> {
    /// Which outcome this is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Absent => Kind::Absent,
            Self::Found { .. } => Kind::Found,
            Self::FoundOversized { .. } => Kind::FoundOversized,
            Self::FoundNotAFile => Kind::FoundNotAFile,
            Self::Quarantined { .. } => Kind::Quarantined,
            Self::Staged { .. } => Kind::Staged,
            Self::Copied { .. } => Kind::Copied,
            Self::Reread { .. } => Kind::Reread,
            Self::Opinion { .. } => Kind::Opinion,
            Self::Proceed => Kind::Proceed,
            Self::Paused => Kind::Paused,
            Self::Published { .. } => Kind::Published,
            Self::Trouble { .. } => Kind::Trouble,
        }
    }
}

/// The names of the outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants of `Outcome` say what each is")]
pub enum Kind {
    Absent,
    Found,
    FoundOversized,
    FoundNotAFile,
    Quarantined,
    Staged,
    Copied,
    Reread,
    Opinion,
    Proceed,
    Paused,
    Published,
    Trouble,
}

impl Kind {
    /// Every outcome.
    pub const ALL: [Self; 13] = [
        Self::Absent,
        Self::Found,
        Self::FoundOversized,
        Self::FoundNotAFile,
        Self::Quarantined,
        Self::Staged,
        Self::Copied,
        Self::Reread,
        Self::Opinion,
        Self::Proceed,
        Self::Paused,
        Self::Published,
        Self::Trouble,
    ];
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}
