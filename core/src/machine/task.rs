//! Tasks: requests and the rules of their fetches.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::request::Request;

/// How skopeo is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// `skopeo inspect --raw SOURCE`: the registry's bytes, and no layer.
    #[default]
    Raw,
    /// The three commands of osbuild's Python source: `skopeo copy
    /// --multi-arch=index-only`, `skopeo inspect --raw`, `skopeo
    /// manifest-digest`. skopeo's digest must agree with SHA-256.
    #[serde(rename = "copy")]
    SkopeoCopy,
}

/// Whether a fetch may use the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// A miss is fetched.
    #[default]
    Allowed,
    /// A miss is a failure.
    Offline,
}

/// Number of attempts, the first included.
pub type Attempts = NonZeroU32;

/// Maximum number of retries that can be chosen: a larger one is a typing error.
pub const MAX_RETRY_TIMES: u32 = 100;

/// The rules of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchPolicy {
    /// Attempts at fetching the bytes, the first included.
    pub attempts: Attempts,
    /// How skopeo is run.
    pub method: Method,
    /// Whether the network may be used.
    pub network: Network,
}

/// A request and the rules of its fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// The request.
    pub request: Request,
    /// The rules.
    pub policy: FetchPolicy,
    /// Number of verifiers, each of which must approve the bytes.
    pub verifiers: u8,
}
