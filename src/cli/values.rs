//! Values of options, parsed.

use std::num::NonZeroUsize;
use std::time::Duration;

use skopeo_index_core::audit::LogId;
use skopeo_index_core::request::TlsVerify;
use skopeo_index_core::skopeo::MAX_COMMAND_TIMEOUT;

/// Maximum number of concurrent fetches: the limit of open files may allow fewer.
const MAX_JOBS: usize = 1000;

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "y" | "yes" | "t" | "true" | "on" => Ok(true),
        "0" | "n" | "no" | "f" | "false" | "off" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

pub(super) fn tls_verify(text: &str) -> Result<TlsVerify, String> {
    Ok(match boolean(text)? {
        true => TlsVerify::Always,
        false => TlsVerify::Never,
    })
}

pub(super) fn origin(text: &str) -> Result<LogId, String> {
    match LogId::try_from(text.to_owned()).map_err(|error| error.to_string())? {
        random if random.is_random() => {
            Err("is a random id, which a log gets without an origin: expected one like example.com/builds".to_owned())
        }
        origin if origin.is_first() => Ok(origin),
        _ => Err("names a rotated log: give the origin of the first log of its chain".to_owned()),
    }
}

pub(super) fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(jobs) if jobs.get() <= MAX_JOBS => Ok(jobs),
        _ => Err(format!("must be between 1 and {MAX_JOBS}")),
    }
}

pub(super) fn delay(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text).map_err(|error| error.to_string())? {
        time if time <= MAX_COMMAND_TIMEOUT => Ok(time),
        _ => Err("must be at most 1 day".into()),
    }
}

pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    positive_duration(text).and_then(|_| delay(text))
}

pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() {
        Err("must be greater than zero".into())
    } else {
        Ok(time)
    }
}
