//! `skopeo-index man`, and the pages that it writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use test_support::program::harness::Cache;

const SOURCE: &str = "org.osbuild.skopeo-index";

/// Pages of other packages that ours refer to.
const OTHERS: [&str; 3] = [
    "skopeo(1)",
    "containers-auth.json(5)",
    "containers-registries.conf(5)",
];

/// All pages, by name, in the directory `man` beside the cache.
fn pages(cache: &Cache) -> BTreeMap<String, String> {
    let dir = cache.beside("man");
    let written = cache.run(["man", "--dir", dir.to_str().expect("UTF-8")]);
    written.assert_status(0);
    let files = fs::read_dir(dir).expect("a directory").flatten();
    let page = |file: fs::DirEntry| {
        let name = file.file_name().into_string().expect("UTF-8");
        let name = name.strip_suffix(".1").expect("a page of section 1");
        (
            name.to_owned(),
            fs::read_to_string(file.path()).expect("text"),
        )
    };
    files.map(page).collect()
}

/// The commands that `--help` lists, and those below them.
fn commands(cache: &Cache, parents: &[&str]) -> Vec<String> {
    let help = cache.run(parents.iter().copied().chain(["--help"])).stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // The rest of a description is further to the right.
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split_once(' '));
    let names = names.filter(|(name, _)| !name.is_empty() && *name != "help");
    let below = |(name, _): (&str, &str)| {
        let path: Vec<_> = parents.iter().copied().chain([name]).collect();
        [vec![path.join("-")], commands(cache, &path)].concat()
    };
    names.flat_map(below).collect()
}

#[test]
fn man_pages_exist_for_every_command_and_nested_command() {
    let cache = Cache::new();
    let commands = commands(&cache, &[]);
    assert!(
        commands.contains(&"audit-verify".to_owned()),
        "{commands:?}"
    );
    let names = commands.iter().map(|c| format!("skopeo-index-{c}"));
    let expected: BTreeSet<_> = names
        .chain(["skopeo-index".into(), SOURCE.into()])
        .collect();
    assert_eq!(pages(&cache).into_keys().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn man_page_printed_is_the_one_written() {
    let cache = Cache::new();
    let pages = pages(&cache);
    for (command, name) in [
        (&[][..], "skopeo-index"),
        (&["audit", "verify"], "skopeo-index-audit-verify"),
        (&[SOURCE], SOURCE),
    ] {
        let printed = cache.run(["man"].iter().chain(command));
        assert_eq!(printed.assert_status(0).stdout, pages[name]);
    }
}

#[test]
fn man_pages_refer_to_pages_that_exist() {
    let cache = Cache::new();
    let pages = pages(&cache);
    let known: BTreeSet<_> = pages.keys().map(|name| format!("{name}(1)")).collect();
    let is_known = |reference: &str| known.contains(reference) || OTHERS.contains(&reference);
    for (name, text) in &pages {
        let text = text
            .replace("\\-", "-")
            .replace("\\fB", "")
            .replace("\\fR", "");
        let words = text
            .split_whitespace()
            .map(|word| word.trim_end_matches(','));
        let is_reference = |word: &&str| {
            word.ends_with(')') && word.rsplit_once('(').is_some_and(|(_, s)| s.len() == 2)
        };
        let references: Vec<_> = words.filter(is_reference).collect();
        assert!(!references.is_empty(), "{name}");
        for reference in references {
            assert!(is_known(reference), "{name} refers to {reference}");
        }
    }
}

#[test]
fn man_pages_have_every_section_that_a_reader_looks_for() {
    let cache = Cache::new();
    for (name, text) in pages(&cache) {
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES"] {
            assert!(
                text.contains(&format!("\n.SH {section}\n")),
                "{name}: {section}"
            );
        }
        for section in [
            ".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\n",
            ".SH \"SEE ALSO\"\n",
        ] {
            assert!(text.contains(section), "{name}: {section}");
        }
    }
    let fetch = &pages(&cache)["skopeo-index-fetch"];
    for part in [
        "\n.TP\n\\fB124\\fR\nThe deadline of the run was exceeded\n",
        "\n.SH FILES\n.TP\n\\fI~/.cache/skopeo\\-index\\fR\n",
    ] {
        assert!(fetch.contains(part), "{part}: {fetch}");
    }
}

#[test]
fn man_pages_list_every_environment_variable_that_help_names() {
    let cache = Cache::new();
    let pages = pages(&cache);
    for command in commands(&cache, &[]) {
        let words = command.split('-').chain(["--help"]);
        let help = cache.run(words).stdout;
        let names = help.split("[env: ").skip(1);
        for name in names.filter_map(|rest| rest.split('=').next()) {
            let entry = format!(".TP\n\\fB{name}\\fR\nSame as ");
            assert!(
                pages[&format!("skopeo-index-{command}")].contains(&entry),
                "{entry}"
            );
        }
    }
}

/// A page of one release is the same whenever it is built.
#[test]
fn man_pages_have_the_date_of_the_release() {
    let changelog = include_str!("../../CHANGELOG.md");
    let heading = format!("\n## [{}] - ", env!("CARGO_PKG_VERSION"));
    let date = changelog.split_once(&heading).expect("the release").1;
    for (name, text) in pages(&Cache::new()) {
        let title = format!(".TH {} 1 {} ", name.to_uppercase(), &date[..10]);
        assert!(text.contains(&title), "{title}: {text}");
    }
}

#[test]
fn man_pages_have_no_warnings_of_mandoc() {
    let cache = Cache::new();
    for name in pages(&cache).keys() {
        let mut mandoc = Command::new("mandoc");
        let file = cache.beside("man").join(format!("{name}.1"));
        let output = mandoc.arg("-Tlint").arg(file).output();
        let output = output.expect("mandoc: run `make setup`");
        let warnings = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && warnings.is_empty(), "{warnings}");
    }
}

/// What a shell finds as `skopeo-index`: records its exit status and arguments.
const RECORDS: &str = r#"#!/bin/sh
"$PROGRAM" "$@" < /dev/null
status=$?
echo "$status $*" >> "$RECORD"
exit $status
"#;

/// The files that examples name.
const FILES: &str = r#"
"$PROGRAM" audit keygen --name example.com/builds builds.key > builds.pub
for n in 1 2 3; do
    "$PROGRAM" fetch --audit-log fetch.log --origin example.com/builds "localhost/app@$digest"
done
"$PROGRAM" audit checkpoint --signing-key builds.key fetch.log > fetch.checkpoint
mkdir -p .osbuild/sources/org.osbuild.files .cache "$SKOPEO_INDEX_CACHE"
echo '{}' > manifest.json
echo localhost/app:latest > images.txt
# Other programs are not run.
command_not_found_handle() { :; }
"#;

#[test]
fn man_page_examples_are_not_usage_errors() {
    let programs = Cache::new();
    let bin = programs.beside("bin");
    fs::create_dir(&bin).expect("a directory");
    for (name, text) in [("skopeo-index", RECORDS), ("cosign", "#!/bin/sh\n")] {
        let program = bin.join(name);
        fs::write(&program, text).expect("a file");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    for (name, text) in pages(&Cache::new()) {
        let cache = Cache::new();
        let blocks = text.split("\n.nf\n").skip(1);
        let blocks = blocks.map(|rest| rest.split("\n.fi\n").next().unwrap_or_default());
        let script = blocks.collect::<Vec<_>>().join("\n");
        let script = script
            .replace("\\-", "-")
            .replace("\\\\", "\\")
            .replace("\\*(Aq", "'")
            .replace("/var/log/skopeo-index/", "")
            .replace("/srv/", "");
        let record = cache.beside("record");
        let output = Command::new("/bin/bash")
            .args(["-c", &format!("{FILES}{script}")])
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("RECORD", &record)
            .env("digest", format!("sha256:{}", "0".repeat(64)))
            .env("PROGRAM", test_support::program::binary())
            // No registry is asked.
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .env("SKOPEO_INDEX_OFFLINE", "1")
            .env("SKOPEO_INDEX_RETRY_TIMES", "0")
            .env("SKOPEO_INDEX_CACHE", cache.path())
            .current_dir(cache.beside("."))
            .output()
            .expect("bash");
        let ran = fs::read_to_string(&record).unwrap_or_default();
        let is_usage_error = ran.lines().any(|line| line.starts_with("2 "));
        assert!(!is_usage_error, "{name}: {ran}\n{output:?}");
        let command = name
            .strip_prefix("skopeo-index-")
            .map(|c| c.replace('-', " "));
        assert!(ran.contains(&command.unwrap_or_default()), "{name}: {ran}");
    }
}

/// Quotes and hyphens stay those of ASCII.
#[test]
fn man_page_examples_are_shown_as_a_shell_takes_them() {
    let cache = Cache::new();
    pages(&cache);
    let mut mandoc = Command::new("mandoc");
    let page = cache.beside("man/skopeo-index-fetch.1");
    let shown = mandoc.arg("-Tutf8").arg(page).output();
    let shown = shown.expect("mandoc: run `make setup`").stdout;
    let shown = String::from_utf8(shown).expect("UTF-8");
    let example = "--verifier 'cosign verify --key cosign.pub {reference}' \\\n";
    assert!(shown.contains(example), "{shown}");
}

#[test]
fn man_of_unknown_command_is_a_usage_error() {
    let cache = Cache::new();
    for words in [&["no-such-command"][..], &["audit", "nope"]] {
        let output = cache.run(["man"].iter().chain(words));
        output.assert_status(2);
        let message = format!("no such command: \"{}\"", words.join(" "));
        output.assert_says(&message);
    }
}
