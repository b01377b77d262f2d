# Everything a fresh Debian, Ubuntu or Fedora with a Rust toolchain needs.

CARGO   ?= cargo
PREFIX  ?= /usr/local
DESTDIR ?=
# Only PREFIX is written to. osbuild's packages look in /usr/lib/osbuild: for these, set
# PREFIX=/usr or OSBUILD=/usr/lib/osbuild.
OSBUILD ?= $(PREFIX)/lib/osbuild

# Built by `build`, used by `install`.
BIN     ?= target/release/skopeo-index
META     = src/osbuild/org.osbuild.skopeo-index.meta.json

.PHONY: build demo test check msrv bench proof fuzz coverage setup \
  install install-osbuild uninstall uninstall-osbuild package lint-package try-packages \
  auditable auditable-tool static sbom crates reproducible release-check

# No path of this machine is in a binary, so that builds in any folder give the same bytes.
# Variables and options that say RUSTFLAGS come first, and then have to do that themselves.
CARGO_HOME ?= $(HOME)/.cargo
REMAP = '--remap-path-prefix=$(CURDIR)=/skopeo-index', '--remap-path-prefix=$(CARGO_HOME)=/cargo'
RELEASE = --release --locked --config "build.rustflags = [$(REMAP)]"

build:
	$(CARGO) build $(RELEASE)

demo:
	@sh .ci/setup demo
	$(CARGO) run --locked --example demo

test: setup
	$(CARGO) test --locked --workspace --no-fail-fast

check: msrv
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --workspace --document-private-items
	@! command -v typos >/dev/null || typos
	@! command -v cargo-deny >/dev/null || cargo deny --locked check licenses bans sources
	@! command -v cargo-machete >/dev/null || cargo machete

# The MSRV is declared once. Clippy's incompatible_msrv (part of `check`) finds newer std
# functions; this finds dependencies that need a newer compiler.
msrv:
	@$(CARGO) metadata --locked --format-version 1 | python3 -c 'import json, sys; \
	  v = lambda s: tuple(map(int, (s.split(".") + ["0", "0"])[:3])); \
	  p = json.load(sys.stdin)["packages"]; ours = next(x["rust_version"] for x in p if x["name"] == "skopeo-index"); \
	  bad = [x["name"] + " " + x["rust_version"] for x in p if x["rust_version"] and v(x["rust_version"]) > v(ours)]; \
	  sys.exit("above the MSRV " + ours + ": " + ", ".join(bad) if bad else 0)'

bench: setup build
	$(CARGO) bench --locked --config "build.rustflags = [$(REMAP)]"

# The long form of what `test` does in a short one: about half an hour.
proof: export SKOPEO_INDEX_PROOF = long
proof: setup
	$(CARGO) test --locked --release --test model --test loom -- --nocapture --test-threads=1
	$(CARGO) test --locked --release --test crash --test soak -- --nocapture
	$(MAKE) fuzz SECONDS=20

# Every target for SECONDS, from the committed corpora; -max_len cuts the few
# documents of corpus/index that are longer, and no other input. cargo-fuzz needs a nightly
# toolchain; on stable, RUSTC_BOOTSTRAP=1 enables the same flags.
SECONDS ?= 60
FUZZ = $(if $(findstring nightly,$(shell rustup toolchain list 2>/dev/null)),cargo +nightly,RUSTC_BOOTSTRAP=1 cargo) fuzz
TARGETS = audit digest gate index note packet registry request stderr step
# LTO off: linking ten targets would take longer than fuzzing.
fuzz: export CARGO_PROFILE_RELEASE_LTO = off
fuzz: export CARGO_PROFILE_RELEASE_CODEGEN_UNITS = 16
fuzz:
	cargo fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	set -e; for t in $(TARGETS); do mkdir -p target/fuzz/$$t; \
	  dict=fuzz/dictionary/$$t.dict; \
	  $(FUZZ) run --features libfuzzer $$t target/fuzz/$$t fuzz/corpus/$$t \
	    $$(ls -d corpus/$$t 2>/dev/null) -- -max_len=4096 \
	    -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
	    $$(test ! -f $$dict || echo -dict=$$dict); \
	done

# Line coverage, of the binary that the tests run as well. A killed process leaves no
# figures. The tools must be as new as the toolchain's LLVM.
LLVM ?= 22
coverage: export CARGO_LLVM_COV_SETUP = no
coverage: export LLVM_COV = llvm-cov-$(LLVM)
coverage: export LLVM_PROFDATA = llvm-profdata-$(LLVM)
coverage: setup
	cargo llvm-cov --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-llvm-cov
	command -v $(LLVM_COV) >/dev/null || apt-get install -q -y llvm-$(LLVM)
	$(CARGO) llvm-cov --failure-mode all --locked --workspace --exclude skopeo-index-fuzz --lib --bins --tests

# Real parts for the tests: skopeo, a registry, a tracer.
setup:
	@sh .ci/setup test

# The command line. Builds nothing, so that root needs no toolchain.
SHARE = $(DESTDIR)$(PREFIX)/share
COMPLETIONS = bash-completion/completions/skopeo-index zsh/site-functions/_skopeo-index \
  fish/vendor_completions.d/skopeo-index.fish
SCHEMAS = $(notdir $(wildcard src/cli/schemas/*.json))
install:
	@test -x $(BIN) || { echo "$(BIN) not found: run \`make build\` first" >&2; exit 1; }
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/skopeo-index
	install -d $(SHARE)/man/man1 $(SHARE)/skopeo-index/schemas $(addprefix $(SHARE)/,$(dir $(COMPLETIONS)))
	umask 022; $(BIN) man --dir $(SHARE)/man/man1
	umask 022; set -e; for file in $(COMPLETIONS); do \
	  shell=$${file%%[-/]*}; $(BIN) completions $$shell > $(SHARE)/$$file; done
	umask 022; set -e; for file in $(SCHEMAS); do \
	  $(BIN) schema $${file%.json} > $(SHARE)/skopeo-index/schemas/$$file; done

# The osbuild source: a link to the installed command, and its schema.
SOURCES = $(DESTDIR)$(OSBUILD)/sources
install-osbuild:
	@test -x $(DESTDIR)$(PREFIX)/bin/skopeo-index || \
	  { echo "$(DESTDIR)$(PREFIX)/bin/skopeo-index not found: run \`make install\` first" >&2; exit 1; }
	install -d $(SOURCES)
	ln -sfr $(DESTDIR)$(PREFIX)/bin/skopeo-index $(SOURCES)/org.osbuild.skopeo-index
	install -m 644 $(META) $(SOURCES)/org.osbuild.skopeo-index.meta.json

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/skopeo-index $(addprefix $(SHARE)/,$(COMPLETIONS)) \
	  $(SHARE)/man/man1/skopeo-index.1 $(SHARE)/man/man1/skopeo-index-*.1 \
	  $(SHARE)/man/man1/org.osbuild.skopeo-index.1
	rm -rf $(SHARE)/skopeo-index

uninstall-osbuild:
	rm -f $(SOURCES)/org.osbuild.skopeo-index $(SOURCES)/org.osbuild.skopeo-index.meta.json

# A Debian and an RPM package, in target/package. MAINTAINER is who answers for them.
MAINTAINER ?= skopeo-index packagers <packagers@skopeo-index.example.org>
package: export MAINTAINER := $(MAINTAINER)
package: auditable
	@sh .ci/setup package
	@packaging/build

# What the distributions' own checkers say of the packages.
lint-package: package
	@sh .ci/setup lint-package
	lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs target/package/*.deb
	rpmlint --config packaging/rpm/rpmlint.toml target/package/*.rpm

# Installs, uses, removes and purges the packages in fresh systems, as root: minutes.
try-packages: package
	@sh .ci/setup try-packages
	packaging/try

# The program with the list of its crates inside, for packages and scanners.
auditable: auditable-tool
	$(CARGO) auditable build $(RELEASE)

auditable-tool:
	cargo auditable --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-auditable

# The same in one file that needs nothing but CA certificates: target/static/skopeo-index,
# beside the licenses that go with it. glibc is linked in, so that the toolchain needs no other target.
HOST = $(shell rustc --print host-tuple)
static: auditable-tool
	$(CARGO) auditable build --target $(HOST) --release --locked \
	  --config "build.rustflags = [$(REMAP), '-Ctarget-feature=+crt-static']"
	install -s -D target/$(HOST)/release/skopeo-index target/static/skopeo-index
	install -m 644 LICENSE target/static
	packaging/licenses > target/static/THIRD-PARTY-LICENSES

# The crates of the program, in CycloneDX.
sbom:
	mkdir -p target/sbom
	packaging/sbom > target/sbom/skopeo-index.cdx.json

# Both crates as they would be published, and the tests in them.
crates:
	packaging/crates

# Two builds in two folders.
reproducible: auditable-tool
	packaging/reproducible "auditable static" release/skopeo-index static/skopeo-index \
	  static/THIRD-PARTY-LICENSES

# What a release needs beyond `check` and `test`: about half an hour.
release-check: setup crates reproducible static
	$(CARGO) test --locked --test release -- --include-ignored
