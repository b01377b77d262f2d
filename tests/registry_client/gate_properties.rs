//! The gate on generated hosts: a refusal wherever skopeo might do something else, and
//! otherwise a permit.

use std::fs;

use proptest::prelude::*;
use skopeo_index::registry::SkopeoProgram;
use skopeo_index_core::machine::Method;
use skopeo_index_core::request::Location;
use skopeo_index_core::skopeo::SkopeoDebug;
use test_support::property::config;

use super::machine::{Machine, table};

/// The image that the properties ask for.
const NAME: &str = "a.quay.io:5000/b/c:tag";

/// Prefixes that cover [`NAME`].
const COVERING: [&str; 8] = [
    "a.quay.io",
    "a.quay.io:5000",
    "a.quay.io:5000/b",
    "a.quay.io:5000/b/c",
    "a.quay.io:5000/b/c:tag",
    "*.quay.io",
    "*.io",
    "*.quay.io:5000/b/",
];

/// Prefixes that don't.
const OTHER: [&str; 6] = [
    "quay.io",
    "a.quay.io:5001",
    "a.quay.io:5000/bc",
    "a.quay.io:5000/b/c/d",
    "*.a.quay.io",
    "docker.io",
];

/// Files that some skopeo reads as registries.conf.
const CONF_FILES: [&str; 11] = [
    "etc/containers/registries.conf",
    "etc/containers/registries.conf.d/000-x.conf",
    "etc/containers/registries.rootless.conf.d/x.conf",
    "etc/containers/registries.rootless.conf.d/1000/x.conf",
    "etc/containers/registries.rootful.conf.d/x.conf",
    "usr/share/containers/registries.conf",
    "usr/share/containers/registries.conf.d/x.conf",
    "home/.config/containers/registries.conf",
    "home/.config/containers/registries.conf.d/x.conf",
    "xdg/containers/registries.conf",
    "xdg/containers/registries.conf.d/.conf",
];

const CONF_VARIABLES: [&str; 3] = [
    "CONTAINERS_REGISTRIES_CONF",
    "CONTAINERS_REGISTRIES_CONF_OVERRIDE",
    "REGISTRIES_CONFIG_PATH",
];

const AUTH_FILES: [&str; 4] = [
    "run/containers/1000/auth.json",
    "xdg/containers/auth.json",
    "home/.docker/config.json",
    "explicit.json",
];

const PROXIES: [&str; 6] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
];

/// One part of a host's configuration.
#[derive(Clone, Debug)]
enum Setting {
    File(String, Content),
    /// A file that only a variable names.
    ConfOfVariable(&'static str, String),
    Variable(&'static str, &'static str),
    Debug,
    MethodCopy,
    Program,
    ContainersStorage,
}

#[derive(Clone, Debug)]
enum Content {
    Text(String),
    Directory,
    NamedPipe,
    LinkToItself,
}

impl Setting {
    fn apply(&self, machine: &mut Machine) {
        match self {
            Self::File(path, Content::Text(text)) => {
                let path = machine.write(path, text);
                if path.ends_with("explicit.json") {
                    machine.options.authfile = Some(path);
                }
            }
            Self::File(path, content) => {
                let file = machine.write(path, "");
                fs::remove_file(&file).expect("a file");
                match content {
                    Content::Directory => fs::create_dir(&file).expect("a directory"),
                    Content::NamedPipe => {
                        let mode = rustix::fs::Mode::RUSR;
                        let kind = rustix::fs::FileType::Fifo;
                        let dir = rustix::fs::CWD;
                        rustix::fs::mknodat(dir, &file, kind, mode, 0).expect("a pipe");
                    }
                    _ => std::os::unix::fs::symlink(&file, &file).expect("a link"),
                }
            }
            Self::ConfOfVariable(name, text) => {
                let path = machine.write("variable.conf", text);
                machine.set(name, path);
            }
            Self::Variable(name, value) => machine.set(name, value),
            Self::Debug => machine.options.debug = SkopeoDebug::On,
            Self::MethodCopy => machine.method = Method::SkopeoCopy,
            Self::Program => machine.program = SkopeoProgram::Chosen,
            Self::ContainersStorage => {
                machine.location = Location::ContainersStorage { location: None };
            }
        }
    }
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(items: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(items.to_vec())
}

fn tables(prefixes: &'static [&'static str]) -> impl Strategy<Value = String> {
    (one_of(prefixes), 0..5_usize).prop_map(|(prefix, kind)| table(prefix, kind))
}

/// A registries.conf, wherever some skopeo reads it.
fn conf(text: impl Strategy<Value = String>) -> impl Strategy<Value = Setting> {
    let place = one_of(&[&CONF_FILES[..], &CONF_VARIABLES].concat());
    (place, text).prop_map(|(place, text)| {
        if CONF_VARIABLES.contains(&place) {
            Setting::ConfOfVariable(place, text)
        } else {
            Setting::File(place.to_owned(), Content::Text(text))
        }
    })
}

fn auth_file(text: impl Strategy<Value = String>) -> impl Strategy<Value = Setting> {
    (one_of(&AUTH_FILES), text)
        .prop_map(|(place, text)| Setting::File(place.to_owned(), Content::Text(text)))
}

/// Each of these is a refusal.
fn refused() -> impl Strategy<Value = Setting> {
    let broken_confs = [
        "credential-helpers = ['pass']",
        "[registries.insecure]\nregistries = ['x.io']",
        "unknown = 1",
        "[[registry]]",
        "[[registry]]\nLocation = 'x.io'",
        "<html>",
        "a = '",
    ];
    let token =
        "{\"auths\": {\"a.quay.io:5000/b\": {\"auth\": \"dTpw\", \"identitytoken\": \"t\"}}}";
    let auth_files = [
        "{\"credHelpers\": {\"a.quay.io:5000\": \"x\"}}",
        "{\"credsStore\": \"desktop\"}",
        "{\"auths\": {\"a.quay.io:5000\": {}}}",
        "{\"AUTHS\": {}}",
        "",
        "<html>",
        token,
    ];
    let files = [
        &CONF_FILES[..],
        &AUTH_FILES[..3],
        &["proc/sys/crypto/fips_enabled"],
    ]
    .concat();
    let unreadable = [
        Content::Directory,
        Content::NamedPipe,
        Content::LinkToItself,
    ];
    prop_oneof![
        4 => conf(tables(&COVERING)),
        2 => conf(one_of(&broken_confs).prop_map(str::to_owned)),
        3 => auth_file(one_of(&auth_files).prop_map(str::to_owned)),
        3 => (one_of(&files), one_of(&unreadable)).prop_map(|(file, content)| {
            Setting::File(file.to_owned(), content)
        }),
        2 => one_of(&PROXIES).prop_map(|name| Setting::Variable(name, "http://p:1")),
        1 => one_of(&["1\n", "x", ""]).prop_map(|text| {
            Setting::File("proc/sys/crypto/fips_enabled".to_owned(), Content::Text(text.to_owned()))
        }),
        1 => one_of(&CONF_VARIABLES).prop_map(|name| Setting::Variable(name, "/nonexistent")),
        1 => Just(Setting::Variable("REGISTRY_AUTH_FILE", "/nonexistent")),
        1 => one_of(&[Setting::Debug, Setting::MethodCopy, Setting::Program, Setting::ContainersStorage]),
    ]
}

/// None of these is a refusal, nor are all of them together.
fn harmless() -> impl Strategy<Value = Setting> {
    let empty = [
        "",
        "# comment\n",
        "credential-helpers = ['containers-auth.json']",
    ];
    let auth_files = [
        "{}",
        "{\"auths\": {\"x.io\": {\"identitytoken\": \"t\"}, \"a.quay.io:5000/bc\": {}}}",
        "{\"credHelpers\": {\"x.io\": \"x\"}, \"HttpHeaders\": {}}",
    ];
    let ignored = [
        "etc/containers/registries.conf.d/x.conf.bak",
        "etc/containers/registries.conf.d.bak/x.conf",
        "etc/containers/policy.json",
        "etc/containers/certs.d/x.io/x.key",
    ];
    prop_oneof![
        4 => conf(tables(&OTHER)),
        2 => conf(one_of(&empty).prop_map(str::to_owned)),
        3 => auth_file(one_of(&auth_files).prop_map(str::to_owned)),
        1 => (one_of(&ignored), tables(&COVERING)).prop_map(|(file, text)| {
            Setting::File(file.to_owned(), Content::Text(text))
        }),
        1 => one_of(&PROXIES).prop_map(|name| Setting::Variable(name, "")),
        1 => one_of(&["NO_PROXY", "no_proxy"]).prop_map(|name| Setting::Variable(name, "*")),
        1 => Just(Setting::File(
            "proc/sys/crypto/fips_enabled".to_owned(),
            Content::Text("0\n".to_owned()),
        )),
    ]
}

fn machine(settings: &[Setting]) -> Machine {
    let mut machine = Machine::new();
    machine.set("XDG_CONFIG_HOME", machine.path("xdg"));
    for setting in settings {
        setting.apply(&mut machine);
    }
    machine
}

proptest! {
    #![proptest_config(config(300, "gate.txt"))]

    #[test]
    fn gate_refuses_whatever_skopeo_may_do_differently(
        mut settings in prop::collection::vec(harmless(), 0..4),
        refused in refused(),
    ) {
        // An explicit credentials file is the only one.
        let is_auth_file = |setting: &Setting| {
            matches!(setting, Setting::File(path, _) if AUTH_FILES.contains(&path.as_str()))
        };
        if is_auth_file(&refused) {
            settings.retain(|setting| !is_auth_file(setting));
        }
        if let Setting::Variable("REGISTRY_AUTH_FILE", _) = refused {
            settings.retain(|setting| !is_auth_file(setting));
        }
        settings.push(refused);
        let permit = machine(&settings).check(NAME);
        prop_assert!(permit.is_err(), "{:?}", permit);
    }

    #[test]
    fn gate_permits_where_no_configuration_concerns_the_name(
        settings in prop::collection::vec(harmless(), 0..8),
    ) {
        let result = machine(&settings).check(NAME);
        prop_assert!(result.is_ok(), "{:?}", result);
    }
}
