//! Which program fetches manifest bytes, and why.

use std::fmt;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::Serialize;
use skopeo_index_core::machine::Attempts;

use super::ByteSource;
use crate::registry::ManifestClient;
use crate::skopeo::Skopeo;

/// Which engines a run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineChoice {
    /// The registry client where it does what skopeo would, else skopeo.
    Auto,
    /// One engine, whatever happens.
    Only(Engine),
}

impl ValueEnum for EngineChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Auto,
            Self::Only(Engine::Registry),
            Self::Only(Engine::Skopeo),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Auto => "auto",
            Self::Only(engine) => engine.as_str(),
        }))
    }
}

impl EngineChoice {
    /// The source of a run's bytes.
    #[must_use]
    pub const fn source<'a>(
        self,
        registry: &'a dyn ManifestClient,
        skopeo: Skopeo<'a>,
        attempts: Attempts,
    ) -> ByteSource<'a> {
        match self {
            Self::Auto => ByteSource::Auto {
                registry,
                skopeo,
                attempts,
            },
            Self::Only(Engine::Registry) => ByteSource::Registry(registry),
            Self::Only(Engine::Skopeo) => ByteSource::Skopeo(skopeo),
        }
    }
}

/// What fetches manifest bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The registry client of this program.
    Registry,
    /// skopeo.
    Skopeo,
}

/// The engine of a fetch, and why it is that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EngineUse {
    /// The engine.
    #[serde(rename = "name")]
    pub engine: Engine,
    /// Why the registry client was not used, or not alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Engine {
    /// Its name, as in `--engine`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Skopeo => "skopeo",
        }
    }
}

impl EngineUse {
    /// An engine that needs no reason.
    #[must_use]
    pub const fn chosen(engine: Engine) -> Self {
        Self {
            engine,
            reason: None,
        }
    }
}

impl fmt::Display for EngineUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.engine.as_str())?;
        match &self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}
