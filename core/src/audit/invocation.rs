//! Who started a run, where, and what for.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::escape::quote;

/// Maximum number of labels of a run.
pub const MAX_LABELS: usize = 32;

/// Maximum length of a label's key.
pub const MAX_LABEL_KEY_LEN: usize = 63;

/// Maximum length of a label's value.
pub const MAX_LABEL_VALUE_LEN: usize = 255;

/// Maximum length of a host name (uname(2)).
const MAX_HOST_LEN: usize = 64;

/// Maximum length of a user name: useradd(8) allows 32, directory services more.
const MAX_USER_LEN: usize = 255;

/// The uid that Linux keeps for "none".
const NO_UID: u32 = u32::MAX;

/// The largest pid of Linux (proc(5), `pid_max`).
const MAX_PID: u32 = 1 << 22;

/// Who started a run, where, and what for. Apart from labels, all of it is the kernel's or
/// the machine's word, and nothing is a variable of the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Invocation {
    /// The host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The operator's labels.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The uid that logged in, which su(1) and sudo(8) do not change (`loginuid`); `None`
    /// outside a login session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// Hash of the machine's id (machine-id(5)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Digest>,
    /// The process.
    pub pid: u32,
    /// Its real user id.
    pub uid: u32,
    /// The user's name in the machine's list of users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// Labels of a run, by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

/// A label, `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    key: String,
    value: String,
}

/// Why a text is not a label, or labels not those of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// There is no `=`.
    #[error("expected KEY=VALUE; a comma begins the next label")]
    Form,
    /// The key has other characters, or too many.
    #[error(
        "a label's key has 1 to {MAX_LABEL_KEY_LEN} letters, digits, \".\", \"_\", \"-\" and \
         \"/\", the first a letter or digit"
    )]
    Key,
    /// The value has other characters, or too many.
    #[error(
        "a label's value has at most {MAX_LABEL_VALUE_LEN} printable ASCII characters, and no \
         comma"
    )]
    Value,
    /// Two labels have this key.
    #[error("the label {} is given twice", quote(.0))]
    Duplicate(String),
    /// There are more than [`MAX_LABELS`].
    #[error("at most {MAX_LABELS} labels are possible")]
    TooMany,
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let (key, value) = text.split_once('=').ok_or(LabelError::Form)?;
        check_label(key, value)?;
        Ok(Self {
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl Labels {
    /// Labels with distinct keys.
    ///
    /// # Errors
    /// Where two have one key, or there are too many.
    pub fn new(labels: impl IntoIterator<Item = Label>) -> Result<Self, LabelError> {
        let mut all = BTreeMap::new();
        for Label { key, value } in labels {
            if all.contains_key(&key) {
                return Err(LabelError::Duplicate(key));
            }
            if all.len() == MAX_LABELS {
                return Err(LabelError::TooMany);
            }
            all.insert(key, value);
        }
        Ok(Self(all))
    }

    /// Whether the run has no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.0.iter();
        labels.map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl Invocation {
    /// Checks what every run keeps to, which a record need not.
    ///
    /// # Errors
    /// What is wrong, as a predicate.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let labels = &self.labels.0;
        if !self.host.as_deref().is_none_or(is_host_name) {
            Err("has an impossible host name")
        } else if !self.user.as_deref().is_none_or(is_user_name) {
            Err("has an impossible user name")
        } else if self.uid == NO_UID || self.login_uid == Some(NO_UID) {
            Err("has an impossible user id")
        } else if !(1..=MAX_PID).contains(&self.pid) {
            Err("has an impossible process id")
        } else if labels.len() > MAX_LABELS {
            Err("has too many labels")
        } else if labels
            .iter()
            .any(|(key, value)| check_label(key, value).is_err())
        {
            Err("has an invalid label")
        } else {
            Ok(())
        }
    }
}

/// Whether a text is recorded as a host name.
#[must_use]
pub fn is_host_name(text: &str) -> bool {
    is_printable(text, MAX_HOST_LEN) && !text.is_empty()
}

/// Whether a text is recorded as a user's name.
#[must_use]
pub fn is_user_name(text: &str) -> bool {
    is_printable(text, MAX_USER_LEN) && !text.is_empty()
}

fn check_label(key: &str, value: &str) -> Result<(), LabelError> {
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    if !key.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !key.bytes().all(is_key)
        || key.len() > MAX_LABEL_KEY_LEN
    {
        return Err(LabelError::Key);
    }
    if !is_printable(value, MAX_LABEL_VALUE_LEN) || value.contains(',') {
        return Err(LabelError::Value);
    }
    Ok(())
}

fn is_printable(text: &str, max: usize) -> bool {
    text.len() <= max && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
