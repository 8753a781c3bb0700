//! Tools of others, installed once below `target/e2e`, in the versions that the repository pins.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::binary::cache_folder;

/// The folder whose `node_modules` holds `cast`, ethers, solc and OpenZeppelin's contracts, and whose
/// `contracts.json` holds the compiled contracts of the tests.
///
/// # Panics
/// If npm is missing or cannot install them.
pub fn npm_tools() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        install("npm", NPM_INPUTS, |folder| {
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]).current_dir(folder);
            let mut compile = Command::new("node");
            compile.arg("compile.mjs").current_dir(folder);
            vec![npm, compile]
        })
    })
}

/// The Python interpreter of an environment with the package `ccf`, the independent verifier of receipts.
///
/// # Panics
/// If Python's venv is missing or pip cannot install the package.
pub fn python_tools() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = install("python", PYTHON_INPUTS, |folder| {
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv", "venv"]).current_dir(folder);
            let mut pip = Command::new(folder.join("venv/bin/pip"));
            // The package asks for Python 3.12; what is used of it here runs on 3.11 too, which Debian 12 has.
            pip.args(["install", "--quiet", "--disable-pip-version-check", "--ignore-requires-python", "--no-deps"]);
            pip.args(["--requirement", "ccf-requirements.txt"]).current_dir(folder);
            vec![venv, pip]
        });
        folder.join("venv/bin/python")
    })
}

/// Copies `inputs` (from this crate's folder) to a folder of the cache and runs the commands there, unless that was
/// done with the same inputs.
fn install(name: &str, inputs: &[&str], commands: impl FnOnce(&Path) -> Vec<Command>) -> PathBuf {
    let folder = cache_folder().join(name);
    fs::create_dir_all(&folder).expect("the cache folder can be made");
    // Test processes may run side by side: one installs, the others wait.
    let lock = File::create(folder.join("lock")).expect("a lock file can be made");
    lock.lock().expect("a file can be locked");

    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wanted: String = inputs.iter().map(|input| read(&source.join(input))).collect();
    let done = folder.join("installed");
    if fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return folder;
    }
    for input in inputs {
        let file = Path::new(input).file_name().expect("an input is a file");
        let kind = if input.ends_with(".sol") { "contracts" } else { "" };
        fs::create_dir_all(folder.join(kind)).expect("a folder can be made");
        fs::copy(source.join(input), folder.join(kind).join(file)).expect("an input can be copied");
    }
    for mut command in commands(&folder) {
        let output = command.output().unwrap_or_else(|error| {
            panic!("cannot run {command:?}: {error}; the README names the packages that the tests need")
        });
        assert!(
            output.status.success(),
            "{command:?} failed\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::write(&done, wanted).expect("the mark can be written");
    folder
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// What the tools from npm are made of.
const NPM_INPUTS: &[&str] = &[
    "tools/package.json",
    "tools/package-lock.json",
    "tools/compile.mjs",
    "tools/ethers-story.mjs",
    "tools/http2-story.mjs",
    "tools/contracts/Token.sol",
    "tools/contracts/Vault.sol",
];

/// What the Python environment is made of: the versions are those of the ledger's own tests.
const PYTHON_INPUTS: &[&str] = &["../../core/ledger/tests/ccf-requirements.txt", "tools/verify-receipt.py"];
