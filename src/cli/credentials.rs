//! `--creds` and `--password-stdin`.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use skopeo_index::os::{CancelToken, prompt_secret, read_all};
use skopeo_index::skopeo::PrivateAuthFile;
use skopeo_index_core::escape::quote;
use skopeo_index_core::registry::{Credentials, Repository};
use skopeo_index_core::request::{ImageName, Location};
use skopeo_index_core::skopeo::SkopeoOptions;

use super::exclusive::ExclusiveOptions;
use super::options::{REGISTRY_HEADING, SkopeoArgs};
use super::output::CliError;

/// Limit of a password in bytes: a service account's key has some 2,400.
const MAX_PASSWORD: usize = 64 << 10;

// No variable: skopeo would inherit it. No `Debug`: it would show a password.
#[derive(clap::Args)]
#[command(next_help_heading = REGISTRY_HEADING)]
pub(super) struct CredentialOptions {
    /// User for the registry of the images; a password that is not given is asked for
    #[arg(long, value_name = "USER[:PASSWORD]")]
    creds: Option<String>,
    /// Read the password of --creds USER from stdin
    #[arg(long, requires = "creds")]
    password_stdin: bool,
}

pub(super) struct CredentialArgs {
    user: Option<(String, Password)>,
}

enum Password {
    Given(String),
    Stdin,
    Prompt,
}

impl ExclusiveOptions for CredentialArgs {
    type Options = CredentialOptions;

    fn select(
        options: CredentialOptions,
        on_command_line: &dyn Fn(&str) -> bool,
    ) -> Result<Self, &'static str> {
        let Some(creds) = options.creds else {
            return Ok(Self { user: None });
        };
        if on_command_line("authfile") {
            return Err("--creds and --authfile can't be combined");
        }
        if creds.is_empty() || creds.starts_with(':') {
            return Err("--creds needs a user: USER[:PASSWORD]");
        }
        let (user, password) = match (creds.split_once(':'), options.password_stdin) {
            (Some(_), true) => return Err("--password-stdin needs --creds without a password"),
            (Some((user, password)), false) => (user, Password::Given(password.to_owned())),
            (None, true) => (creds.as_str(), Password::Stdin),
            (None, false) => (creds.as_str(), Password::Prompt),
        };
        let user = Some((user.to_owned(), password));
        Ok(Self { user })
    }
}

/// Options of skopeo, and the credentials file that they name.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) options: SkopeoOptions,
    _credentials: Option<PrivateAuthFile>,
}

impl CredentialArgs {
    /// Fails if both the password and something else are on stdin.
    pub(super) fn reject_stdin(&self, input: Option<&Path>) -> Result<(), CliError> {
        match (&self.user, input) {
            (Some((_, Password::Stdin)), Some(input)) if input == Path::new("-") => Err(
                CliError::usage("--password-stdin and \"-\" can't both read stdin"),
            ),
            _ => Ok(()),
        }
    }

    /// Takes any password for one that would be asked for, where it is not used.
    pub(super) fn skip_prompt(&mut self) {
        if let Some((_, password @ Password::Prompt)) = &mut self.user {
            *password = Password::Given("-".to_owned());
        }
    }

    /// The options of skopeo for these images. Credentials are for one registry, and no
    /// other gets them.
    pub(super) fn log_in<'a>(
        &self,
        skopeo: &SkopeoArgs,
        images: impl IntoIterator<Item = (&'a Location, &'a ImageName)>,
        cancel: &CancelToken,
    ) -> Result<Login, CliError> {
        let mut login = Login {
            options: skopeo.options()?,
            _credentials: None,
        };
        let Some((user, password)) = &self.user else {
            return Ok(login);
        };
        let in_registry =
            |(location, _): &(&Location, _)| matches!(location, Location::Docker { .. });
        let images = images.into_iter().filter(in_registry);
        let domain = |(_, name)| Repository::of(name).domain().to_owned();
        let domains = BTreeSet::from_iter(images.map(domain));
        let mut domains = domains.iter();
        let domain = match (domains.next(), domains.next()) {
            (Some(domain), Some(other)) => {
                return Err(CliError::usage(format!(
                    "--creds is for one registry, but the images are in {domain} and {other}: \
                     pass --authfile FILE"
                )));
            }
            (Some(domain), None) => domain,
            (None, _) => return Ok(login),
        };
        let password = read_password(user, password, domain, cancel)?;
        let invalid = || CliError::usage("--creds: user or password is empty or has a NUL");
        let credentials = Credentials::new(user, &password).ok_or_else(invalid)?;
        let file = PrivateAuthFile::new(&credentials.auth_file(domain)).map_err(|error| {
            CliError::other(format!("cannot create the credentials file: {error}"))
        })?;
        login.options.authfile = Some(file.path());
        login._credentials = Some(file);
        Ok(login)
    }
}

fn read_password(
    user: &str,
    password: &Password,
    domain: &str,
    cancel: &CancelToken,
) -> Result<String, CliError> {
    let (from, hint, read) = match password {
        Password::Given(password) => return Ok(password.clone()),
        Password::Stdin => ("stdin", None, read_stdin(cancel)),
        Password::Prompt => {
            let prompt = format!("Password of {} at {domain}: ", quote(user));
            let hint = "pass it on stdin, with --password-stdin".to_owned();
            ("the terminal", Some(hint), prompt_secret(&prompt, cancel))
        }
    };
    read.map_err(|error| match cancel.cancelled() {
        Some(reason) => reason.into(),
        None => {
            CliError::usage(format!("cannot read the password from {from}: {error}")).hint(hint)
        }
    })
}

/// All of stdin, without the newline at its end.
fn read_stdin(cancel: &CancelToken) -> io::Result<String> {
    let bytes = read_all(io::stdin(), MAX_PASSWORD, Some(cancel))?;
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
