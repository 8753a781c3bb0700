//! LIMITS.md says what the code says.

use std::fs;

use crate::repository;

const BEGIN: &str = "<!-- limits from the sources: begin -->\n";
const END: &str = "<!-- limits from the sources: end -->";

/// Shown by making the table anew from the sources. `SYNOD_FIX=1 cargo test -p synod-e2e --test house` writes it.
#[test]
fn each_limit_of_the_sources_stands_in_limits_md_with_its_value_and_reason() {
    let limits = repository::files_below("crates", ".rs").iter().flat_map(|path| limits_of(path)).collect::<Vec<_>>();
    let without_reason: Vec<_> =
        limits.iter().filter(|limit| limit.reason.is_empty()).map(|limit| &limit.name).collect();
    assert!(without_reason.is_empty(), "a limit has its reason beside it, as a doc comment: {without_reason:?}");

    let document = repository::read("LIMITS.md");
    let (before, rest) = document.split_once(BEGIN).expect("LIMITS.md has the opening marker");
    let (table, after) = rest.split_once(END).expect("LIMITS.md has the closing marker");
    let expected = table_of(&limits);
    if std::env::var_os("SYNOD_FIX").is_some() {
        let fixed = format!("{before}{BEGIN}{expected}{END}{after}");
        fs::write(repository::root().join("LIMITS.md"), fixed).expect("LIMITS.md can be written");
    } else if table != expected {
        let differing = expected.lines().filter(|line| !table.contains(line)).collect::<Vec<_>>().join("\n");
        panic!("LIMITS.md is behind the sources; run SYNOD_FIX=1 cargo test -p synod-e2e --test house\n{differing}");
    }
}

struct Limit {
    name: String,
    value: String,
    reason: String,
    file: String,
}

/// The constants of a file whose names say that they bound something.
fn limits_of(path: &std::path::Path) -> Vec<Limit> {
    let file = repository::relative(path);
    if file.contains("/tests/") || file.contains("crates/testing/") {
        return Vec::new();
    }
    let text = fs::read_to_string(path).expect("a source file is readable");
    let mut limits = Vec::new();
    let mut reason: Vec<&str> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line == "#[cfg(test)]" {
            break;
        } else if let Some(comment) = line.strip_prefix("///") {
            reason.push(comment.trim());
        } else if let Some(mut limit) = constant(line) {
            while !limit.value.ends_with(';') {
                let Some(next) = lines.next() else { break };
                limit.value = format!("{} {}", limit.value, next.trim()).trim().to_owned();
            }
            limit.value.truncate(limit.value.trim_end_matches(';').len());
            if is_limit(&limit) {
                limits.push(Limit { reason: reason.join(" "), file: file.clone(), ..limit });
            }
            reason.clear();
        } else if !line.starts_with("#[") {
            reason.clear();
        }
    }
    limits
}

/// The name and the value of `const NAME: T = value;`, the value still with its semicolon.
fn constant(line: &str) -> Option<Limit> {
    let declared = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
    let (name, rest) = declared.strip_prefix("const ")?.split_once(':')?;
    let (_, value) = rest.split_once('=')?;
    let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    is_name.then(|| Limit {
        name: name.to_owned(),
        value: value.trim().to_owned(),
        reason: String::new(),
        file: String::new(),
    })
}

/// Whether a constant bounds something by itself: not a second name of another limit, nor a number of a format.
fn is_limit(limit: &Limit) -> bool {
    let ends = |endings: &[&str], text: &str| endings.iter().any(|ending| text.ends_with(ending));
    let is_alias = limit.value.chars().all(|c| c.is_alphanumeric() || "_:".contains(c)) && ends(ENDINGS, &limit.value);
    ends(ENDINGS, &limit.name) && !is_alias && !NUMBERS_OF_FORMATS.contains(&limit.name.as_str())
}

/// How the names of limits end.
const ENDINGS: &[&str] = &["_MAX", "_WINDOW_BYTES", "_TIMEOUT"];

/// Numbers that a format of others fixes.
const NUMBERS_OF_FORMATS: &[&str] = &["SHORT_SIZE_MAX", "TOPICS_MAX"];

fn table_of(limits: &[Limit]) -> String {
    let mut table = String::from("| limit | value | why | in |\n|---|---|---|---|\n");
    for Limit { name, value, reason, file } in limits {
        let reason = reason.replace('|', "\\|").replace("[`", "`").replace("`]", "`");
        let file = file.trim_start_matches("crates/").replace("/src/", ": ");
        table.push_str(&format!("| `{name}` | `{value}` | {reason} | {file} |\n"));
    }
    table
}
