//! Hints: what to do about a failure, decided by its kind.

use std::path::PathBuf;

use skopeo_index_core::escape::EscapedPath;
use skopeo_index_core::machine::{Cause, EffectError, FailureKind};
use skopeo_index_core::skopeo::SkopeoOptions;

/// What to do about a failed fetch.
pub(super) fn of_cause(cause: &Cause, options: &SkopeoOptions) -> Option<String> {
    match cause {
        Cause::EffectFailed { error } | Cause::RetriesExhausted { error, .. } => {
            of_error(error, options)
        }
        Cause::DigestMismatch { .. } => Some(
            "the registry (or a proxy) returned different content; nothing was stored".to_owned(),
        ),
        Cause::Offline { .. } => Some("fetch it once without --offline".to_owned()),
        _ => None,
    }
}

/// What to do about a failed effect.
pub(super) fn of_error(error: &EffectError, options: &SkopeoOptions) -> Option<String> {
    let EffectError::Command { kind, .. } = error else {
        return None;
    };
    let hint = match kind {
        FailureKind::SkopeoNotFound => {
            "install it with `apt-get install skopeo` or `dnf install skopeo`, or set its path \
             with --skopeo"
        }
        FailureKind::Authentication => {
            return Some(format!(
                "log in with `skopeo login REGISTRY`, or pass --authfile FILE; credentials were \
                 looked for in {}",
                auth_files(options).join(", ")
            ));
        }
        FailureKind::PlainHttp => "the registry speaks plain HTTP; --tls-verify=false allows that",
        FailureKind::Tls => {
            "pass the registry's certificate authority with --cert-dir DIR (a *.crt file in it)"
        }
        FailureKind::NotFound => {
            "check the image name and digest, and that your account can pull it"
        }
        FailureKind::RateLimited => "log in with `skopeo login REGISTRY`, or retry later",
        FailureKind::TooLarge => {
            "indexes are limited to 4 MiB; the digest may be that of a single image"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Where skopeo looks for credentials (containers-auth.json(5)), and which files exist.
fn auth_files(options: &SkopeoOptions) -> Vec<String> {
    let var = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let explicit = options
        .authfile
        .clone()
        .or_else(|| var("REGISTRY_AUTH_FILE"));
    let files = match explicit {
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
    let describe = |file: PathBuf| {
        let missing = if file.exists() { "" } else { " (missing)" };
        format!("{}{missing}", EscapedPath(&file))
    };
    files.into_iter().map(describe).collect()
}
