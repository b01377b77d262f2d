//! A host whose configuration is in a directory of the test's own.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use skopeo_index::os::Host;
use skopeo_index::registry::{Gate, GateInputs, GateRefusal, Permit, SkopeoProgram};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::Method;
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::SkopeoOptions;

/// The user of [`Machine`].
pub const UID: u32 = 1000;

/// A host, and the options of a run on it. Paths are relative to its root directory; the
/// user's home is `home`.
pub struct Machine {
    root: tempfile::TempDir,
    environment: Vec<(OsString, OsString)>,
    pub options: SkopeoOptions,
    pub method: Method,
    pub program: SkopeoProgram,
    pub location: Location,
}

impl Machine {
    /// A host without any configuration.
    pub fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let mut machine = Self {
            root,
            environment: Vec::new(),
            options: SkopeoOptions::default(),
            method: Method::Raw,
            program: SkopeoProgram::Default,
            location: Location::Docker {
                tls_verify: TlsVerify::Unset,
            },
        };
        machine.set("HOME", machine.path("home"));
        machine
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Writes a file. Returns its path.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(path);
        let parent = path.parent().expect("a directory");
        fs::create_dir_all(parent).expect("a directory");
        fs::write(&path, content).expect("a file");
        path
    }

    /// Sets a variable; the last setting counts.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.push((name.into(), value.into()));
    }

    pub fn host(&self) -> Host {
        let root = self.root.path().to_owned();
        Host::new(root, self.environment.clone(), UID)
    }

    /// Checks a request for this image.
    pub fn check(&self, name: &str) -> Result<Permit, GateRefusal> {
        let name = name.parse().expect("a name");
        let inputs = GateInputs {
            host: self.host(),
            options: &self.options,
            method: self.method,
            program: self.program,
        };
        let request = Request::new(name, self.location.clone(), Digest::of(b""));
        Gate::new(&inputs).check(&request)
    }

    #[track_caller]
    pub fn permit(&self, name: &str) -> Permit {
        match self.check(name) {
            Ok(permit) => permit,
            Err(refusal) => panic!("refused: {refusal}"),
        }
    }

    /// Why the image is refused, with the root directory left out.
    #[track_caller]
    pub fn refusal(&self, name: &str) -> String {
        match self.check(name) {
            Ok(permit) => panic!("permitted: {permit:?}"),
            Err(refusal) => {
                let root = self.root.path().display().to_string();
                refusal.to_string().replace(&root, "")
            }
        }
    }
}

/// A registries.conf with a table for this prefix.
pub fn table(prefix: &str, kind: usize) -> String {
    let content = match kind {
        0 => "location = 'elsewhere.io'",
        1 => "location = 'elsewhere.io'\nblocked = true",
        2 => "location = 'elsewhere.io'\ninsecure = true",
        3 => "location = 'elsewhere.io'\n[[registry.mirror]]\nlocation = 'm.io'",
        _ => {
            return format!(
                "# comment\n[[registry]]\nlocation = '{prefix}'\nmirror-by-digest-only = false"
            );
        }
    };
    format!(
        "unqualified-search-registries = ['x.io']\n[[registry]]\nprefix = '{prefix}'\n{content}\n"
    )
}
