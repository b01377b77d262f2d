//! A container storage.

use std::path::Path;

use tempfile::TempDir;

use crate::loopback::DockerRegistry;
use crate::loopback::samples;

/// An overlay storage that has one image of an index, and with it the index.
pub struct Storage {
    dir: TempDir,
    name: String,
    digest: String,
    list: Vec<u8>,
}

impl Storage {
    /// Creates a storage and fills it from a registry.
    ///
    /// # Panics
    /// Where that fails, as it does without root privileges.
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
        // Before the copy: also one that fails leaves a mount.
        let storage = Self {
            dir,
            name,
            digest,
            list,
        };
        let reference = format!("{}@{}", storage.name, storage.digest);
        crate::loopback::run(
            "skopeo",
            &[
                "copy",
                "--quiet",
                "--src-tls-verify=false",
                &format!("docker://{reference}"),
                &format!(
                    "containers-storage:[overlay@{}]{reference}",
                    storage.dir.path().display()
                ),
            ],
        );
        storage
    }

    /// Its directory.
    #[must_use]
    pub fn location(&self) -> &Path {
        self.dir.path()
    }

    /// Name of the index.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Digest of the index.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Bytes of the index.
    #[must_use]
    pub fn list(&self) -> &[u8] {
        &self.list
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // The overlay driver leaves its directory mounted on itself.
        let mounted = self.dir.path().join("overlay");
        std::process::Command::new("umount")
            .arg(mounted)
            .output()
            .ok();
    }
}
