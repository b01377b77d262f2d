//! Tests of `request`: names, references, locations and osbuild items.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

mod item;
mod location;
mod name;
mod reference;
mod storage_location;

#[path = "../support/mod.rs"]
mod support;

use std::fmt::Display;
use std::str::FromStr;

use skopeo_index_core::request::{Location, Request, TlsVerify, Transport};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Each text with the error of parsing it, one a line.
#[track_caller]
fn errors<T: FromStr<Err: Display>>(texts: &[&str]) -> String {
    let error = |text: &&str| match text.parse::<T>() {
        Ok(_) => panic!("{text} is accepted"),
        Err(error) => format!("{}: {error}", text.escape_debug()),
    };
    texts.iter().map(error).collect::<Vec<_>>().join("\n")
}

/// Every kind of location, with its transport and the start of skopeo's source argument.
fn locations() -> [(Location, Transport, &'static str); 7] {
    let docker = |tls_verify| Location::Docker { tls_verify };
    let location = |text: &str| Some(text.parse().expect("a location"));
    let storage = |location| Location::ContainersStorage { location };
    [
        (docker(TlsVerify::Unset), Transport::Docker, "docker://"),
        (docker(TlsVerify::ItemTrue), Transport::Docker, "docker://"),
        (docker(TlsVerify::Always), Transport::Docker, "docker://"),
        (docker(TlsVerify::Never), Transport::Docker, "docker://"),
        (
            storage(None),
            Transport::ContainersStorage,
            "containers-storage:",
        ),
        (
            storage(location("/x y")),
            Transport::ContainersStorage,
            "containers-storage:[overlay@/x y]",
        ),
        (
            storage(location("/x+/y")),
            Transport::ContainersStorage,
            "containers-storage:[overlay@/x+/y]",
        ),
    ]
}

/// A request for a tagged image.
fn tagged(location: Location) -> Request {
    let name = "quay.io/a:tag".parse().expect("a name");
    Request::new(name, location, DIGEST.parse().expect("a digest"))
}
