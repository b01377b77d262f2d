//! Where images are, unless their reference says it.

use super::precedence::Exclusive_;
use skopeo_index_core::request::{Location, Reference, StorageLocation, TlsVerify, Transport};

/// What goes for a reference that doesn't say otherwise.
#[derive(Clone, Debug)]
pub(super) struct SourceDefaults {
    transport: Option<Transport>,
    location: Option<StorageLocation>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registry and skopeo")]
pub(super) struct ImageOptions {
    /// Where images are, unless their reference says it
    #[arg(long, env = "SKOPEO_INDEX_TRANSPORT")]
    transport: Option<Transport>,
    /// The container storage of the transport containers-storage
    #[arg(long, value_name = "DIR", env = "SKOPEO_INDEX_STORAGE_LOCATION")]
    storage_location: Option<StorageLocation>,
}

impl Exclusive_ for SourceDefaults {
    type Options = ImageOptions;

    fn of(options: ImageOptions, typed: &dyn Fn(&str) -> bool) -> Result<Self, &'static str> {
        let (mut transport, location) = (options.transport, options.storage_location);
        if transport == Some(Transport::Docker) && location.is_some() && typed("storage_location") {
            if typed("transport") {
                return Err("--storage-location goes with the transport containers-storage");
            }
            // The variable's transport, and the option implies another.
            transport = None;
        }
        Ok(Self {
            transport,
            location,
        })
    }
}

impl SourceDefaults {
    /// Where a reference's image is. The location is a storage's: it goes only
    /// where that is meant, or where nothing else is.
    pub(super) fn source(&self, reference: &Reference, tls_verify: TlsVerify) -> Location {
        let location = reference.location().or(self.location.as_ref()).cloned();
        let implied = location.as_ref().map(|_| Transport::ContainersStorage);
        let transport = reference.transport().or(self.transport).or(implied);
        match transport.unwrap_or_default() {
            Transport::Docker => Location::Docker { tls_verify },
            Transport::ContainersStorage => Location::ContainersStorage { location },
        }
    }
}
