//! The `synod` binary, and running commands.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The `synod` binary: the one that `SYNOD_BIN` names, or else the workspace's own, built now if it is not fresh.
///
/// # Panics
/// If it cannot be built.
pub fn synod() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| env::var_os("SYNOD_BIN").map_or_else(build, PathBuf::from))
}

/// Cargo names a package's binaries only to tests of the same package, so this asks cargo for such a test, which
/// brings the binary with it. The whole workspace is selected as by `cargo test --workspace`: then dependencies
/// have the same features, and nothing is built twice.
fn build() -> PathBuf {
    let folder = profile_folder();
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--locked", "--quiet", "--workspace", "--no-run", "--test", TEST_OF_THE_BINARY]);
    if folder.file_name() == Some(OsStr::new("release")) {
        command.arg("--release");
    }
    command.arg("--target-dir").arg(folder.parent().expect("a profile's folder lies in the target folder"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "cargo could not build the binary: {}", String::from_utf8_lossy(&output.stderr));
    folder.join("synod")
}

/// An integration test of the package `synod`.
const TEST_OF_THE_BINARY: &str = "sandbox";

/// `target/debug` or `target/release`: where the running test lies, two levels up.
fn profile_folder() -> PathBuf {
    let test = env::current_exe().expect("a running test has a path");
    test.ancestors().nth(2).expect("tests lie in target/<profile>/deps").to_path_buf()
}

/// The folder for what the tests install once: below `target/`.
pub(crate) fn cache_folder() -> PathBuf {
    profile_folder().parent().expect("a profile's folder lies in the target folder").join("e2e")
}

/// What a command left behind when it ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status; -1 if a signal ended it.
    pub status: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Finished {
    /// This, if the status is 0.
    ///
    /// # Panics
    /// If it is not: with all that the command said.
    pub fn succeeded(self) -> Self {
        assert_eq!(self.status, 0, "the command failed\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The standard output as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON: {error}\nstdout: {}\nstderr: {}", self.stdout, self.stderr))
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `synod` with these arguments.
///
/// # Panics
/// If it cannot be started.
pub fn run<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Finished {
    // Without a terminal anywhere, so that help is wrapped alike for everyone.
    Command::new(synod()).args(arguments).stdin(Stdio::null()).output().expect("the synod binary starts").into()
}

/// Runs a line of shell in `folder`, with synod's own directory first in PATH, as `synod sandbox --exec` does.
///
/// # Panics
/// If the shell cannot be started.
pub fn shell(line: &str, folder: &Path, environment: &[(&str, &OsStr)]) -> Finished {
    let own = synod().parent().expect("a binary lies in a folder").to_path_buf();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([own].into_iter().chain(env::split_paths(&path))).expect("PATH has no odd characters");
    let mut command = Command::new("sh");
    command.args(["-ec", line]).current_dir(folder).env("PATH", path).envs(environment.iter().copied());
    command.output().expect("the shell starts").into()
}
