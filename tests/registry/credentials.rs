//! `--creds` and `--password-stdin`: the registry gets them, and nothing else does.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::harness::{Cache, RunOutput};

const PASSWORD: &str = "correct horse";

/// "alice:correct horse", in base64.
const BASIC: &str = "YWxpY2U6Y29ycmVjdCBob3JzZQ==";

/// A registry with a password and an index, and a skopeo that records what it gets.
struct Scene {
    registry: Registry,
    digest: String,
    cache: Cache,
}

impl Scene {
    fn new() -> Self {
        let registry = Registry::start();
        let digest = registry.put(samples::empty());
        registry.put_as("v1", samples::empty());
        registry.require(&format!("Basic {BASIC}"), Behaviour::unauthorized());
        let cache = Cache::new();
        for dir in ["tmp", "runtime"] {
            fs::create_dir(cache.beside(dir)).expect("a directory");
        }
        let skopeo = cache.beside("skopeo");
        let script = "#!/bin/sh\necho \"$@\" >> \"$OUT\"\nenv >> \"$OUT\"\nexec skopeo \"$@\"\n";
        fs::write(&skopeo, script).expect("a file");
        fs::set_permissions(&skopeo, fs::Permissions::from_mode(0o755)).expect("a file");
        Self {
            registry,
            digest,
            cache,
        }
    }

    fn tag(&self) -> String {
        format!("{}/app:v1", self.registry.address())
    }

    fn reference(&self) -> String {
        format!("{}/app@{}", self.registry.address(), self.digest)
    }

    fn command(&self, engine: &str, args: &[&str]) -> Command {
        let mut command = self.cache.command(args);
        command
            .args(["--tls-verify=false", "--retry-times=0"])
            .env("SKOPEO_INDEX_ENGINE", engine)
            .env("TMPDIR", self.cache.beside("tmp"))
            .env("XDG_RUNTIME_DIR", self.cache.beside("runtime"))
            .env("OUT", self.cache.beside("skopeo.out"));
        if engine == "skopeo" {
            // The registry client is not used beside another program.
            command.arg("--skopeo").arg(self.cache.beside("skopeo"));
        }
        command
    }

    /// Asserts that the secret is in no output, and in no file of the run.
    #[track_caller]
    fn assert_no_secret(&self, output: &RunOutput) {
        for secret in [PASSWORD, BASIC, BASIC.trim_end_matches('=')] {
            for text in [&output.stdout, &output.stderr] {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
            assert_not_in_files(&self.cache.beside(""), secret);
        }
        for dir in ["tmp", "runtime"] {
            let left = fs::read_dir(self.cache.beside(dir)).expect("a directory");
            assert_eq!(left.count(), 0, "{dir} is empty");
        }
    }
}

fn assert_not_in_files(dir: &Path, secret: &str) {
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            assert_not_in_files(&path, secret);
        } else {
            let content = fs::read(&path).expect("a file");
            let content = String::from_utf8_lossy(&content);
            assert!(!content.contains(secret), "{secret} in {}", path.display());
        }
    }
}

fn start(mut command: Command, stdin: &str) -> Child {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    let mut pipe = child.stdin.take().expect("stdin");
    pipe.write_all(stdin.as_bytes()).expect("a reader");
    child
}

fn run(command: Command, stdin: &str) -> RunOutput {
    let child = start(command, stdin);
    child.wait_with_output().expect("its outputs").into()
}

#[test]
fn creds_reach_the_registry_and_are_nowhere_else() {
    for engine in ["skopeo", "registry"] {
        let scene = Scene::new();
        let (log, reference, tag) = (scene.cache.beside("log"), scene.reference(), scene.tag());
        let log = log.to_str().expect("UTF-8");
        for (args, stdin, status) in [
            (vec!["--creds=alice:correct horse"], "", 0),
            (
                vec!["--creds", "alice", "--password-stdin"],
                "correct horse\n",
                0,
            ),
            (
                vec!["--creds=alice", "--password-stdin"],
                "correct horse\r\n",
                0,
            ),
            (
                vec!["--creds=alice", "--password-stdin"],
                "correct horse ",
                12,
            ),
            (vec!["--creds=bob:correct horse"], "", 12),
        ] {
            let fetch = [&["fetch", "--audit-log", log, &reference], args.as_slice()].concat();
            let output = run(scene.command(engine, &fetch), stdin);
            output.assert_status(status);
            scene.assert_no_secret(&output);
            // A hit needs no registry.
            drop(fs::remove_file(scene.cache.object(&scene.digest)));
            if status == 12 {
                output.assert_says("check user and password of --creds");
            }
            for more in ["--debug", "--dry-run"] {
                let fetch = [fetch.as_slice(), &[more]].concat();
                scene.assert_no_secret(&run(scene.command(engine, &fetch), stdin));
                drop(fs::remove_file(scene.cache.object(&scene.digest)));
            }
            // Only skopeo resolves tags.
            let inspected = if engine == "skopeo" { &tag } else { &reference };
            for (command, image) in [("resolve", &tag), ("inspect", inspected)] {
                let args = [&[command, image], args.as_slice()].concat();
                let output = run(scene.command(engine, &args), stdin);
                output.assert_status(status);
                scene.assert_no_secret(&output);
            }
        }
        let verified = scene.cache.run(["audit", "verify", log]);
        verified.assert_status(0);
        if engine == "skopeo" {
            let record = fs::read_to_string(scene.cache.beside("skopeo.out")).expect("a record");
            assert!(record.contains("--authfile=/proc/"), "{record}");
        }
    }
}

#[test]
fn creds_leave_nothing_after_sigterm() {
    for engine in ["skopeo", "registry"] {
        let scene = Scene::new();
        scene.registry.behave(&scene.digest, Behaviour::Silence);
        let fetch = [
            "fetch",
            "--creds=alice",
            "--password-stdin",
            &scene.reference(),
        ];
        let child = start(scene.command(engine, &fetch), PASSWORD);
        while scene.registry.requests(&scene.digest) == 0 {
            std::thread::yield_now();
        }
        kill_process(Pid::from_child(&child), Signal::TERM).expect("a process");
        let output = RunOutput::from(child.wait_with_output().expect("its outputs"));
        output.assert_status(130);
        scene.assert_no_secret(&output);
    }
}

#[test]
fn creds_are_not_sent_over_plain_http_unless_tls_verification_is_off() {
    for engine in ["skopeo", "registry"] {
        let scene = Scene::new();
        let reference = scene.reference();
        let fetch = ["fetch", "--creds=alice:correct horse", &reference];
        let mut command = scene.command(engine, &fetch);
        command.env("SKOPEO_INDEX_TLS_VERIFY", "true");
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut checked = scene
            .cache
            .command(args.iter().filter(|it| *it != "--tls-verify=false"));
        checked.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        assert_ne!(run(checked, "").status, Some(0));
        let received = scene.registry.received();
        assert!(
            received.iter().all(|it| it.authorization.is_none()),
            "{received:?}"
        );
        run(command, "").assert_status(0);
    }
}

#[test]
fn creds_that_are_ambiguous_are_refused() {
    let scene = Scene::new();
    let (reference, other) = (scene.reference(), format!("localhost:1/x@{}", scene.digest));
    for (args, words) in [
        (
            vec!["--creds=a:b", &reference, &other],
            "--creds is for one registry",
        ),
        (
            vec!["--creds=a:b", "--authfile=x", &reference],
            "--creds and --authfile can't be combined",
        ),
        (
            vec!["--creds=a:b", "--password-stdin", &reference],
            "--password-stdin needs --creds without a password",
        ),
        (
            vec!["--password-stdin", &reference],
            "--creds <USER[:PASSWORD]>",
        ),
        (
            vec!["--creds=a", "--password-stdin", "--manifest=-"],
            "can't both read stdin",
        ),
        (
            vec!["--creds=a", &reference, "--password-stdin"],
            "is empty or has a NUL",
        ),
        (vec!["--creds=:b", &reference], "--creds needs a user"),
        (vec!["--creds=", &reference], "--creds needs a user"),
    ] {
        let args = [&["fetch"], args.as_slice()].concat();
        let output = run(scene.command("skopeo", &args), "");
        output.assert_status(2).assert_says(words);
    }
    assert_eq!(scene.registry.connections(), 0);
}

#[test]
fn creds_on_the_command_line_take_precedence_over_an_authfile_variable() {
    let scene = Scene::new();
    let fetch = ["fetch", "--creds=alice:correct horse", &scene.reference()];
    let mut command = scene.command("skopeo", &fetch);
    command.env("SKOPEO_INDEX_AUTHFILE", "/no/file");
    run(command, "").assert_status(0);
}
