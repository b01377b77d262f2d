//! What is fetched, and by which rules.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::request::Request;

/// How skopeo is asked for the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// `skopeo inspect --raw SOURCE`: the registry's bytes, and no layer.
    #[default]
    Raw,
    /// The three commands of osbuild's Python source: `skopeo copy
    /// --multi-arch=index-only`, `skopeo inspect --raw`, `skopeo
    /// manifest-digest`. skopeo's opinion on the digest must agree with ours.
    Copy,
}

/// Whether a fetch may leave the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// What isn't in the cache is fetched.
    #[default]
    Allowed,
    /// What isn't in the cache is a failure.
    Offline,
}

/// How many times copying is tried, the first included.
pub type Attempts = NonZeroU32;

/// The rules of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Attempts at copying, the first included.
    pub attempts: Attempts,
    /// How skopeo is asked.
    pub method: Method,
    /// Whether skopeo is asked at all.
    pub network: Network,
}

/// A request and the rules by which it is fetched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// What is fetched.
    pub request: Request,
    /// How.
    pub plan: Plan,
}
