//! Names below a cache that records may hold.

use std::path::Path;

use super::contradiction::Contradiction;
use crate::digest::{Digest, is_hex};

/// The program's directory in a cache.
const PRIVATE: &str = ".skopeo-index";

/// What follows the number of a verifier's directory: the copy of the bytes in it.
const VERIFIER_FILE: &str = ".verifier/index.json";

/// Hexadecimal digits of a staging directory's name: 3 random bytes.
const STAGING_DIGITS: usize = 6;

/// The path of the copy that a verifier was given, in text that contains it:
/// `CACHE/.skopeo-index/staging-HEX/N.verifier/index.json`.
pub(super) fn find_verifier_file<'t>(text: &'t str, cache: &str) -> Option<&'t str> {
    let dir = Path::new(cache).join(PRIVATE).display().to_string();
    let path = &text[text.find(&format!("{dir}/staging-"))?..];
    let number_end = path.find(VERIFIER_FILE)?;
    parse_staging(&path[dir.len() - PRIVATE.len()..number_end])?;
    Some(&path[..number_end + VERIFIER_FILE.len()])
}

/// The directory and the number in a staging name, `.skopeo-index/staging-HEX/N`.
pub(super) fn parse_staging(name: &str) -> Option<(&str, u64)> {
    let (dir, number) = name.rsplit_once('/')?;
    let digits = dir.strip_prefix(PRIVATE)?.strip_prefix("/staging-")?;
    let number = parse_number(number)?;
    is_hex(digits, STAGING_DIGITS).then_some((dir, number))
}

/// The longest path of a copy that a verifier is given.
pub(super) fn longest_verifier_file(cache: &str) -> String {
    let digits = "0".repeat(STAGING_DIGITS);
    let name = format!("staging-{digits}/{}{VERIFIER_FILE}", u64::MAX);
    let path = Path::new(cache).join(PRIVATE).join(name);
    path.display().to_string()
}

/// Checks the name of a quarantined object, `.skopeo-index/quarantine/DIGEST.N`.
pub(super) fn check_quarantine(name: &str, digest: Digest) -> Result<(), Contradiction> {
    let parse = || {
        let name = name.strip_prefix(PRIVATE)?.strip_prefix("/quarantine/")?;
        let number = name.strip_prefix(&digest.to_string())?.strip_prefix('.')?;
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
