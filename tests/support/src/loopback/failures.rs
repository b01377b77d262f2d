//! Kinds of failures at a registry, for the command line and the osbuild source.

use super::{Behaviour, CONNECT, PING, Registry, TOKEN, samples};

/// A misbehaviour of a registry, and what both front ends make of it.
#[derive(Debug)]
pub struct Failure {
    at: At,
    behaviour: Behaviour,
    /// Exit status of the command line.
    pub status: i32,
    /// How the message begins, after the item.
    pub cause: &'static str,
    /// How the command line's hint begins.
    pub hint: Option<&'static str>,
}

/// Where a registry misbehaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Connect,
    Ping,
    Token,
    Manifest,
}

impl Failure {
    const fn new(at: At, behaviour: Behaviour, status: i32, cause: &'static str) -> Self {
        Self {
            at,
            behaviour,
            status,
            cause,
            hint: None,
        }
    }

    const fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// A registry that misbehaves like this, and the digest of an index that it has.
    #[must_use]
    pub fn registry(&self) -> (Registry, String) {
        let registry = Registry::start();
        let digest = registry.put(samples::empty());
        // A client may leave out the ping.
        let challenge = Behaviour::bearer(registry.address());
        let misbehaviour = &self.behaviour;
        let places = match self.at {
            At::Connect => vec![(CONNECT, misbehaviour)],
            At::Ping => vec![(PING, misbehaviour), (&digest, misbehaviour)],
            At::Token => vec![
                (PING, &challenge),
                (&digest, &challenge),
                (TOKEN, misbehaviour),
            ],
            At::Manifest => vec![(&*digest, misbehaviour)],
        };
        for (place, behaviour) in places {
            registry.behave(place, behaviour.clone());
        }
        (registry, digest)
    }

    /// Whether another attempt may succeed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.status == 14
    }

    /// Whether two runs get the same text. A closed connection is an EOF or a reset.
    #[must_use]
    pub const fn has_same_text_each_time(&self) -> bool {
        !matches!(self.behaviour, Behaviour::HangUp)
    }

    /// Whether the registry answers a request for the manifest.
    #[must_use]
    pub fn is_answer_to_manifest(&self) -> bool {
        self.at == At::Manifest && !self.is_transient()
    }
}

/// All kinds of failures at a registry.
#[must_use]
pub fn failures() -> Vec<Failure> {
    use At::{Connect, Manifest, Ping, Token};
    let row = Failure::new;
    let error = Behaviour::error;
    let missing = |code, message| error("404 Not Found", code, message);
    let html = |status| Behaviour::Status {
        status,
        headers: Vec::new(),
        body: "<html>".to_owned(),
    };
    let gone = "Tag x was deleted or has expired. To pull, revive via time machine";
    let not_there = "not found: reading manifest: ";
    let no_registry = "no registry answers there: ";
    vec![
        row(
            Manifest,
            missing("NOT_FOUND", "artifact library/x:latest not found"),
            13,
            not_there,
        ),
        row(Manifest, missing("TAG_EXPIRED", gone), 13, not_there),
        row(
            Manifest,
            missing("TAG_UNKNOWN", "tag unknown"),
            13,
            not_there,
        ),
        row(Manifest, missing("UNKNOWN", "Not Found"), 13, not_there),
        row(
            Manifest,
            missing("manifest_unknown", "manifest unknown"),
            13,
            not_there,
        ),
        row(Manifest, missing("NAME_UNKNOWN", "no"), 13, not_there)
            .with_hint("check the image name and digest"),
        row(Manifest, html("404 Not Found"), 13, not_there),
        row(
            Manifest,
            error("403 Forbidden", "FORBIDDEN", "forbidden"),
            12,
            "authentication failed: ",
        ),
        row(Manifest, html("200 OK"), 10, "digest mismatch: "),
        row(
            Manifest,
            error("400 Bad Request", "FOO", "EOF"),
            1,
            "skopeo failed: reading manifest: ",
        ),
        row(Manifest, Behaviour::HangUp, 14, "network error: ")
            .with_hint("check the registry's host and port"),
        row(
            Ping,
            missing("MANIFEST_UNKNOWN", "manifest unknown"),
            1,
            no_registry,
        ),
        row(Ping, html("404 Not Found"), 1, no_registry).with_hint("check host and port"),
        row(Ping, html("502 Bad Gateway"), 14, "registry error: "),
        row(Ping, Behaviour::HangUp, 14, "network error: "),
        row(Token, html("404 Not Found"), 1, no_registry),
        row(Token, html("200 OK"), 1, no_registry),
        row(Token, Behaviour::HangUp, 14, "network error: "),
        row(
            Token,
            html("503 Service Unavailable"),
            14,
            "registry error: ",
        ),
        row(Connect, Behaviour::HangUp, 14, "network error: "),
    ]
}
