//! `synod node run`: host and enclave of one node, joined.

use std::fs;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use synod_enclave::{Enclave, Setup};
use synod_host::{Host, HostError, LedgerError, NodeConfig, terminated};
use synod_types::boundary::Restart;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use crate::adapters;
use crate::cli::NodeRunArgs;
use crate::failure::{Failure, Hint};
use crate::sandbox::NODE_CONFIG;

/// Runs a node until it is told to stop, or cannot go on.
///
/// # Errors
/// If its directory is not whole, its ports are taken, or it stops by itself.
pub fn run(args: &NodeRunArgs) -> Result<ExitCode, Failure> {
    write_log();
    synod_enclave::redact_panics();
    let dir = &args.dir;
    let config =
        NodeConfig::load(&dir.join(NODE_CONFIG)).hint("name a node's directory, as synod sandbox makes them")?;
    let host = Host::open(config).map_err(|error| host_failure(&error))?;
    let vote = host.vote().hint("look at the disk of the ledger's directory")?;
    let to_host = host.port();
    let setup = Setup {
        slot_certificate: read(dir, "slot.crt")?,
        slot_key: read(dir, "slot.key")?,
        service_key: read(dir, "service.key")?,
        session_keys: read(dir, "session.key")?,
        adapters: adapters::kits(),
        records: host.records(),
        vote,
        times: None,
        removed_grace: None,
    };
    let enclave = match Enclave::start(setup, move |message| to_host.send(message)) {
        Ok(enclave) => enclave,
        Err(error) if error.restart() == Restart::Refused => {
            return Err(host_failure(&host.refuse(error.to_string())));
        }
        Err(error) => return Err(Failure::new(error, COMPARE)),
    };
    let _pid = PidFile::write(dir)?;
    tracing::info!(node = %enclave.id(), pid = std::process::id(), "runs");

    let asked = Arc::new(AtomicBool::new(false));
    let port = enclave.port();
    let reason = host
        .run(move |message| port.send(message), stop(args.supervised, Arc::clone(&asked)))
        .map_err(|error| host_failure(&error))?;
    tracing::info!(%reason, "stopped");
    if asked.load(Ordering::Relaxed) {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(format!("the node stopped by itself: {reason}"), "the lines before say what led to it"))
}

/// Completes once the process is told to stop: by a signal, or because its supervisor let go of its standard input.
async fn stop(supervised: bool, asked: Arc<AtomicBool>) {
    let (let_go, gone) = oneshot::channel::<()>();
    if supervised {
        thread::spawn(move || {
            // Nothing is expected there but its end.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            drop(let_go);
        });
        tokio::select! {
            () = terminated() => {}
            _ = gone => {}
        }
    } else {
        terminated().await;
    }
    asked.store(true, Ordering::Relaxed);
}

fn read(dir: &Path, name: &str) -> Result<String, Failure> {
    let path = dir.join(name);
    fs::read_to_string(&path).map_err(|error| {
        Failure::new(format!("cannot read {}: {error}", path.display()), "name a whole node directory with --dir")
    })
}

/// Messages for the operator go to standard error, which a supervisor leads to the file `log`.
fn write_log() {
    let filter = EnvFilter::try_from_env("SYNOD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let to_people = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(to_people).with_writer(std::io::stderr).init();
}

fn host_failure(error: &HostError) -> Failure {
    let explained = match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    Failure::new(explained, host_hint(error)).with_exit(host_exit(error))
}

const fn host_exit(error: &HostError) -> u8 {
    match error {
        HostError::Ledger(LedgerError::SyncFailed { .. }) => DISK_FAILED,
        HostError::SlotRefused { .. } | HostError::StartForbidden { .. } => REFUSED,
        _ => 1,
    }
}

const fn host_hint(error: &HostError) -> &'static str {
    match error {
        HostError::AddressNotAvailable { .. } => "stop what holds the port, or change it in node.toml of every node",
        HostError::ConfigUnreadable { .. } | HostError::ConfigNotValid { .. } => "put node.toml right",
        HostError::SetupFailed { .. } => "let the process open more files and threads",
        HostError::SlotRefused { .. } => {
            "keep the directory; put back the newest copy of its ledger, then remove the file `refused` in it"
        }
        HostError::StartForbidden { .. } => {
            "do away with what it names, then remove that file; see the operators' guide"
        }
        HostError::Ledger(LedgerError::SyncFailed { .. }) => {
            "replace or check the disk, start the machine anew, then remove the file `refused` in the ledger's directory"
        }
        HostError::Ledger(_) => {
            "see whether another process runs this node; synod ledger verify tells whether its files are whole"
        }
    }
}

/// The file that says which process runs the node, for as long as it does.
struct PidFile<'a> {
    dir: &'a Path,
}

impl<'a> PidFile<'a> {
    fn write(dir: &'a Path) -> Result<Self, Failure> {
        fs::write(dir.join(PID), format!("{}\n", std::process::id()))
            .hint("let the process write to the node's directory")?;
        Ok(Self { dir })
    }
}

impl Drop for PidFile<'_> {
    fn drop(&mut self) {
        // A file that stays names a process that is gone, which readers check.
        let _ = fs::remove_file(self.dir.join(PID));
    }
}

const PID: &str = "pid";

const COMPARE: &str =
    "compare the directory with that of another node; synod ledger verify tells whether its ledger is whole";

/// Exit status: a sync failed. A start from the same disk may count on what is not there.
pub const DISK_FAILED: u8 = 74;

/// Exit status: the node's disk was rolled back, or an earlier run left the mark that says so.
pub const REFUSED: u8 = 77;
