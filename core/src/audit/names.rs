//! Names below a cache that records may hold.

use std::path::Path;

use super::contradiction::Contradiction;
use crate::digest::{Digest, is_hex};
use crate::layout::{
    PRIVATE_DIR, QUARANTINE_DIR, STAGING_PREFIX, STAGING_RANDOM, VERIFIER_COPY, VERIFIER_SUFFIX,
    staging, verifier_dir,
};

/// The path of the copy that a verifier was given, in text that contains it:
/// `CACHE/.skopeo-index/staging-HEX/N.verifier/index.json`.
pub(super) fn find_verifier_file<'t>(text: &'t str, cache: &str) -> Option<&'t str> {
    let dir = Path::new(cache).join(PRIVATE_DIR).display().to_string();
    let path = &text[text.find(&format!("{dir}/{STAGING_PREFIX}"))?..];
    let file = format!("{VERIFIER_SUFFIX}/{VERIFIER_COPY}");
    let number_end = path.find(&file)?;
    parse_staging(&path[dir.len() - PRIVATE_DIR.len()..number_end])?;
    Some(&path[..number_end + file.len()])
}

/// The directory and the number in a staging name, `.skopeo-index/staging-HEX/N`.
pub(super) fn parse_staging(name: &str) -> Option<(&str, u64)> {
    let (dir, number) = name.rsplit_once('/')?;
    let own = dir.strip_prefix(PRIVATE_DIR)?.strip_prefix('/')?;
    let random = own.strip_prefix(STAGING_PREFIX)?;
    let number = parse_number(number)?;
    is_hex(random, 2 * STAGING_RANDOM).then_some((dir, number))
}

/// The longest path of a copy that a verifier is given.
pub(super) fn longest_verifier_file(cache: &str) -> String {
    let dir = format!("{STAGING_PREFIX}{}", "0".repeat(2 * STAGING_RANDOM));
    let name = format!("{}/{VERIFIER_COPY}", verifier_dir(&staging(&dir, u64::MAX)));
    Path::new(cache).join(name).display().to_string()
}

/// Checks the name of a quarantined object, `.skopeo-index/quarantine/DIGEST.N`.
pub(super) fn check_quarantine(name: &str, digest: Digest) -> Result<(), Contradiction> {
    let parse = || {
        let start = format!("{PRIVATE_DIR}/{QUARANTINE_DIR}/{digest}.");
        let number = name.strip_prefix(&start)?;
        parse_number::<u32>(number).filter(|number| *number > 0)
    };
    let invalid = || Contradiction::QuarantineName(name.to_owned());
    parse().map(drop).ok_or_else(invalid)
}

/// A number in the form that it is written in: without sign and leading zeros.
pub(super) fn parse_number<N: std::str::FromStr + ToString>(text: &str) -> Option<N> {
    let number = text.parse::<N>().ok()?;
    (number.to_string() == text).then_some(number)
}
