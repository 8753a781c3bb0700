//! A network for one test.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Client, Identity, Tls};
use crate::{Finished, shell, synod};

/// A running `synod sandbox`. It stops when this is dropped, or when the test's process ends: its command waits
/// for the end of a pipe that this value holds.
pub struct Sandbox {
    child: Child,
    hold: Option<ChildStdin>,
    /// Where the network lies.
    pub dir: PathBuf,
    /// The Ethereum JSON-RPC URL.
    pub rpc_url: String,
    /// The network file.
    pub network_file: PathBuf,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Who the network file lets its holder be.
    pub identity: Identity,
    messages: PathBuf,
    folder: Option<TempDir>,
    _turn: MutexGuard<'static, ()>,
}

/// A node of the sandbox, as the network file names it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its slot.
    pub id: u64,
    /// Where it listens for clients.
    pub address: String,
    /// Its directory.
    pub dir: PathBuf,
}

/// How to start a sandbox.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Go on with the network that lies here.
    pub dir: Option<PathBuf>,
    /// More arguments for `synod sandbox`.
    pub arguments: Vec<OsString>,
}

impl Sandbox {
    /// Starts three nodes in a temporary directory.
    ///
    /// # Panics
    /// If the sandbox is not ready within [`READY_TIME_MAX`].
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// Starts a sandbox with more arguments than those every test needs.
    ///
    /// # Panics
    /// If the sandbox is not ready within [`READY_TIME_MAX`].
    pub fn with_arguments(arguments: &[&str]) -> Self {
        Self::with(Options { arguments: arguments.iter().map(Into::into).collect(), dir: None })
    }

    /// Starts a sandbox.
    ///
    /// # Panics
    /// If the sandbox is not ready within [`READY_TIME_MAX`].
    pub fn with(options: Options) -> Self {
        // A test that failed leaves the lock poisoned, and its network stopped.
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = options.dir.is_none().then(|| tempfile::tempdir().expect("a temporary folder can be made"));
        let dir = options.dir.unwrap_or_else(|| folder.as_ref().expect("made above").path().join("net"));
        let messages = dir.with_extension("stderr");
        let mut child = Command::new(synod())
            .args(["sandbox", "--rpc-port", "0", "--exec", HOLD, "--dir"])
            .arg(&dir)
            .args(&options.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&messages).expect("a file for messages can be made"))
            .spawn()
            .expect("the synod binary starts");
        let hold = child.stdin.take();
        let ready = wait_for_ready(&mut child);
        let said = || fs::read_to_string(&messages).unwrap_or_default();
        let Some(ready) = ready else {
            let _ = child.kill();
            panic!("the sandbox was not ready within {READY_TIME_MAX:?}: {}", said());
        };
        let [rpc_url, network_file] = &ready[..] else { panic!("not two fields: {ready:?}") };
        let network_file = PathBuf::from(network_file);
        let (nodes, identity) = read_network(&network_file);
        Self {
            child,
            hold,
            rpc_url: rpc_url.clone(),
            dir,
            network_file,
            nodes,
            identity,
            messages,
            folder,
            _turn: turn,
        }
    }

    /// A connection to a node, as the participant of the network file.
    ///
    /// # Panics
    /// If the node does not answer.
    pub fn client(&self, node: usize) -> Client {
        Client::connect(&self.nodes[node].address, &self.identity)
            .unwrap_or_else(|error| panic!("cannot connect to {}: {error}; {}", self.nodes[node].address, self.said()))
    }

    /// A TLS connection to a node, over which a test may send what it likes.
    ///
    /// # Errors
    /// If the handshake fails.
    pub fn tls(&self, node: usize, protocols: &[&[u8]]) -> std::io::Result<Tls> {
        Tls::connect(&self.nodes[node].address, Some(&self.identity), protocols)
    }

    /// Runs a line of shell with the environment that `--exec` gives.
    pub fn shell(&self, line: &str) -> Finished {
        let environment = [
            ("SYNOD_RPC_URL", self.rpc_url.as_ref()),
            ("SYNOD_NODES", self.network_file.as_os_str()),
            ("SYNOD_DIR", self.dir.as_os_str()),
        ];
        shell(line, self.dir.parent().expect("the network lies in a folder"), &environment)
    }

    /// Runs `synod` against this network.
    pub fn synod(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(synod());
        command.args(arguments).env("SYNOD_NODES", &self.network_file);
        command.output().expect("the synod binary starts").into()
    }

    /// What the sandbox wrote to standard error.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.messages).unwrap_or_default()
    }

    /// Stops the network in good order and leaves its directory; the folder goes when the result is dropped.
    ///
    /// # Panics
    /// If the sandbox does not end with status 0.
    pub fn stop(mut self) -> Stopped {
        self.hold.take();
        let status = self.child.wait().expect("the sandbox is our child");
        assert!(status.success(), "the sandbox ended with {status}: {}", self.said());
        Stopped { dir: self.dir.clone(), nodes: self.nodes.clone(), folder: self.folder.take() }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.hold.take();
        // After a stop this returns at once.
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the sandbox said:\n{}", self.said());
        }
    }
}

/// What a stopped network leaves.
pub struct Stopped {
    /// Where the network lies.
    pub dir: PathBuf,
    /// The nodes.
    pub nodes: Vec<Node>,
    folder: Option<TempDir>,
}

impl Stopped {
    /// Starts the network again.
    ///
    /// # Panics
    /// If the sandbox is not ready in time.
    pub fn resume(mut self) -> Sandbox {
        let mut sandbox = Sandbox::with(Options { dir: Some(self.dir.clone()), arguments: Vec::new() });
        sandbox.folder = self.folder.take();
        sandbox
    }
}

/// Reads the line that [`HOLD`] prints, then goes on emptying the pipe so that the sandbox never waits for it.
fn wait_for_ready(child: &mut Child) -> Option<Vec<String>> {
    let mut output = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        while output.read_line(&mut line).is_ok_and(|size| size > 0) {
            if let Some(fields) = line.trim_end().strip_prefix(READY) {
                let _ = sender.send(fields.split('\t').map(str::to_owned).collect());
                break;
            }
            line.clear();
        }
        let _ = output.read_to_end(&mut Vec::new());
    });
    receiver.recv_timeout(READY_TIME_MAX).ok()
}

fn read_network(file: &Path) -> (Vec<Node>, Identity) {
    let base = file.parent().expect("a file lies in a folder");
    let text = fs::read(file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
    let network: Value = serde_json::from_slice(&text).expect("the network file is JSON");
    let path = |value: &Value| base.join(value.as_str().expect("a path is a text"));
    let nodes = network["nodes"].as_array().expect("the network file lists nodes").iter().map(|node| Node {
        id: node["id"].as_u64().expect("a node has an id"),
        address: node["url"].as_str().expect("a node has a URL").trim_start_matches("https://").to_owned(),
        dir: path(&node["dir"]),
    });
    let identity = &network["identity"];
    (nodes.collect(), Identity::load(&path(&identity["certificate"]), &path(&identity["key"])))
}

/// Two networks at once would fight over the processors and miss elections.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Tells the environment, then waits until standard input ends.
const HOLD: &str = r#"printf 'synod-e2e-ready\t%s\t%s\n' "$SYNOD_RPC_URL" "$SYNOD_NODES"; exec cat >/dev/null"#;

/// How the line of [`HOLD`] begins.
const READY: &str = "synod-e2e-ready\t";

/// How long a sandbox may take to be ready: an unoptimised build on a busy machine.
const READY_TIME_MAX: Duration = Duration::from_secs(60);
