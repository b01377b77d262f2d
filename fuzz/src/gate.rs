//! The files that decide whether the registry client may fetch.

use skopeo_index_core::registry::{AuthFile, AuthFileFormat, Entry, RegistriesConf, Repository};
use skopeo_index_core::request::ImageName;

/// The input is an image name, a line end and a file. A registries.conf in which a second
/// reader finds a table whose prefix is the repository's name, or begins it, concerns the
/// repository or is an error. A credentials file with a program for every registry never
/// gives credentials, and those that are given are one header's value.
pub fn target(data: &[u8]) {
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let (name, file) = data.split_at(end);
    let file = file.get(1..).unwrap_or_default();
    let name = str::from_utf8(name).ok().and_then(|name| name.parse().ok());
    let name: ImageName = name.unwrap_or_else(|| "quay.io/a/b".parse().expect("a name"));
    let repository = Repository::of(&name);
    registries_conf(&repository, file);
    for format in [AuthFileFormat::AuthJson, AuthFileFormat::Dockercfg] {
        auth_file(&repository, file, format);
    }
}

fn registries_conf(repository: &Repository, file: &[u8]) {
    let harmless = match RegistriesConf::parse(file) {
        Ok(conf) => conf.concerns(repository).is_none(),
        Err(error) => return crate::assert_harmless(&error.to_string()),
    };
    let text = str::from_utf8(file).expect("an accepted file is UTF-8");
    let table: toml::Table = toml::from_str(text).expect("an accepted file is TOML");
    let name = repository.full_name();
    for (key, value) in table {
        // skopeo's reader ignores case.
        if !key.eq_ignore_ascii_case("registry") {
            continue;
        }
        for table in value.as_array().into_iter().flatten() {
            let text = |key: &str| table.get(key).and_then(toml::Value::as_str).unwrap_or("");
            let prefix = [text("prefix"), text("location")];
            let prefix = prefix.into_iter().find(|text| !text.is_empty());
            let prefix = prefix.expect("an accepted table has a prefix");
            let covers =
                format!("{name}/").starts_with(&format!("{}/", prefix.trim_end_matches('/')));
            assert!(!(covers && harmless), "{prefix:?} {name:?}");
        }
    }
}

fn auth_file(repository: &Repository, file: &[u8], format: AuthFileFormat) {
    let entry = match AuthFile::parse(file, format) {
        Ok(auths) => auths.look_up(repository),
        Err(error) => return crate::assert_harmless(&error.to_string()),
    };
    let Entry::Credentials(credentials) = entry else {
        return;
    };
    let header = credentials.basic();
    assert!(
        header.bytes().all(|b| b == b' ' || b.is_ascii_graphic()),
        "{header:?}"
    );
    if format == AuthFileFormat::AuthJson {
        let json: serde_json::Value = serde_json::from_slice(file).expect("JSON");
        let store = json["credsStore"].as_str().unwrap_or_default();
        assert!(store.is_empty(), "{store:?}");
        let helper = json["credHelpers"].get(repository.domain());
        assert!(helper.is_none(), "{helper:?}");
    }
}
