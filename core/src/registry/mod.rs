//! The registry protocol and the host's registry configuration, parsed: what a client
//! sends, what answers mean, and where skopeo would do something else.

mod auth_file;
mod challenge;
mod registries_conf;
mod repository;
mod retry_after;
mod token;
mod url;

pub use auth_file::{AuthFile, AuthFileError, AuthFileFormat, Credentials, Delegation, Entry};
pub use challenge::{BearerChallenge, Challenge, ChallengeError, MAX_CHALLENGE_LEN};
pub use registries_conf::{RegistriesConf, RegistriesConfError};
pub use repository::{ACCEPT, Repository};
pub use retry_after::{MAX_RETRY_AFTER, retry_after};
pub use token::{MAX_TOKEN_DOCUMENT, MAX_TOKEN_LEN, Token, TokenError};
pub use url::{MAX_URL_LEN, Scheme, Url, UrlError};
