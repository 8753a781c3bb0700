//! Dependencies point down only.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::repository;

/// Which crates of ours each crate may name in `[dependencies]`. Dev-dependencies are free: a test may
/// look from above. A new crate needs a line here, hence a decision.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("synod-types", &[]),
    ("synod-crypto", &["synod-types"]),
    ("synod-kv", &["synod-types", "synod-crypto"]),
    ("synod-ledger", &["synod-types", "synod-crypto"]),
    ("synod-consensus", &["synod-types", "synod-crypto"]),
    ("synod-worker", &["synod-types", "synod-crypto", "synod-kv"]),
    ("synod-governance", &["synod-types", "synod-crypto", "synod-kv"]),
    (
        "synod-node",
        &[
            "synod-types",
            "synod-crypto",
            "synod-kv",
            "synod-ledger",
            "synod-consensus",
            "synod-worker",
            "synod-governance",
        ],
    ),
    ("synod-log", &["synod-types", "synod-crypto", "synod-kv", "synod-worker"]),
    ("synod-evm", &["synod-types", "synod-crypto", "synod-kv", "synod-worker"]),
    (
        "synod-enclave",
        &["synod-types", "synod-crypto", "synod-kv", "synod-ledger", "synod-worker", "synod-governance", "synod-node"],
    ),
    ("synod-host", &["synod-types"]),
    ("synod-client", &["synod-types", "synod-crypto", "synod-ledger", "synod-governance"]),
    (
        "synod",
        &[
            "synod-types",
            "synod-crypto",
            "synod-kv",
            "synod-ledger",
            "synod-worker",
            "synod-governance",
            "synod-node",
            "synod-log",
            "synod-evm",
            "synod-enclave",
            "synod-host",
            "synod-client",
        ],
    ),
    (
        "synod-sim",
        &[
            "synod-types",
            "synod-crypto",
            "synod-kv",
            "synod-ledger",
            "synod-consensus",
            "synod-worker",
            "synod-governance",
            "synod-node",
            "synod-log",
        ],
    ),
    ("synod-e2e", &["synod-types"]),
];

/// Crates that are deterministic and touch no clock, socket, file or thread.
const CORE: &[&str] = &[
    "synod-types",
    "synod-crypto",
    "synod-kv",
    "synod-worker",
    "synod-ledger",
    "synod-consensus",
    "synod-governance",
    "synod-node",
    "synod-log",
    "synod-evm",
];

/// What no crate of the core may name: runtimes, sockets, clocks, entropy.
const NOT_IN_THE_CORE: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "hyper",
    "h2",
    "rustls",
    "tokio-rustls",
    "rand",
    "getrandom",
    "chrono",
    "time",
    "rustix",
    "libc",
];

/// What must not even be reachable from the host: it carries ciphertext and has no business with keys.
const NOT_BELOW_THE_HOST: &[&str] =
    &["aws-lc-rs", "aws-lc-sys", "ring", "rustls", "tokio-rustls", "secp256k1", "rcgen", "revm", "synod-crypto"];

#[test]
fn dependencies_point_down_only() {
    let workspace = Workspace::load();
    for (name, named) in &workspace.direct {
        let allowed = MAY_NAME
            .iter()
            .find(|(of, _)| of == name)
            .unwrap_or_else(|| panic!("{name} is new: decide in MAY_NAME which crates it may name"))
            .1;
        let ours = named.iter().filter(|other| workspace.direct.contains_key(*other));
        let forbidden: Vec<_> = ours.filter(|other| !allowed.contains(&other.as_str())).collect();
        assert!(forbidden.is_empty(), "{name} must not depend on {forbidden:?}: dependencies point down only");
    }
}

#[test]
fn the_core_depends_on_no_runtime_socket_clock_or_entropy() {
    let workspace = Workspace::load();
    for name in CORE {
        let named = &workspace.direct[*name];
        let forbidden: Vec<_> = NOT_IN_THE_CORE.iter().filter(|guest| named.contains(**guest)).collect();
        assert!(forbidden.is_empty(), "{name} is deterministic and must not depend on {forbidden:?}");
    }
}

#[test]
fn the_host_is_built_without_any_cipher() {
    let below = Workspace::load().all_below("synod-host");
    let forbidden: Vec<_> = NOT_BELOW_THE_HOST.iter().filter(|guest| below.contains(**guest)).collect();
    assert!(forbidden.is_empty(), "the untrusted host must not reach {forbidden:?}");
}

/// What `cargo metadata` says, reduced to names.
struct Workspace {
    /// Every member with what its `[dependencies]` and `[build-dependencies]` name.
    direct: BTreeMap<String, BTreeSet<String>>,
    /// Every package of the graph with the packages that it is built with, by package id.
    resolved: BTreeMap<String, BTreeSet<String>>,
    name_of: BTreeMap<String, String>,
}

impl Workspace {
    fn load() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"])
            .current_dir(repository::root())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");

        let members: BTreeSet<&str> = array(&metadata["workspace_members"]).map(text).collect();
        let mut direct = BTreeMap::new();
        let mut name_of = BTreeMap::new();
        for package in array(&metadata["packages"]) {
            let (id, name) = (text(&package["id"]), text(&package["name"]).to_owned());
            name_of.insert(id.to_owned(), name.clone());
            if members.contains(id) {
                let built_with = array(&package["dependencies"]).filter(|named| named["kind"] != "dev");
                direct.insert(name, built_with.map(|named| text(&named["name"]).to_owned()).collect());
            }
        }
        let resolved = array(&metadata["resolve"]["nodes"])
            .map(|node| (text(&node["id"]).to_owned(), array(&node["deps"]).filter_map(built_with).collect()))
            .collect();
        Self { direct, resolved, name_of }
    }

    /// The names of all packages that `name` is built with, however far below.
    fn all_below(&self, name: &str) -> BTreeSet<String> {
        let start = self.name_of.iter().find(|(_, of)| *of == name).expect("the crate is a member").0;
        let mut below = BTreeSet::new();
        let mut to_visit = vec![start];
        while let Some(id) = to_visit.pop() {
            for other in &self.resolved[id] {
                if below.insert(self.name_of[other].clone()) {
                    to_visit.push(other);
                }
            }
        }
        below
    }
}

/// The id of a resolved dependency, unless only tests use it.
fn built_with(dependency: &Value) -> Option<String> {
    let kinds = array(&dependency["dep_kinds"]);
    kinds.into_iter().any(|kind| kind["kind"] != "dev").then(|| text(&dependency["pkg"]).to_owned())
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("cargo metadata has a text here")
}
