//! What to do about a failure, where that is known.

use std::path::PathBuf;

use skopeo_index_core::machine::{Cause, EffectError, FailureKind};
use skopeo_index_core::skopeo::SkopeoOptions;

/// What to do about a failed fetch.
pub(super) fn of(cause: &Cause, options: &SkopeoOptions) -> Option<String> {
    match cause {
        Cause::EffectFailed { trouble } | Cause::RetriesExhausted { trouble, .. } => of_trouble(trouble, options),
        Cause::DigestMismatch { .. } => Some(
            "the registry, or something on the way to it, sends other bytes than asked for; \
             nothing was kept"
                .to_owned(),
        ),
        Cause::Offline { .. } => Some("fetch it once without --offline".to_owned()),
        _ => None,
    }
}

/// What to do about trouble.
pub(super) fn of_trouble(trouble: &EffectError, options: &SkopeoOptions) -> Option<String> {
    let EffectError::Command { class, message } = trouble else {
        return None;
    };
    match class {
        // Not where it can't be started: no permission, no descriptors.
        FailureKind::NoSkopeo if message.ends_with(" is not there") => Some(
            "install it by `apt-get install skopeo` or `dnf install skopeo`, or say where it is by \
             --skopeo PATH"
                .to_owned(),
        ),
        FailureKind::Authentication => Some(format!(
            "log in by `skopeo login REGISTRY`, or give --authfile FILE; looked for {}",
            auth_files(options).join(", ")
        )),
        FailureKind::Tls if message.contains("server gave HTTP response to HTTPS client") => {
            Some("the registry speaks plain HTTP: --tls-verify=false allows that".to_owned())
        }
        FailureKind::Tls => Some(
            "give the certificate authority of the registry by --cert-dir DIR (with a *.crt file)"
                .to_owned(),
        ),
        FailureKind::NotFound => Some("are name and digest right, and may you read that name?".to_owned()),
        FailureKind::RateLimited => Some("log in by `skopeo login REGISTRY`, or try again later".to_owned()),
        FailureKind::TooLarge => Some("an index has at most 4 MiB: is it the digest of one image?".to_owned()),
        _ => None,
    }
}

/// Where skopeo looks for credentials (containers-auth.json(5)), and whether
/// there is a file.
fn auth_files(options: &SkopeoOptions) -> Vec<String> {
    let var = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let one = options
        .authfile
        .clone()
        .or_else(|| var("REGISTRY_AUTH_FILE"));
    let files = match one {
        Some(file) => vec![file],
        None => {
            let home = var("HOME").unwrap_or_else(|| PathBuf::from("/root"));
            let config = var("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
            let runtime = var("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json"));
            let docker = var("DOCKER_CONFIG").unwrap_or_else(|| home.join(".docker"));
            let uid = rustix::process::getuid().as_raw();
            vec![
                runtime.unwrap_or_else(|| format!("/run/containers/{uid}/auth.json").into()),
                config.join("containers/auth.json"),
                docker.join("config.json"),
                home.join(".dockercfg"),
            ]
        }
    };
    let shown = |file: PathBuf| {
        let there = if file.exists() { "" } else { " (not there)" };
        format!("{}{there}", file.display())
    };
    files.into_iter().map(shown).collect()
}
