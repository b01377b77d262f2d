//! Examples of the man pages. A test parses each of them.

/// The examples of a page: what each does, and the command.
pub(super) fn examples(page: &str) -> &'static [(&'static str, &'static str)] {
    match page {
        "skopeo-index" => &[
            (
                "Look up the digest that a tag has now, and fetch the index with that digest",
                "index=$(skopeo-index resolve quay.io/fedora/fedora:latest) &&\n\
                 skopeo-index fetch \"$index\"",
            ),
            (
                "Read the page of a nested command",
                "man skopeo-index-audit-verify",
            ),
        ],
        "skopeo-index-fetch" => &[
            (
                "Fetch an index into the default cache",
                "skopeo-index fetch quay.io/fedora/fedora@\"$digest\"",
            ),
            (
                "Fetch every index of an osbuild manifest into an osbuild store, with a log",
                "skopeo-index fetch --store .osbuild --manifest manifest.json \\\n    \
                 --audit-log /var/log/skopeo-index/fetch.log",
            ),
            (
                "Fetch an index that a program approves",
                "skopeo-index fetch \\\n    \
                 --verifier 'cosign verify --key cosign.pub {reference}' \\\n    \
                 quay.io/fedora/fedora@\"$digest\"",
            ),
            (
                "Fetch from a registry that speaks plain HTTP, and print JSON",
                "skopeo-index fetch --tls-verify=false --format json \\\n    \
                 localhost:5000/app@\"$digest\"",
            ),
        ],
        "skopeo-index-resolve" => &[
            (
                "Print the digest that each tag has now",
                "skopeo-index resolve fedora:latest quay.io/centos/centos:stream9",
            ),
            (
                "Print an item of an osbuild manifest",
                "skopeo-index resolve --format osbuild quay.io/fedora/fedora:latest",
            ),
            (
                "Bring the digests of an osbuild manifest up to date",
                "skopeo-index resolve --manifest manifest.json --write",
            ),
            (
                "Print NAME:TAG@DIGEST for each line of a file",
                "skopeo-index resolve --keep-tag --file images.txt",
            ),
        ],
        "skopeo-index-inspect" => &[
            (
                "Show the platforms of the index that a tag has now",
                "skopeo-index inspect quay.io/fedora/fedora:latest",
            ),
            (
                "Print the digest of one platform, of an index in the cache",
                "skopeo-index inspect --platform linux/arm64 \"$digest\"",
            ),
        ],
        "skopeo-index-list" => &[(
            "Print the digests in the default cache",
            "skopeo-index list --format json | jq -r .digest",
        )],
        "skopeo-index-prune" => &[(
            "Remove indexes that a manifest does not name and no run has used for 30 days",
            "skopeo-index prune --keep-manifest manifest.json --older-than 30d --yes",
        )],
        "skopeo-index-verify" => &[
            (
                "Rehash every object of the default cache",
                "skopeo-index verify",
            ),
            (
                "Quarantine an object of an osbuild store if it is corrupt",
                "skopeo-index verify --store .osbuild --quarantine \"$digest\"",
            ),
        ],
        "skopeo-index-audit" => &[(
            "Verify a log, then list its failed fetches",
            "skopeo-index audit verify fetch.log\n\
             skopeo-index audit show --failed fetch.log",
        )],
        "skopeo-index-audit-verify" => &[
            (
                "Verify a rotated log, the log that continues it, and the cached objects",
                "skopeo-index audit verify --cache .cache fetch.log.1 fetch.log",
            ),
            (
                "Verify that nothing was removed since a signed checkpoint",
                "skopeo-index audit verify --checkpoint fetch.checkpoint \\\n    \
                 --key builds.pub fetch.log",
            ),
        ],
        "skopeo-index-audit-show" => &[(
            "List failed fetches as JSON",
            "skopeo-index audit show --failed --format json fetch.log",
        )],
        "skopeo-index-audit-checkpoint" => &[(
            "Save a signed checkpoint, to be stored on another machine",
            "skopeo-index audit checkpoint --signing-key builds.key fetch.log \\\n    \
             > fetch.checkpoint",
        )],
        "skopeo-index-audit-keygen" => &[(
            "Create a key, and save its verifier key",
            "skopeo-index audit keygen --name example.com/builds builds.key > builds.pub",
        )],
        "skopeo-index-audit-rotate" => &[(
            "Continue a log in a new one, and verify both",
            "skopeo-index audit rotate fetch.log --to fetch.log.2026-11\n\
             skopeo-index audit verify fetch.log.2026-11 fetch.log",
        )],
        "skopeo-index-audit-prove" => &[(
            "Prove that record 6 is in the log of a checkpoint, and check that without the log",
            "sed -n 7p fetch.log > record\n\
             skopeo-index audit prove --seq 6 --checkpoint fetch.checkpoint fetch.log > proof\n\
             skopeo-index audit verify --proof proof --record record \\\n    \
             --checkpoint fetch.checkpoint",
        )],
        "skopeo-index-audit-tiles" => &[(
            "Write the tiles of a log below the directory of a web server",
            "skopeo-index audit tiles fetch.log /srv/www/log",
        )],
        "skopeo-index-audit-export" => &[
            (
                "Export every verdict as an unsigned statement",
                "skopeo-index audit export --in-toto --all \\\n    \
                 --verifier-id https://example.com/builds fetch.log",
            ),
            (
                "Export the verdicts on one index in signed envelopes",
                "skopeo-index audit export --in-toto --digest \"$digest\" --dsse \\\n    \
                 --signing-key builds.key --verifier-id https://example.com/builds \\\n    \
                 -o statements.jsonl fetch.log",
            ),
        ],
        "skopeo-index-schema" => &[(
            "Write the schema of the audit log's records",
            "skopeo-index schema record > record.json",
        )],
        "skopeo-index-states" => &[(
            "Draw the states with Graphviz",
            "skopeo-index states --format dot | dot -Tsvg -o states.svg",
        )],
        "skopeo-index-completions" => &[(
            "Complete in this shell",
            "source <(skopeo-index completions bash)",
        )],
        "skopeo-index-man" => &[
            (
                "Read a page that is not installed",
                "skopeo-index man audit verify | man -l -",
            ),
            ("Write all pages", "skopeo-index man --dir man1"),
        ],
        "org.osbuild.skopeo-index" => &[(
            "Build an image with a log of what this source fetched",
            "SKOPEO_INDEX_AUDIT_LOG=/var/log/skopeo-index/fetch.log \\\n    \
             osbuild --store .osbuild manifest.json",
        )],
        _ => &[],
    }
}
