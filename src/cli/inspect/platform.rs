//! `inspect --platform`: one manifest of an index.

use std::str::FromStr;

use skopeo_index_core::index::{Descriptor, Index, Platform};

use super::platform;
use crate::cli::exit::ExitStatus;
use crate::cli::output::CliError;
use crate::cli::table::cell;

/// The variant that a platform without one has, as containerd reads it.
const DEFAULT_VARIANTS: [(&str, &str); 3] = [("amd64", "v1"), ("arm", "v7"), ("arm64", "v8")];

/// Limit of the manifests that an error lists.
const MAX_LISTED: usize = 32;

/// `OS/ARCH[/VARIANT]`.
#[derive(Clone, Debug)]
pub(super) struct PlatformSelector {
    text: String,
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl FromStr for PlatformSelector {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<_> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => ("", "", None),
        };
        if parts.contains(&"") || os.is_empty() {
            return Err("expected OS/ARCH[/VARIANT], such as linux/arm64");
        }
        Ok(Self {
            text: text.to_owned(),
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant,
        })
    }
}

impl PlatformSelector {
    /// The one manifest of this platform. Without a variant, that of the default variant,
    /// or else of any.
    pub(super) fn select<'i>(&self, index: &'i Index) -> Result<&'i Descriptor, CliError> {
        let text = &self.text;
        let all = index.manifests().iter();
        let any_variant: Vec<_> = all
            .filter(|manifest| {
                let found = manifest.platform();
                found.and_then(Platform::os) == Some(&self.os)
                    && found.and_then(Platform::architecture) == Some(&self.architecture)
            })
            .collect();
        let mut found = any_variant.clone();
        found.retain(|manifest| {
            let variant = manifest.platform().and_then(Platform::variant);
            self.variant_of(variant) == self.variant_of(self.variant.as_deref())
        });
        if found.is_empty() && self.variant.is_none() {
            found = any_variant;
        }
        match found[..] {
            [first, ref more @ ..] if more.iter().all(|m| m.digest() == first.digest()) => {
                Ok(first)
            }
            [] => {
                let platforms = match index.summary().platforms.join(", ") {
                    none if none.is_empty() => "the index names no platform".to_owned(),
                    platforms => format!("there are {platforms}"),
                };
                let message = format!("no manifest for {text}; {platforms}");
                Err(CliError::new(ExitStatus::NotFound, message))
            }
            _ => {
                let listed = found.iter().take(MAX_LISTED).map(|manifest| {
                    let shown = manifest.platform().map(platform).unwrap_or_default();
                    format!("\n  {shown}  {}", cell(manifest.digest()))
                });
                let listed: String = listed.collect();
                let message = format!("{} manifests for {text}:{listed}", found.len());
                Err(CliError::usage(message))
            }
        }
    }

    fn variant_of<'v>(&self, variant: Option<&'v str>) -> Option<&'v str> {
        let mut defaults = DEFAULT_VARIANTS.into_iter();
        let default = defaults.find(|(architecture, _)| *architecture == self.architecture);
        variant.or(default.map(|(_, variant)| variant))
    }
}
