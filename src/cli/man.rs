//! `skopeo-index man`: a page for each command, from the definition of the command line.

mod examples;

use std::fs;
use std::path::PathBuf;

use clap::{Command, CommandFactory, ValueEnum};
use clap_mangen::roff::{Roff, bold, italic, roman};
use skopeo_index::os::best_effort;
use skopeo_index_core::escape::quote;
use skopeo_index_core::osbuild::SOURCE;

use self::examples::examples;
use super::Cli;
use super::exit::{ExitStatus, SEVERAL_FAILURES};
use super::output::{self, CliError};
use super::service;

/// Date of the pages: that of this version in CHANGELOG.md, so that a page of one source is
/// the same whenever it is made.
const DATE: &str = "2026-11-25";

/// Bytes in a line of a page, as mandoc's style has it.
const MAX_LINE: usize = 79;

/// Pages of commands that have none of the exit statuses from 10 on.
const WITHOUT_OTHER_STATUSES: [&str; 5] = [
    "skopeo-index-schema",
    "skopeo-index-states",
    "skopeo-index-completions",
    "skopeo-index-man",
    SOURCE,
];

/// Print a man page, or write all of them
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Command of the page, such as `fetch` or `audit verify`
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Vec<String>,
    /// Write every page to this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let pages = pages();
    if let Some(dir) = &args.dir {
        for page in &pages {
            let file = dir.join(format!("{}.1", page.name));
            let written = fs::create_dir_all(dir).and_then(|()| fs::write(&file, page.text()));
            written.map_err(|error| CliError::file(ExitStatus::Other, &file, error))?;
        }
        return Ok(());
    }
    let words: Vec<_> = args.command.iter().map(String::as_str).collect();
    let name = match words.as_slice() {
        [SOURCE] => SOURCE.to_owned(),
        words => [&[super::PROGRAM], words].concat().join("-"),
    };
    let page = pages.iter().find(|page| page.name == name);
    let page = page
        .ok_or_else(|| CliError::usage(format!("no such command: {}", quote(&words.join(" ")))))?;
    output::bytes(page.text().into_bytes())
}

struct Page {
    command: Command,
    name: String,
    /// Names of other pages.
    related: Vec<String>,
}

/// The pages of every command and of the osbuild source.
fn pages() -> Vec<Page> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut source = service::Args::command();
    source.build();
    let mut pages = Vec::new();
    add_pages(&root, &[SOURCE], &mut pages);
    add_pages(&source, &[super::PROGRAM], &mut pages);
    pages
}

/// Adds the pages of a command and of those below it, which refer to each other.
fn add_pages(command: &Command, parents: &[&str], pages: &mut Vec<Page>) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let children = || command.get_subcommands().filter(|c| !c.is_hide_set());
    let children_names = children().filter_map(|child| child.get_display_name());
    pages.push(Page {
        command: command.clone(),
        name: name.to_owned(),
        related: parents
            .iter()
            .copied()
            .chain(children_names)
            .map(str::to_owned)
            .collect(),
    });
    for child in children() {
        add_pages(child, &[name], pages);
    }
}

impl Page {
    /// The page in the man(7) language.
    fn text(&self) -> String {
        let usage = self.command.clone().render_usage().to_string();
        let command = self
            .command
            .clone()
            .override_usage(usage.trim_start_matches("Usage: ").to_owned())
            .subcommand_help_heading("COMMANDS")
            .after_help("");
        let page = clap_mangen::Man::new(command)
            .title(self.name.to_uppercase())
            .date(DATE)
            .source(concat!("skopeo-index ", env!("CARGO_PKG_VERSION")))
            .manual("User Commands");
        let mut bytes = Vec::new();
        // Writing to memory succeeds.
        best_effort(page.render(&mut bytes));
        let text = String::from_utf8_lossy(&bytes);
        // Instead of a section EXTRA, and of VERSION, which is in the footer.
        let text = text.split("\n.SH EXTRA\n").next().unwrap_or_default();
        // An empty line between two breaks is too much.
        let text = text.replace("\n.br\n\n.br\n", "\n.sp\n");
        // The definitions for apostrophes are there already.
        let sections = self.sections().render();
        let sections = sections.split_once("\n.SH").unwrap_or_default().1;
        wrap(&ascii(&format!("{text}\n.SH{sections}")))
    }

    /// The sections after the options.
    fn sections(&self) -> Roff {
        let mut roff = Roff::new();
        self.exit_status(&mut roff);
        self.environment(&mut roff);
        self.files(&mut roff);
        let examples = examples(&self.name);
        if !examples.is_empty() {
            roff.control("SH", ["EXAMPLES"]);
        }
        for (n, (purpose, command)) in examples.iter().enumerate() {
            if n > 0 {
                roff.control("PP", []);
            }
            roff.text([roman(format!("{purpose}:"))]);
            roff.control("PP", [])
                .control("RS", ["4"])
                .control("nf", []);
            roff.text([roman(*command)]);
            roff.control("fi", []).control("RE", []);
        }
        roff.control("SH", ["SEE ALSO"]);
        let mut related: Vec<_> = self
            .related
            .iter()
            .map(|name| (name.as_str(), "1"))
            .collect();
        if self.has_option("authfile") {
            related.extend([
                ("skopeo", "1"),
                ("containers-auth.json", "5"),
                ("containers-registries.conf", "5"),
            ]);
        }
        related.sort_by_key(|(name, section)| (*section, *name));
        let last = related.len().saturating_sub(1);
        for (n, (name, section)) in related.into_iter().enumerate() {
            let end = if n < last { "," } else { "" };
            roff.text([bold(name), roman(format!("({section}){end}"))]);
        }
        roff
    }

    fn has_option(&self, long: &str) -> bool {
        let mut args = self.command.get_arguments();
        args.any(|arg| arg.get_long() == Some(long))
    }

    fn exit_status(&self, roff: &mut Roff) {
        roff.control("SH", ["EXIT STATUS"]);
        let has_others = !WITHOUT_OTHER_STATUSES.contains(&self.name.as_str());
        let statuses = ExitStatus::value_variants().iter();
        for status in statuses.filter(|status| has_others || (**status as u8) < 10) {
            let value = status.to_possible_value();
            let help = value.as_ref().and_then(|value| value.get_help());
            let help = help.map(ToString::to_string).unwrap_or_default();
            roff.control("TP", []);
            roff.text([bold((*status as u8).to_string())])
                .text([roman(help)]);
        }
        if has_others {
            roff.control("PP", []).text([roman(SEVERAL_FAILURES)]);
        }
    }

    fn environment(&self, roff: &mut Roff) {
        let args = self.command.get_arguments();
        let mut variables: Vec<_> = args
            .filter_map(|arg| Some((arg.get_env()?.to_str()?, format!("--{}", arg.get_long()?))))
            .collect();
        if variables.is_empty() {
            return;
        }
        variables.sort_unstable();
        roff.control("SH", ["ENVIRONMENT"]);
        roff.text([roman(
            "The command line takes precedence over a variable. An empty variable means unset. \
             Booleans are 1, yes, true or on, and 0, no, false or off.",
        )]);
        for (variable, option) in variables {
            roff.control("TP", []).text([bold(variable)]);
            roff.text([roman("Same as "), bold(option), roman(".")]);
        }
        let mut others: Vec<(&str, &str)> = Vec::new();
        if self.has_option("cache") {
            others.push(("XDG_CACHE_HOME", "Parent of the default cache directory."));
        }
        if self.has_option("progress") {
            others.push(("TERM", "`dumb` gives plain lines instead of bars."));
        }
        if self.has_option("authfile") {
            others.push((
                "REGISTRY_AUTH_FILE",
                "Credentials, if --authfile is not given. Other variables of skopeo, such as \
                 those of a proxy, apply as well.",
            ));
        }
        for (variable, text) in others {
            roff.control("TP", [])
                .text([bold(variable)])
                .text([roman(text)]);
        }
    }

    fn files(&self, roff: &mut Roff) {
        let mut files: Vec<(&str, &str)> = Vec::new();
        if self.has_option("store") {
            files.push(("~/.cache/skopeo-index", "Default cache directory."));
        }
        if self.has_option("authfile") {
            files.extend([
                (
                    "${XDG_RUNTIME_DIR}/containers/auth.json",
                    "Credentials, as `skopeo login` writes them.",
                ),
                (
                    "/etc/containers/registries.conf",
                    "Mirrors and other settings of registries.",
                ),
                (
                    "/etc/containers/certs.d",
                    "Certificates of registries, and of clients.",
                ),
            ]);
        }
        if self.name == SOURCE {
            files.push((
                "/usr/lib/osbuild/sources",
                "Where osbuild looks for its sources.",
            ));
        }
        if !files.is_empty() {
            roff.control("SH", ["FILES"]);
        }
        for (file, text) in files {
            roff.control("TP", [])
                .text([italic(file)])
                .text([roman(text)]);
        }
    }
}

/// Writes other characters than ASCII as roff's names of them.
fn ascii(text: &str) -> String {
    let escape = |c: char| match c.is_ascii() {
        true => c.to_string(),
        false => format!("\\[u{:04X}]", u32::from(c)),
    };
    text.chars().map(escape).collect()
}

/// Wraps lines of text, and sets `code` in bold type. The line after .TP is a label, and
/// lines between .nf and .fi stay as they are.
fn wrap(text: &str) -> String {
    let (mut wrapped, mut is_label, mut is_verbatim) = (String::new(), false, false);
    for line in text.lines() {
        is_verbatim = line == ".nf" || is_verbatim && line != ".fi";
        if is_label || is_verbatim || line.starts_with('.') {
            wrapped.push_str(line.trim_end());
        } else {
            wrapped.push_str(&wrap_line(&bold_code(line)));
        }
        wrapped.push('\n');
        is_label = line == ".TP";
    }
    wrapped
}

fn wrap_line(line: &str) -> String {
    let (mut wrapped, mut length) = (String::new(), 0);
    for word in line.split_whitespace() {
        if length > 0 && length + 1 + word.len() > MAX_LINE {
            // A point or an apostrophe would begin a request.
            let is_request = word.starts_with(['.', '\'']);
            wrapped.push_str(if is_request { "\n\\&" } else { "\n" });
            length = 0;
        } else if length > 0 {
            wrapped.push(' ');
            length += 1;
        }
        wrapped.push_str(word);
        length += word.len();
    }
    wrapped
}

/// Sets what is between backquotes in bold type.
fn bold_code(line: &str) -> String {
    let mut parts = line.split('`');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (n, part) in parts.enumerate() {
        text.push_str(if n % 2 == 0 { "\\fB" } else { "\\fR" });
        text.push_str(part);
    }
    text
}
