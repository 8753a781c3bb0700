//! The commands in the documents work, and print what the documents show.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use synod_e2e::{Sandbox, run, synod};

#[test]
fn the_commands_of_the_readme_and_the_tutorial_work() {
    // One after the other in one network: each begins where a reader of both would be.
    run_commands_of(&["README.md", "docs/src/start/tutorial.md"]);
}

#[test]
fn the_commands_of_the_guide_for_members_work() {
    run_commands_of(&["docs/src/guides/governance.md"]);
}

fn run_commands_of(documents: &[&str]) {
    let sandbox = Sandbox::start();
    for document in documents {
        let commands = marked_commands(&read(document));
        assert!(!commands.is_empty(), "{document} marks the commands that run in a sandbox");
        for command in commands {
            eprintln!("{document}: {command}");
            let finished = sandbox.shell(&command);
            assert_eq!(finished.status, 0, "{document}: {command}\n{}{}", finished.stdout, finished.stderr);
        }
    }
}

/// Shown by running it and comparing line by line; numbers and digests differ from run to run.
#[test]
fn the_readmes_first_command_prints_what_the_readme_shows() {
    let readme = read("README.md");
    let block = readme.split("```").nth(1).expect("the README has a code block");
    let mut lines = block.lines().skip(1).map(str::trim_end);
    assert_eq!(lines.next(), Some("$ cargo run --release --bin synod -- sandbox"));
    let shown: Vec<_> = lines.filter(|line| !line.is_empty() && *line != "...").map(shape).collect();
    assert!(shown.len() >= 5);

    let mut sandbox = Command::new(synod())
        .args(["sandbox", "--rpc-port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the synod binary starts");
    let mut printed = Vec::new();
    for line in BufReader::new(sandbox.stdout.take().expect("a pipe")).lines() {
        let line = line.expect("the sandbox prints text");
        let is_last = line.starts_with("stop with");
        printed.push(shape(line.trim_end()));
        if is_last {
            break;
        }
    }
    let stopped = Command::new("kill").args(["-INT", &sandbox.id().to_string()]).status().expect("kill runs");
    assert!(stopped.success());
    assert!(sandbox.wait().expect("the sandbox is our child").success(), "Ctrl-C stops the network in good order");
    let mut rest = printed.iter();
    for line in &shown {
        assert!(rest.any(|found| found == line), "the sandbox prints, in this order, {line:?}: {printed:#?}");
    }
}

/// `SYNOD_FIX=1 cargo test -p synod-e2e --test documents` writes it.
#[test]
fn the_command_line_reference_is_the_binarys_own_help() {
    const BEGIN: &str = "<!-- help from the binary: begin -->\n";
    const END: &str = "<!-- help from the binary: end -->";
    let path = "docs/src/reference/cli.md";
    let document = read(path);
    let (before, rest) = document.split_once(BEGIN).expect("the opening marker is there");
    let (written, after) = rest.split_once(END).expect("the closing marker is there");
    let mut helps = String::new();
    collect_help(&mut Vec::new(), &mut helps);
    if std::env::var_os("SYNOD_FIX").is_some() {
        fs::write(root().join(path), format!("{before}{BEGIN}{helps}{END}{after}")).expect("the page can be written");
    } else {
        assert!(
            written == helps,
            "{path} is behind the binary: run SYNOD_FIX=1 cargo test -p synod-e2e --test documents"
        );
    }
}

/// Appends the help of `command` and of all below it.
fn collect_help(command: &mut Vec<String>, out: &mut String) {
    let help = run(command.iter().map(String::as_str).chain(["--help"])).succeeded().stdout;
    let heading = format!("synod {}", command.join(" "));
    let trimmed: Vec<_> = help.trim_end().lines().map(str::trim_end).collect();
    out.push_str(&format!("## `{}`\n\n```text\n{}\n```\n\n", heading.trim(), trimmed.join("\n")));
    let commands = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        let name =
            line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')).and_then(|rest| rest.split(' ').next());
        if let Some(name) = name.filter(|name| *name != "help") {
            command.push(name.to_owned());
            collect_help(command, out);
            command.pop();
        }
    }
}

/// Everything between the marks for commands, as one script a mark: lines after `$ `, or indented by four.
fn marked_commands(text: &str) -> Vec<String> {
    let marked = text.split("<!-- run in a sandbox: begin -->").skip(1);
    let blocks = marked.filter_map(|rest| rest.split("<!-- run in a sandbox: end -->").next());
    let command = |line: &str| line.strip_prefix("$ ").or(line.strip_prefix("    ")).map(str::to_owned);
    blocks.map(|block| block.lines().filter_map(command).collect::<Vec<_>>().join("\n")).collect()
}

/// A line without what differs from run to run: digits, and words of hexadecimal digits.
fn shape(line: &str) -> String {
    let is_hex = |word: &str| word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = line.split(' ').map(|word| if is_hex(word) { "#".to_owned() } else { without_digits(word) });
    words.collect::<Vec<_>>().join(" ")
}

fn without_digits(word: &str) -> String {
    let mut shape = String::new();
    for c in word.chars() {
        let c = if c.is_ascii_digit() { '#' } else { c };
        if !(c == '#' && shape.ends_with('#')) {
            shape.push(c);
        }
    }
    shape
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
