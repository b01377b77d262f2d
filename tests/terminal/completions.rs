//! Completions, in the shells that are installed.

use std::process::Command;

use test_support::program::binary;
use test_support::program::harness::Cache;

/// What is typed before a completion, and one of the words that complete it.
const CASES: [(&[&str], &str); 17] = [
    (&["fe"], "fetch"),
    (&["fetch", "--pro"], "--progress"),
    (&["fetch", "--progress", ""], "plain"),
    (&["fetch", "--progress", "js"], "json"),
    (&["audit", ""], "verify"),
    (&["audit", "ver"], "verify"),
    (&["audit", "verify", "--check"], "--checkpoint"),
    (&["audit", "verify", "--format", ""], "json"),
    (&["resolve", "--jo"], "--jobs"),
    (&["fetch", "--transport", "c"], "containers-storage"),
    (&["man", "aud"], "audit"),
    (&["man", "audit", "exp"], "export"),
    (&["completions", ""], "elvish"),
    (&["schema", "fetch-"], "fetch-dry-run"),
    (&["help", ""], "resolve"),
    (&["help", "ma"], "man"),
    (&["help", "audit", "exp"], "export"),
];

/// Completes as bash does: the registered function, with the words in `COMP_WORDS`.
const BASH: &str = r#"
source "$1"; shift
[[ $(complete -p skopeo-index) =~ -F\ ([^ ]+) ]]
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"${BASH_REMATCH[1]}" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

const FISH: &str = "source $argv[1]; complete -C (string join ' ' -- $argv[2..])";

fn is_installed(shell: &str) -> bool {
    Command::new(shell).arg("--version").output().is_ok()
}

/// The completions of a shell, beside a cache.
fn script(cache: &Cache, shell: &str) -> std::path::PathBuf {
    let script = cache.beside(shell);
    std::fs::write(&script, cache.run(["completions", shell]).stdout).expect("a file");
    script
}

fn complete(shell: &str, code: &str, program: &str, words: &[&str]) -> Vec<String> {
    let cache = Cache::new();
    let mut command = Command::new(shell);
    command.arg("-c").arg(code);
    if shell == "bash" {
        command.arg("bash");
    }
    command.arg(script(&cache, shell)).arg(program).args(words);
    let output = command.output().expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.stderr.is_empty(), "{output:?}");
    let words = text.lines().filter_map(|line| line.split('\t').next());
    words.map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_nested_commands_options_and_values() {
    let path = binary();
    for program in ["skopeo-index", path.to_str().expect("UTF-8")] {
        for (words, expected) in CASES {
            let found = complete("bash", BASH, program, words);
            assert!(
                found.iter().any(|word| word == expected),
                "{words:?}: {found:?}"
            );
        }
    }
}

#[test]
fn bash_completes_values_after_an_equals_sign() {
    for (option, begun, expected) in [
        ("--progress", "j", &["json"][..]),
        ("--progress", "", &["auto", "plain", "json", "none"]),
        ("--engine", "r", &["registry"]),
        ("--tls-verify", "f", &["false"]),
        ("--tls-verify", "", &["true", "false"]),
        ("--transport", "c", &["containers-storage"]),
    ] {
        // bash splits words at `=`, and an empty word after it is that sign itself.
        let words = ["fetch", option, "=", begun];
        let words = words.into_iter().filter(|word| !word.is_empty());
        let found = complete("bash", BASH, "skopeo-index", &words.collect::<Vec<_>>());
        assert_eq!(found, expected, "{option}={begun}");
    }
}

#[test]
fn bash_completes_no_value_of_tls_verify_without_an_equals_sign() {
    let found = complete(
        "bash",
        BASH,
        "skopeo-index",
        &["fetch", "--tls-verify", "t"],
    );
    assert_eq!(found, [""]);
}

#[test]
fn fish_completes_commands_nested_commands_options_and_values() {
    if !is_installed("fish") {
        return;
    }
    for (words, expected) in CASES {
        let found = complete("fish", FISH, "skopeo-index", words);
        assert!(
            found.iter().any(|word| word == expected),
            "{words:?}: {found:?}"
        );
    }
}

#[test]
fn fish_completes_no_file_where_arguments_have_values() {
    let script = Cache::new().run(["completions", "fish"]).stdout;
    for words in ["completions; and not", "schema; and not", "help; and not"] {
        let lines = || script.lines().filter(|line| line.contains(words));
        let values = lines().filter(|line| line.contains(" -a ")).count();
        let without_files = lines().filter(|line| line.contains(" -f -a ")).count();
        assert!(values > 3 && values == without_files, "{words}");
    }
    if !is_installed("fish") {
        return;
    }
    let found = complete("fish", FISH, "skopeo-index", &["completions", ""]);
    let shells = ["bash", "elvish", "fish", "powershell", "zsh"];
    assert_eq!(found, shells);
    let files = complete("fish", FISH, "skopeo-index", &["help", "Cargo"]);
    assert_eq!(files, [""; 0]);
}

#[test]
fn zsh_script_has_no_colon_in_the_name_of_a_value() {
    let script = Cache::new().run(["completions", "zsh"]).stdout;
    let creds = script.lines().find(|line| line.contains("'--creds="));
    let creds = creds.expect("the option");
    assert!(creds.contains(r"]:USER[\:PASSWORD]:_default"), "{creds}");
}

/// Types into an interactive zsh, on a terminal of its own.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty z zsh -fi
zpty -w z "PS1=; cd ${(q)1:h}; fpath=(${(q)1:h} \$fpath); autoload -Uz compinit; compinit -u -D; source ${(q)1}; echo READY"
zpty -r z line '*READY*READY*'
zpty -n -w z "${(j: :)argv[2,-1]}"$'\t\t'
sleep 2
zpty -r -t z line && print -r -- $line
while zpty -r -t z line; do print -r -- $line; done
zpty -d z
"#;

#[test]
fn zsh_completes_commands_nested_commands_options_and_values() {
    if !is_installed("zsh") {
        return;
    }
    let cache = Cache::new();
    let script = script(&cache, "zsh");
    let value = (&["fetch", "--creds", ""][..], "--creds");
    for (words, expected) in CASES.into_iter().chain([value]) {
        let mut command = Command::new("zsh");
        command
            .args(["-fc", ZSH, "zsh"])
            .arg(&script)
            .arg("skopeo-index")
            .args(words);
        let output = command.output().expect("zsh");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(expected), "{words:?}: {text:?} {output:?}");
        assert!(!text.contains("not found"), "{words:?}: {text:?}");
    }
}
