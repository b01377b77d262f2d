//! A container storage.

use std::path::Path;

use tempfile::TempDir;

use crate::loopback::DockerRegistry;
use crate::loopback::samples;

/// An overlay storage that has one image of a list, and with it the list.
pub struct Storage {
    dir: TempDir,
    name: String,
    digest: String,
    list: Vec<u8>,
}

impl Storage {
    /// Fills one from a registry.
    ///
    /// # Panics
    /// Where that fails, as it does without root's rights.
    #[must_use]
    pub fn with_list(registry: &DockerRegistry) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let images = [
            registry.push_image("list", architecture),
            registry.push_image("list", "mips"),
        ];
        let list = serde_json::json!({
            "schemaVersion": 2, "mediaType": samples::OCI_INDEX, "manifests": images,
        });
        let list = list.to_string().into_bytes();
        let digest = registry.push("list", &list, samples::OCI_INDEX);
        let name = format!("{}/list", registry.address());
        crate::loopback::run(
            "skopeo",
            &[
                "copy",
                "--quiet",
                "--src-tls-verify=false",
                &format!("docker://{name}@{digest}"),
                &format!(
                    "containers-storage:[overlay@{}]{name}@{digest}",
                    dir.path().display()
                ),
            ],
        );
        Self {
            dir,
            name,
            digest,
            list,
        }
    }

    /// Where it lies.
    #[must_use]
    pub fn location(&self) -> &Path {
        self.dir.path()
    }

    /// The list's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The list's digest.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The list itself.
    #[must_use]
    pub fn list(&self) -> &[u8] {
        &self.list
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // The driver leaves its directory mounted on itself.
        let mounted = self.dir.path().join("overlay");
        let _not_mounted = std::process::Command::new("umount").arg(mounted).output();
    }
}
