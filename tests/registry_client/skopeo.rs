//! The gate against the real skopeo: what it permits, skopeo asks of the same registry.

use std::process::Command;

use skopeo_index_core::digest::Digest;

use super::machine::Machine;

/// A registry that refuses connections, so that nothing is waited for.
const NAME: &str = "127.0.0.1:1/b/c";

/// Which registry skopeo asks; `None` if it stops before.
fn asked_registry(machine: &Machine) -> Option<String> {
    let image = format!("docker://{NAME}@{}", Digest::of(b""));
    let output = Command::new("skopeo")
        .args(["inspect", "--raw", &image])
        .env_clear()
        .env("HOME", machine.path("home"))
        .env("PATH", std::env::var_os("PATH").expect("a path"))
        .output()
        .expect("skopeo");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, registry) = stderr.split_once("pinging container registry ")?;
    let (registry, _) = registry.split_once(": ")?;
    Some(registry.to_owned())
}

/// Checks the gate against skopeo with a registries.conf; returns whether it permits.
#[track_caller]
fn check(toml: &str) -> bool {
    let machine = Machine::new();
    machine.write("home/.config/containers/registries.conf", toml);
    let is_permitted = machine.check(NAME).is_ok();
    if is_permitted {
        let asked = asked_registry(&machine);
        assert_eq!(asked.as_deref(), Some("127.0.0.1:1"), "{toml}");
    }
    is_permitted
}

#[test]
fn skopeo_asks_the_registry_of_the_name_wherever_the_gate_permits() {
    let table = |prefix: &str| {
        // Where skopeo takes this table, it asks another registry.
        format!("[[registry]]\nprefix = '{prefix}'\nlocation = '127.0.0.2:1/x'\n")
    };
    let covering = [
        "127.0.0.1",
        "127.0.0.1:1/",
        "127.0.0.1:1/b",
        "*.0.0.1",
        "*.1:1/b/c",
    ];
    for prefix in covering {
        assert!(!check(&table(prefix)), "{prefix}");
    }
    let others = [
        "127.0.0",
        "127.0.0.1:2",
        "127.0.0.1:1/bc",
        "127.0.0.1:1/b/c/d",
        "*.127.0.0.1",
    ];
    for prefix in others {
        assert!(check(&table(prefix)), "{prefix}");
    }
    assert!(check("credential-helpers = ['containers-auth.json']"));
    assert!(check("# comment"));
}

#[test]
fn skopeo_reads_registry_tables_in_any_case() {
    let machine = Machine::new();
    let toml = "[[Registry]]\nLocation = '127.0.0.1:1'\nBLOCKED = true\n";
    machine.write("home/.config/containers/registries.conf", toml);
    assert_eq!(asked_registry(&machine), None);
    assert!(!check(toml));
}
