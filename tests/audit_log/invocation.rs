//! `audit_log::invocation`: who runs the program, and where.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use skopeo_index::audit_log::invocation;
use skopeo_index::os::Host;
use skopeo_index_core::audit::{Invocation, Labels};
use tempfile::TempDir;
use test_support::loopback::run;

const MACHINE_ID: &str = "b08dfa6083e7567a1921a715000001fb";

/// A host with these files, whose environment makes claims.
fn host(files: &[(&str, &str)], uid: u32) -> (TempDir, Host) {
    let root = tempfile::tempdir().expect("a directory");
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, content).expect("a file");
    }
    let claims = [
        ("SUDO_USER", "claimed"),
        ("SUDO_UID", "4711"),
        ("USER", "claimed"),
        ("LOGNAME", "claimed"),
        ("HOSTNAME", "claimed"),
        ("HOME", "/home/claimed"),
    ];
    let claims = claims.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let host = Host::new(root.path().to_owned(), claims, uid);
    (root, host)
}

fn of(files: &[(&str, &str)], uid: u32) -> Invocation {
    let (_root, host) = host(files, uid);
    invocation(&host, &Labels::default())
}

/// An HMAC by Python.
fn hmac(id: &str) -> String {
    let script = "import hashlib, hmac, sys\n\
        print(hmac.new(b'skopeo-index', sys.argv[1].encode(), hashlib.sha256).hexdigest())";
    let hash = run("python3", &["-c", script, id]);
    format!("sha256:{}", String::from_utf8_lossy(&hash).trim())
}

#[test]
fn machine_id_is_recorded_as_its_keyed_hash() {
    let machine = |id: &str| of(&[("etc/machine-id", id)], 0).machine;
    let hash = machine(&format!("{MACHINE_ID}\n")).expect("a hash");
    assert_eq!(hash.to_string(), hmac(MACHINE_ID));
    assert_eq!(machine(MACHINE_ID), Some(hash), "without a newline");
    let (_root, host) = host(&[("etc/machine-id", MACHINE_ID)], 0);
    let recorded = format!("{:?}", invocation(&host, &Labels::default()));
    assert!(!recorded.contains(MACHINE_ID), "{recorded}");
    for other in [
        "",
        "\n",
        "uninitialized\n",
        &MACHINE_ID[1..],
        &MACHINE_ID.to_uppercase(),
        &format!("{MACHINE_ID}{MACHINE_ID}"),
    ] {
        assert_eq!(machine(other), None, "{other:?}");
    }
}

#[test]
fn login_uid_is_the_kernels_and_no_variable_is_asked() {
    let login = |text: &str| of(&[("proc/self/loginuid", text)], 0).login_uid;
    assert_eq!(login("1000"), Some(1000));
    assert_eq!(login("0\n"), Some(0));
    for unset in ["4294967295", "", "-1", "x"] {
        assert_eq!(login(unset), None, "{unset:?}");
    }
    let nothing = of(&[], 0);
    assert_eq!(nothing.login_uid, None);
    assert!(!format!("{nothing:?}").contains("claimed"), "{nothing:?}");
    assert!(!format!("{nothing:?}").contains("4711"), "{nothing:?}");
}

#[test]
fn user_is_the_one_of_the_uid_in_passwd() {
    let passwd = "root:x:0:0:root:/root:/bin/sh\n\
        ci:x:1000:1000:CI, room 0:0:0:/home/ci:/bin/sh\n\
        other:x:1000:1000::/:/bin/sh\n\
        bad\u{7}:x:1001:1001::/:/bin/sh\n\
        :x:1002:1002::/:/bin/sh\n\
        short\n";
    let user = |uid| of(&[("etc/passwd", passwd)], uid).user;
    assert_eq!(user(0).as_deref(), Some("root"));
    assert_eq!(
        user(1000).as_deref(),
        Some("ci"),
        "the first, as getpwuid(3)"
    );
    for uid in [1, 1001, 1002, 65534] {
        assert_eq!(user(uid), None, "{uid}");
    }
    assert_eq!(of(&[], 0).user, None, "without the file");
}

#[test]
fn missing_or_unreadable_files_are_no_error() {
    let root = tempfile::tempdir().expect("a directory");
    for dir in ["etc/machine-id", "etc/passwd", "proc/self/loginuid"] {
        fs::create_dir_all(root.path().join(dir)).expect("a directory");
    }
    let host = Host::new(root.path().to_owned(), [], 7);
    let found = invocation(&host, &Labels::default());
    let expected = Invocation {
        host: found.host.clone(),
        labels: Labels::default(),
        login_uid: None,
        machine: None,
        pid: std::process::id(),
        uid: 7,
        user: None,
    };
    assert_eq!(found, expected);
}

#[test]
fn invocation_of_this_process_is_what_the_system_says() {
    let found = invocation(&Host::from_process(), &Labels::default());
    let output = |program: &str, args: &[&str]| {
        let output = run(program, args);
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    assert_eq!(found.host, Some(output("uname", &["-n"])));
    assert_eq!(found.uid.to_string(), output("id", &["-ru"]));
    assert_eq!(found.user, Some(output("id", &["-run"])));
    let read = |path: &str| fs::read_to_string(Path::new(path)).ok();
    let login = read("/proc/self/loginuid").filter(|uid| uid != "4294967295");
    assert_eq!(found.login_uid.map(|uid| uid.to_string()), login);
    let id = read("/etc/machine-id").filter(|id| id.trim().len() == 32);
    let hash = id.map(|id| hmac(id.trim()));
    assert_eq!(found.machine.map(|hash| hash.to_string()), hash);
}
