//! `--transport` and `--storage-location`: where images are, unless their reference says.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use skopeo_index_core::request::{Location, Reference, StorageLocation, TlsVerify, Transport};

use super::exclusive::ExclusiveOptions;
use super::options::REGISTRY_HEADING;

/// Transport and storage of references without their own.
#[derive(Clone, Debug)]
pub(super) struct LocationDefaults {
    transport: Option<Transport>,
    storage: Option<StorageLocation>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = REGISTRY_HEADING)]
pub(super) struct LocationOptions {
    /// Transport of references without one [default: docker]
    #[arg(
        long, env = "SKOPEO_INDEX_TRANSPORT",
        value_parser = PossibleValuesParser::new(Transport::ALL.map(Transport::as_str))
            .try_map(|name| name.parse::<Transport>())
    )]
    transport: Option<Transport>,
    /// Root of the local container storage, or GRAPHROOT+RUNROOT, for containers-storage
    #[arg(long, value_name = "DIR", env = "SKOPEO_INDEX_STORAGE_LOCATION")]
    storage_location: Option<StorageLocation>,
}

impl ExclusiveOptions for LocationDefaults {
    type Options = LocationOptions;

    fn select(
        options: LocationOptions,
        on_command_line: &dyn Fn(&str) -> bool,
    ) -> Result<Self, &'static str> {
        let (mut transport, storage) = (options.transport, options.storage_location);
        if transport == Some(Transport::Docker)
            && storage.is_some()
            && on_command_line("storage_location")
        {
            if on_command_line("transport") {
                return Err("--storage-location requires --transport containers-storage");
            }
            // The option implies its transport, whatever the variable says.
            transport = None;
        }
        Ok(Self { transport, storage })
    }
}

impl LocationDefaults {
    /// The location of a reference's image. A storage location alone implies the transport
    /// containers-storage.
    pub(super) fn location(&self, reference: &Reference, tls_verify: TlsVerify) -> Location {
        let location = reference.location().or(self.storage.as_ref()).cloned();
        let implied = location.as_ref().map(|_| Transport::ContainersStorage);
        let transport = reference.transport().or(self.transport).or(implied);
        match transport.unwrap_or_default() {
            Transport::Docker => Location::Docker { tls_verify },
            Transport::ContainersStorage => Location::ContainersStorage { location },
        }
    }
}
