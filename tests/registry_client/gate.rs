//! The gate: what a permit has, and what a refusal says.

use serde_json::json;
use skopeo_index::registry::{Redirects, TlsMode};
use skopeo_index_core::request::{Location, TlsVerify};

use super::machine::{Machine, UID, table};

#[test]
fn gate_permits_on_a_host_without_configuration() {
    let permit = Machine::new().permit("x:tag");
    assert_eq!(permit.repository().full_name(), "docker.io/library/x");
    assert_eq!(permit.credentials(), None);
    assert_eq!(permit.tls(), TlsMode::Verified);
    assert_eq!(permit.redirects(), Redirects::AnyHost);
    assert!(permit.certificates().is_empty());
}

#[test]
fn tls_is_unverified_only_where_the_request_says_so() {
    let tls = |tls_verify| {
        let mut machine = Machine::new();
        machine.location = Location::Docker { tls_verify };
        machine.permit("x").tls()
    };
    for verify in [TlsVerify::Unset, TlsVerify::ItemTrue, TlsVerify::Always] {
        assert_eq!(tls(verify), TlsMode::Verified);
    }
    assert_eq!(tls(TlsVerify::Never), TlsMode::Unverified);
}

#[test]
fn redirects_stay_on_the_host_where_any_registry_has_a_table() {
    let machine = Machine::new();
    machine.write("etc/containers/registries.conf", table("other.io", 0));
    assert_eq!(machine.permit("x").redirects(), Redirects::SameHost);
}

#[test]
fn credentials_are_those_of_the_first_file_that_has_some() {
    let mut machine = Machine::new();
    // base64 of USER:p
    let auths = |user: &str| json!({"auths": {"quay.io": {"auth": user}}}).to_string();
    let user = |machine: &Machine| {
        let permit = machine.permit("quay.io/a");
        permit.credentials().map(|found| found.user().to_owned())
    };
    assert_eq!(user(&machine), None);
    let dockercfg = json!({"https://quay.io/v1/": {"auth": "ZDpw"}});
    machine.write("home/.dockercfg", dockercfg.to_string());
    assert_eq!(user(&machine).as_deref(), Some("d"));
    machine.write("home/.docker/config.json", auths("Yzpw"));
    assert_eq!(user(&machine).as_deref(), Some("c"));
    machine.write("home/.config/containers/auth.json", auths("Yjpw"));
    assert_eq!(user(&machine).as_deref(), Some("b"));
    machine.write(&format!("run/containers/{UID}/auth.json"), auths("YTpw"));
    assert_eq!(user(&machine).as_deref(), Some("a"));
    machine.set("XDG_RUNTIME_DIR", machine.path("runtime"));
    assert_eq!(user(&machine).as_deref(), Some("b"));
    let file = machine.write("explicit", auths("ZTpw"));
    machine.set("REGISTRY_AUTH_FILE", file);
    assert_eq!(user(&machine).as_deref(), Some("e"));
    machine.options.authfile = Some(machine.write("option", auths("Zjpw")));
    assert_eq!(user(&machine).as_deref(), Some("f"));
}

#[test]
fn explicit_dockercfg_has_no_legacy_format() {
    let mut machine = Machine::new();
    let dockercfg = json!({"https://quay.io/v1/": {"auth": "ZDpw"}});
    machine.options.authfile = Some(machine.write("x/.dockercfg", dockercfg.to_string()));
    assert_eq!(machine.permit("quay.io/a").credentials(), None);
}

/// skopeo before 1.11 reads the default files after an explicit one, later ones don't.
#[test]
fn default_file_with_an_entry_that_an_explicit_one_lacks_is_left_to_skopeo() {
    let auths = |auth: &str| json!({"auths": {"quay.io": {"auth": auth}}}).to_string();
    for (path, content) in [
        ("home/.config/containers/auth.json", auths("Yjpw")),
        ("home/.docker/config.json", auths("Yjpw")),
        (
            "home/.docker/config.json",
            "{\"credsStore\": \"x\"}".to_owned(),
        ),
        (
            "home/.dockercfg",
            json!({"quay.io": {"auth": "ZDpw"}}).to_string(),
        ),
    ] {
        let mut machine = Machine::new();
        machine.write(path, content);
        machine.options.authfile = Some(machine.write("explicit", "{\"auths\": {\"x.io\": {}}}"));
        assert_eq!(
            machine.refusal("quay.io/a"),
            format!(
                "credentials in /{path}: skopeo before 1.11 uses them where the chosen file has none"
            )
        );
        machine.options.authfile = Some(machine.write("explicit", auths("ZTpw")));
        let permit = machine.permit("quay.io/a");
        assert_eq!(
            permit
                .credentials()
                .map(|it| it.user().to_owned())
                .as_deref(),
            Some("e")
        );
    }
}

#[test]
fn unreadable_default_file_refuses_only_what_the_files_before_it_lack() {
    let auths = json!({"auths": {"quay.io": {"auth": "Yjpw"}}}).to_string();
    let mut machine = Machine::new();
    machine.write("home/.docker/config.json", "{");
    let refusal =
        "cannot parse /home/.docker/config.json: not a valid credentials file (line 1, column 1)";
    machine.write("home/.config/containers/auth.json", &auths);
    assert!(machine.permit("quay.io/a").credentials().is_some());
    assert_eq!(machine.refusal("other.io/a"), refusal);
    machine.options.authfile = Some(machine.write("explicit", auths));
    assert!(machine.permit("quay.io/a").credentials().is_some());
    assert_eq!(machine.refusal("other.io/a"), refusal);
}

#[test]
fn gate_needs_a_home_unless_the_user_is_root() {
    let mut machine = Machine::new();
    machine.set("HOME", "");
    assert_eq!(machine.refusal("x"), "HOME is not set");
}

#[test]
fn gate_refusals_name_what_is_in_the_way() {
    let refusal = |path: &str, content: &str| {
        let machine = Machine::new();
        machine.write(path, content);
        machine.refusal("quay.io/a")
    };
    assert_eq!(
        refusal("etc/containers/registries.conf", &table("quay.io", 0)),
        "registries.conf: /etc/containers/registries.conf has a table for quay.io"
    );
    assert_eq!(
        refusal(
            "home/.config/containers/registries.conf.d/a.conf",
            "credential-helpers = []"
        ),
        "registries.conf: /home/.config/containers/registries.conf.d/a.conf has credential-helpers"
    );
    assert_eq!(
        refusal(
            "home/.docker/config.json",
            "{\"credHelpers\": {\"quay.io\": \"x\"}}"
        ),
        "credential helper in /home/.docker/config.json"
    );
    assert_eq!(
        refusal("home/.docker/config.json", "{"),
        "cannot parse /home/.docker/config.json: not a valid credentials file (line 1, column 1)"
    );
    assert_eq!(refusal("proc/sys/crypto/fips_enabled", "1\n"), "FIPS mode");
    assert_eq!(
        refusal("etc/containers/registries.conf/x", ""),
        "cannot read /etc/containers/registries.conf: is a directory"
    );
    let mut machine = Machine::new();
    machine.set("https_proxy", "p:1");
    assert_eq!(machine.refusal("x"), "a proxy is set (https_proxy)");
}

#[test]
fn configuration_file_that_is_too_large_is_a_refusal() {
    let machine = Machine::new();
    machine.write("etc/containers/registries.conf", "#".repeat((1 << 20) + 1));
    assert_eq!(
        machine.refusal("x"),
        "cannot read /etc/containers/registries.conf: larger than 1048576 bytes"
    );
}
