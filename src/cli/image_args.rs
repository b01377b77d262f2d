//! Options of commands that access images.

use skopeo_index::fetch::RetryPolicy;
use skopeo_index::os::CancelToken;
use skopeo_index_core::request::{ImageName, Location, Reference};

use super::credentials::{CredentialArgs, Login};
use super::exclusive::Exclusive;
use super::location::LocationDefaults;
use super::options::SkopeoArgs;
use super::output::CliError;

/// Where images are, and how they are accessed.
#[derive(clap::Args)]
pub(super) struct ImageArgs {
    #[command(flatten)]
    locations: Exclusive<LocationDefaults>,
    // Before `skopeo`, which takes the options that these can't be combined with.
    #[command(flatten)]
    pub(super) credentials: Exclusive<CredentialArgs>,
    #[command(flatten)]
    pub(super) skopeo: SkopeoArgs,
}

impl ImageArgs {
    /// Where the image of a reference is.
    pub(super) fn location(&self, reference: &Reference) -> Location {
        let tls_verify = self.skopeo.tls_verify();
        self.locations.0.location(reference, tls_verify)
    }

    /// Parses a reference, unless it is the value of the option before it.
    pub(super) fn parse(&self, text: &str) -> Result<Reference, String> {
        if matches!(text, "true" | "false") {
            return Err(format!(
                "not an image; write --tls-verify={text}, with \"=\""
            ));
        }
        text.parse().map_err(|error| format!("{error}"))
    }

    /// The options of skopeo for these images, with the credentials of the command line.
    pub(super) fn log_in<'a>(
        &self,
        images: impl IntoIterator<Item = (&'a Location, &'a ImageName)>,
        cancel: &CancelToken,
    ) -> Result<Login, CliError> {
        self.credentials.0.log_in(&self.skopeo, images, cancel)
    }

    /// The retries of a fetch that stores nothing.
    pub(super) const fn retry(&self) -> RetryPolicy {
        RetryPolicy {
            attempts: self.skopeo.attempts(),
            delay: self.skopeo.retry_delay,
        }
    }
}
