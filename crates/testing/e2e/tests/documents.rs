//! The commands in the documents work, and print what the documents show.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use synod_e2e::{Sandbox, free_ports, run, synod};

#[test]
fn the_commands_of_the_readme_and_the_tutorial_work_and_print_what_is_shown() {
    // One after the other in one network: each begins where a reader of both would be.
    run_examples_of(&["README.md", "docs/src/start/tutorial.md"]);
}

#[test]
fn the_commands_of_the_guide_for_members_work_and_print_what_is_shown() {
    run_examples_of(&["docs/src/guides/governance.md"]);
}

/// Every line that is shown below commands has to be printed by them, in this order, among others.
fn run_examples_of(documents: &[&str]) {
    let sandbox = Sandbox::start();
    for document in documents {
        let examples = examples(&read(document));
        assert!(!examples.is_empty(), "{document} marks the commands that run in a sandbox");
        for Example { script, shown } in examples {
            eprintln!("{document}: {script}");
            // What an example leaves running ends with it.
            let line = format!("exec 2>&1\n{TRAP}\n{}", with_free_ports(&script));
            let finished = sandbox.shell(&line);
            assert_eq!(finished.status, 0, "{document}: {script}\n{}", finished.stdout);
            let mut printed = finished.stdout.lines().map(shape);
            for line in &shown {
                let is_printed = printed.any(|found| found == shape(line));
                assert!(is_printed, "{document} shows {line:?}\nof {script}\nwhich printed\n{}", finished.stdout);
            }
        }
    }
}

const TRAP: &str = r#"trap '[ -z "$!" ] || kill "$!" 2>/dev/null || true' EXIT"#;

/// Whoever reads the documents has these ports; a test takes free ones.
fn with_free_ports(script: &str) -> String {
    ["127.0.0.1:8104", "127.0.0.1:8204"]
        .into_iter()
        .zip(free_ports())
        .fold(script.to_owned(), |script, (port, free)| script.replace(port, &format!("127.0.0.1:{free}")))
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

/// Commands that a document marks, and what it shows of their output.
struct Example {
    script: String,
    shown: Vec<String>,
}

/// Between two marks are commands: lines after `$ `, or indented by four. Other lines there are output, and so is what
/// follows the marks indented.
fn examples(text: &str) -> Vec<Example> {
    let marked = text.split("<!-- run in a sandbox: begin -->").skip(1);
    let marked = marked.filter_map(|rest| rest.split_once("<!-- run in a sandbox: end -->"));
    marked.map(|(block, after)| Example { script: commands(block), shown: output(block, after) }).collect()
}

fn commands(block: &str) -> String {
    let command = |line: &str| line.strip_prefix("$ ").or(line.strip_prefix("    ")).map(str::to_owned);
    block.lines().filter_map(command).collect::<Vec<_>>().join("\n")
}

fn output(block: &str, after: &str) -> Vec<String> {
    let is_output = |line: &&str| !["$ ", "    ", "```"].iter().any(|other| line.starts_with(other));
    let within = block.lines().filter(is_output);
    let below = after.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    within.chain(below).map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// A line without what differs from run to run: digits, words of hexadecimal digits, and how wide columns are.
fn shape(line: &str) -> String {
    let words = line.split_whitespace().map(|word| if is_hex(word) { "#".to_owned() } else { without_digits(word) });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether a word is a digest or an id, in parentheses or not; documents shorten them with an ellipsis.
fn is_hex(word: &str) -> bool {
    let word = word.trim_matches(['(', ')', ',', '"']);
    let (digits, size_min) = word.strip_suffix('…').map_or((word, 16), |short| (short, 4));
    digits.len() >= size_min && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
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
