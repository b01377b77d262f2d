//! Arguments never change their meaning by what a name or a location holds.

use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use skopeo_index::digest::Digest;
use skopeo_index::request::{ImageName, Request, Source, StorageLocation, TlsVerify};
use skopeo_index::skopeo::{Command, Debug, Options};

/// Anything that the parsers let through.
fn request() -> impl Strategy<Value = Request> {
    let name = "[-a-zA-Z0-9._/:@]{1,30}|[a-z]{1,5}(\\.[a-z]{1,3})?/[a-z]{1,5}(:[A-Z0-9.-]{1,5})?";
    let name = name.prop_filter_map("a name", |text| text.parse::<ImageName>().ok());
    let location = "/[-a-z@=%$ ./]{1,20}";
    let location =
        location.prop_filter_map("a location", |text| text.parse::<StorageLocation>().ok());
    let tls = prop_oneof![
        Just(TlsVerify::AsConfigured),
        Just(TlsVerify::Require),
        Just(TlsVerify::Skip)
    ];
    let source = prop_oneof![
        tls.prop_map(|tls_verify| Source::Docker { tls_verify }),
        prop::option::of(location).prop_map(|location| Source::ContainersStorage { location }),
    ];
    (name, source, any::<[u8; 32]>())
        .prop_map(|(name, source, digest)| Request::new(name, source, Digest::from_bytes(digest)))
}

fn options() -> impl Strategy<Value = Options> {
    let path = || prop::option::of("[-a-z= /]{1,12}".prop_map(PathBuf::from));
    (path(), path(), any::<bool>()).prop_map(|(authfile, cert_dir, debug)| Options {
        authfile,
        cert_dir,
        debug: if debug { Debug::On } else { Debug::Off },
    })
}

/// How skopeo reads arguments: options have a value behind `=` or none.
fn positional(argv: &[String]) -> Vec<&str> {
    argv.iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with("--"))
        .collect()
}

proptest! {
    #![proptest_config(crate::regressions("proptest-regressions/argv.txt"))]

    #[test]
    fn a_source_is_one_argument_whatever_it_holds(request in request(), options in options()) {
        let to = PathBuf::from("/cache/.skopeo-index/staging-x/0.attempt-1");
        let source = request.skopeo_source();
        let commands: [(Command<'_>, Vec<String>); 2] = [
            (Command::InspectRaw(&request), vec!["inspect".into(), source.clone()]),
            (
                Command::CopyIndex { request: &request, to: &to },
                vec!["copy".into(), source.clone(), format!("dir:{}", to.display())],
            ),
        ];
        for (command, expected) in commands {
            let argv = command.argv(&options, Duration::from_secs(120));
            let argv: Vec<String> = argv.into_iter().map(|a| a.into_string().expect("UTF-8")).collect();
            prop_assert_eq!(positional(&argv), expected);
            let flags: Vec<&str> = argv.iter().filter(|a| a.starts_with("--")).map(|a| a.split('=').next().unwrap_or("")).collect();
            let known = [
                "--debug", "--command-timeout", "--raw", "--multi-arch", "--authfile", "--cert-dir", "--tls-verify",
                "--src-authfile", "--src-cert-dir", "--src-tls-verify",
            ];
            prop_assert!(flags.iter().all(|flag| known.contains(flag)), "{:?}", flags);
        }
    }

    #[test]
    fn a_source_reads_back_as_what_was_asked_for(request in request()) {
        let source = request.skopeo_source();
        let digest = format!("@{}", request.digest());
        let image = source.strip_suffix(&digest).expect("the digest at the end");
        match request.source() {
            Source::Docker { .. } => {
                prop_assert_eq!(image.strip_prefix("docker://"), Some(request.name().without_tag()));
            }
            Source::ContainersStorage { location } => {
                let rest = image.strip_prefix("containers-storage:").expect("the transport");
                match location {
                    None => prop_assert_eq!(rest, request.name().as_str()),
                    Some(location) => {
                        // skopeo's bracket ends at the first `]`.
                        let (inside, name) = rest.split_once(']').expect("a bracket");
                        prop_assert_eq!(inside.strip_prefix("[overlay@"), Some(location.as_str()));
                        prop_assert_eq!(name, request.name().as_str());
                    }
                }
            }
        }
    }
}

#[test]
fn global_options_stand_before_the_subcommand() {
    let options = Options {
        debug: Debug::On,
        ..Options::default()
    };
    let file = PathBuf::from("/x");
    let argv = Command::ManifestDigest { file: &file }.argv(&options, Duration::from_secs(120));
    assert_eq!(
        argv,
        ["--debug", "--command-timeout=125s", "manifest-digest", "/x"]
    );
}
