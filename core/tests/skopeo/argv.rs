//! Arguments, parsed as skopeo parses them: no name, location or path changes their
//! meaning.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::Method;
use skopeo_index_core::request::{ImageName, Location, Request, StorageLocation, TlsVerify};
use skopeo_index_core::skopeo::{
    ParsedArgv, SkopeoCommand, SkopeoDebug, SkopeoOptions, method_commands,
};

/// Arguments as skopeo parses them.
#[derive(Debug, Default, PartialEq)]
struct Parsed {
    subcommand: Vec<u8>,
    flags: BTreeMap<Vec<u8>, Vec<u8>>,
    positional: Vec<Vec<u8>>,
}

/// Like cobra: global flags, the subcommand, then its flags and arguments in any order;
/// `--` ends the flags. A duplicate flag fails.
fn parse(argv: &[OsString]) -> Parsed {
    let mut parsed = Parsed::default();
    let mut flags = true;
    for argument in argv.iter().map(|argument| argument.as_bytes()) {
        if flags && argument == b"--" {
            flags = false;
        } else if flags && argument.starts_with(b"-") {
            let equals = argument.iter().position(|b| *b == b'=');
            let (name, value) = argument.split_at(equals.unwrap_or(argument.len()));
            let again = parsed
                .flags
                .insert(name.to_vec(), value.get(1..).unwrap_or_default().to_vec());
            assert_eq!(again, None, "{argv:?}");
            let global = matches!(name, b"--debug" | b"--command-timeout");
            assert_eq!(global, parsed.subcommand.is_empty(), "{argv:?}");
        } else if parsed.subcommand.is_empty() {
            parsed.subcommand = argument.to_vec();
        } else {
            parsed.positional.push(argument.to_vec());
        }
    }
    parsed
}

/// Absolute paths, of any bytes but NUL.
fn path() -> impl Strategy<Value = PathBuf> {
    prop::collection::vec(1..=255_u8, 0..12)
        .prop_map(|bytes| Path::new("/").join(OsString::from_vec(bytes)))
}

fn options() -> impl Strategy<Value = SkopeoOptions> {
    let some = || prop::option::of(path());
    (some(), some(), any::<bool>()).prop_map(|(authfile, cert_dir, debug)| SkopeoOptions {
        authfile,
        cert_dir,
        debug: if debug {
            SkopeoDebug::On
        } else {
            SkopeoDebug::Off
        },
        authorization: None,
    })
}

fn tls_verify() -> impl Strategy<Value = TlsVerify> {
    prop::sample::select(vec![
        TlsVerify::Unset,
        TlsVerify::ItemTrue,
        TlsVerify::Always,
        TlsVerify::Never,
    ])
}

/// Any request that the parsers accept.
fn request() -> impl Strategy<Value = Request> {
    let name = "[-a-zA-Z0-9._/:@]{1,30}|[a-z]{1,5}(\\.[a-z]{1,3})?/[a-z]{1,5}(:[A-Z0-9.-]{1,5})?";
    let name = name.prop_filter_map("a name", |text| text.parse::<ImageName>().ok());
    let storage = "/[-a-z@=%$ ./]{1,20}(\\+/[-a-z@=%$ ./]{1,20})?";
    let storage =
        storage.prop_filter_map("a location", |text| text.parse::<StorageLocation>().ok());
    let location = prop_oneof![
        tls_verify().prop_map(|tls_verify| Location::Docker { tls_verify }),
        prop::option::of(storage).prop_map(|location| Location::ContainersStorage { location }),
    ];
    (name, location, any::<[u8; 32]>()).prop_map(|(name, location, digest)| {
        Request::new(name, location, Digest::from_bytes(digest))
    })
}

/// The expected flags for credentials and TLS.
fn access(
    prefix: &str,
    tls_verify: TlsVerify,
    options: &SkopeoOptions,
) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut flags = BTreeMap::new();
    let mut flag = |name: String, value: &[u8]| flags.insert(name.into_bytes(), value.to_vec());
    if let Some(file) = &options.authfile {
        flag(format!("--{prefix}authfile"), file.as_os_str().as_bytes());
    }
    if let Some(dir) = &options.cert_dir {
        flag(format!("--{prefix}cert-dir"), dir.as_os_str().as_bytes());
    }
    match tls_verify {
        TlsVerify::Unset | TlsVerify::ItemTrue => {}
        TlsVerify::Always => drop(flag(format!("--{prefix}tls-verify"), b"true")),
        TlsVerify::Never => drop(flag(format!("--{prefix}tls-verify"), b"false")),
    }
    flags
}

proptest! {
    #![proptest_config(crate::support::property::config(1000, "skopeo-argv.txt"))]

    #[test]
    fn arguments_of_every_command_parse_to_its_fields(request in request(), options in options(), dir in path(), tag_tls in tls_verify(), seconds in 1..100_000_u64) {
        let tls_verify = match *request.location() {
            Location::Docker { tls_verify } => tls_verify,
            Location::ContainersStorage { .. } => TlsVerify::Unset,
        };
        let source = request.skopeo_source();
        let name = request.name();
        let tag_location = match request.location() {
            Location::Docker { .. } => Location::Docker { tls_verify: tag_tls },
            storage => storage.clone(),
        };
        let tag_tls = match tag_location {
            Location::Docker { tls_verify } => tls_verify,
            Location::ContainersStorage { .. } => TlsVerify::Unset,
        };
        let tag_source = tag_location.skopeo_source(name).into_bytes();
        let of_dir = [b"dir:", dir.as_os_str().as_bytes()].concat();
        let file = dir.as_os_str().as_bytes().to_vec();
        let src = source.into_bytes();
        let raw = BTreeMap::from([(b"--raw".to_vec(), Vec::new())]);
        let index_only = BTreeMap::from([(b"--multi-arch".to_vec(), b"index-only".to_vec())]);
        let with = |mut one: BTreeMap<_, _>, two: BTreeMap<_, _>| { one.extend(two); one };
        let table: [(SkopeoCommand<'_>, &str, BTreeMap<_, _>, Vec<Vec<u8>>); 5] = [
            (SkopeoCommand::InspectRaw(&request), "inspect", with(raw.clone(), access("", tls_verify, &options)), vec![src.clone()]),
            (SkopeoCommand::InspectTag { location: &tag_location, name }, "inspect", with(raw.clone(), access("", tag_tls, &options)), vec![tag_source]),
            (SkopeoCommand::CopyIndex { request: &request, to: &dir }, "copy", with(index_only, access("src-", tls_verify, &options)), vec![src, of_dir.clone()]),
            (SkopeoCommand::InspectDir { from: &dir }, "inspect", raw, vec![of_dir]),
            (SkopeoCommand::ManifestDigest { file: &dir }, "manifest-digest", BTreeMap::new(), vec![file]),
        ];
        for (command, subcommand, mut flags, positional) in table {
            let timeout = format!("{}s", seconds + 5).into_bytes();
            flags.insert(b"--command-timeout".to_vec(), timeout);
            // A registry's rate limit shows in debug lines only.
            let registry = positional[0].starts_with(b"docker://");
            if registry || options.debug == SkopeoDebug::On {
                flags.insert(b"--debug".to_vec(), Vec::new());
            }
            let expected = Parsed { subcommand: subcommand.into(), flags, positional };
            prop_assert_eq!(parse(&command.argv(&options, Duration::from_secs(seconds))), expected);
        }
    }

    /// As an audit log records them: not all paths are UTF-8.
    #[test]
    fn recorded_arguments_are_parsed_back_and_written_again(request in request(), options in options(), dir in path(), relative in any::<bool>(), seconds in 0..100_000_u64) {
        let dir = match relative {
            true => Path::new(".").join(dir.strip_prefix("/").unwrap_or(&dir)),
            false => dir,
        };
        let commands = [Method::Raw, Method::SkopeoCopy]
            .map(|method| method_commands(method, &request, &dir, &dir))
            .concat();
        for command in commands.iter().chain([&SkopeoCommand::Version]) {
            let argv = command.argv(&options, Duration::from_secs(seconds));
            let recorded: Vec<_> = argv.iter().map(|a| a.to_string_lossy().into_owned()).collect();
            let parsed = ParsedArgv::parse(&recorded);
            prop_assert!(parsed.is_some(), "{:?}", recorded);
            let parsed = parsed.expect("checked");
            prop_assert_eq!(parsed.form, command.form());
            let path = Path::new(parsed.path.unwrap_or_default());
            let again = match command {
                SkopeoCommand::CopyIndex { request, .. } => SkopeoCommand::CopyIndex { request, to: path },
                SkopeoCommand::InspectDir { .. } => SkopeoCommand::InspectDir { from: path },
                SkopeoCommand::ManifestDigest { .. } => SkopeoCommand::ManifestDigest { file: path },
                command => *command,
            };
            let again = again.argv(&parsed.options, parsed.timeout);
            prop_assert_eq!(again, recorded.iter().map(OsString::from).collect::<Vec<_>>());
        }
    }

    #[test]
    fn source_argument_holds_location_name_and_digest(request in request()) {
        let source = request.skopeo_source();
        let digest = format!("@{}", request.digest());
        let image = source.strip_suffix(&digest).expect("the digest at the end");
        match request.location() {
            Location::Docker { .. } => {
                prop_assert_eq!(image.strip_prefix("docker://"), Some(request.name().without_tag()));
            }
            Location::ContainersStorage { location } => {
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
fn relative_path_is_never_parsed_as_a_flag() {
    let file = Path::new("-cache/x");
    let argv = SkopeoCommand::ManifestDigest { file }
        .argv(&SkopeoOptions::default(), Duration::from_secs(1));
    let [only] = &parse(&argv).positional[..] else {
        panic!("{argv:?}")
    };
    assert!(only.ends_with(b"-cache/x"), "{argv:?}");
}

#[test]
fn global_options_come_before_the_subcommand() {
    let options = SkopeoOptions {
        debug: SkopeoDebug::On,
        ..SkopeoOptions::default()
    };
    let file = PathBuf::from("/x");
    let argv =
        SkopeoCommand::ManifestDigest { file: &file }.argv(&options, Duration::from_secs(120));
    assert_eq!(
        argv,
        ["--debug", "--command-timeout=125s", "manifest-digest", "/x"]
    );
}

#[test]
fn greatest_timeout_is_written_without_a_panic() {
    let argv = SkopeoCommand::ManifestDigest {
        file: Path::new("/x"),
    }
    .argv(&SkopeoOptions::default(), Duration::MAX);
    let timeout = format!("--command-timeout={}s", u64::MAX);
    assert_eq!(argv[0], *timeout);
}
