//! `synod sandbox`: a whole network on this machine, kept alive.
//!
//! The network lies in one directory (see [`layout`]); each node is a process of its own, started
//! again when it dies. The gateway runs in this process.

mod create;
mod exec;
mod founding;
mod layout;
mod ports;
mod show;
mod supervise;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use synod_client::{Client, ClientOptions, Network, NodeEntry};
use synod_governance::entries::AdminPart;

use crate::cli::{Admin, SandboxArgs};
use crate::command::node;
use crate::failure::{Failure, Hint};
use crate::gateway::{Gateway, Origins};
use crate::{output, signals};

pub use founding::{Founding, Refused};
pub use layout::{Access, LEDGER, NODE_CONFIG, SERVICE_CERTIFICATE, write};
use layout::{NetworkDir, NodeDir};
use supervise::Supervisor;

/// Runs a network until it is told to stop, or until the command of `--exec` ends.
///
/// # Errors
/// If the network cannot be made, resumed or started.
pub async fn sandbox(args: SandboxArgs, json: bool) -> Result<ExitCode, Failure> {
    let temporary = match &args.dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("synod-sandbox-").tempdir().hint("name a directory with --dir")?),
    };
    let path = args.dir.as_deref().or(temporary.as_ref().map(tempfile::TempDir::path));
    let path =
        std::path::absolute(path.expect("one of the two was set just before")).hint("name a directory with --dir")?;
    let dir = NetworkDir::lock(&path)?;
    // The port is taken first: a mistake there should not leave half a network.
    let nodes = prepare(&dir, &args)?;
    let network = Network::load(dir.path())?;
    let port = args.rpc_port.unwrap_or(if args.exec.is_some() { 0 } else { DEFAULT_RPC_PORT });
    let gateway = Gateway::bind(port, network.clone(), Origins::Any).await?.following(path.clone());
    let rpc_url = gateway.url()?;

    let supervisor = Supervisor::start(nodes);
    let served = tokio::spawn(gateway.serve());
    let outcome = work(&args, json, &dir, network, &rpc_url, &supervisor).await;
    served.abort();
    let stopping = output::spinner("stopping the nodes");
    supervisor.stop().await;
    stopping.finish_and_clear();
    outcome
}

/// What is done while the network runs.
async fn work(
    args: &SandboxArgs,
    json: bool,
    dir: &NetworkDir,
    network: Network,
    rpc_url: &str,
    supervisor: &Supervisor,
) -> Result<ExitCode, Failure> {
    tokio::select! {
        ready = wait_until_ready(network.clone(), dir.path(), supervisor) => ready?,
        () = signals::stop() => return Ok(ExitCode::from(exec::STOPPED)),
    }
    if let Some(command) = &args.exec {
        return exec::exec(command, dir, rpc_url).await;
    }
    show::show(dir, &network, rpc_url, args.dir.is_none(), json)?;
    signals::stop().await;
    Ok(ExitCode::SUCCESS)
}

fn prepare(dir: &NetworkDir, args: &SandboxArgs) -> Result<Vec<NodeDir>, Failure> {
    let nodes: Vec<_> = match &args.constitution {
        Some(_) if dir.is_made() => {
            return Err(Failure::new(
                format!(
                    "{} holds a network already, which goes on from what its members decided",
                    dir.path().display()
                ),
                "leave out --constitution to resume it, or name another --dir",
            ));
        }
        None if dir.is_made() => dir.nodes()?,
        Some(constitution) => {
            let founding =
                Founding::read(constitution, args.nodes).map_err(|refused| refused.into_failure(constitution))?;
            founding.check_identity(args.identity.as_deref())?;
            create::found(dir, &founding, "synod constitution check FILE looks at a constitution")?;
            founding.keys.keys().map(|id| dir.node(id.0)).collect()
        }
        None if args.identity.is_some() => {
            return Err(Failure::new(
                "a new network without --constitution has actors that are made with it, and --identity is none of them",
                "leave out --identity, or name a constitution that lists its actor with --constitution",
            ));
        }
        None => {
            let making = output::spinner("making keys, certificates and the genesis block");
            create::create(dir, &plan(args))?;
            making.finish_and_clear();
            (1..=args.nodes).map(|id| dir.node(id)).collect()
        }
    };
    let count = nodes.len() as u64;
    if count != args.nodes && args.nodes != DEFAULT_NODES {
        return Err(Failure::new(
            format!("the network in {} has {count} nodes, not {}", dir.path().display(), args.nodes),
            "leave out --nodes to take those that there are, or name another --dir",
        ));
    }
    dir.configure(nodes, args)
}

fn plan(args: &SandboxArgs) -> create::Plan {
    let admin = match args.admin {
        Admin::Sealed => AdminPart::Sealed,
        Admin::Public => AdminPart::Public,
    };
    create::Plan { nodes: args.nodes, members: args.members, participants: args.participants, admin }
}

async fn wait_until_ready(network: Network, dir: &Path, supervisor: &Supervisor) -> Result<(), Failure> {
    let count = network.nodes.len();
    let runs_here = |entry: &&NodeEntry| entry.dir == Some(dir.join(format!("node-{}", entry.id)));
    let elsewhere = count - network.nodes.iter().filter(runs_here).count();
    let options = ClientOptions { answer_within: Duration::from_secs(1), ..ClientOptions::default() };
    let client = Client::with_options(network, options)?;
    let waiting = output::spinner("waiting until the nodes have a leader");
    let since = Instant::now();
    while !node::ask(&client).await.is_ready_but_for(supervisor.given_up() + elsewhere) {
        let given_up = supervisor.given_up();
        if 2 * (count - given_up) <= count {
            return Err(Failure::new(
                format!("{given_up} of {count} nodes are not started again, and the others are no majority"),
                "the lines before name them and their logs",
            ));
        }
        if since.elapsed() > READY_WITHIN {
            return Err(Failure::new(
                format!("the nodes have no leader after {} s", READY_WITHIN.as_secs()),
                format!("see why in {}", dir.join("node-1").join("log").display()),
            ));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    waiting.finish_and_clear();
    Ok(())
}

const DEFAULT_RPC_PORT: u16 = 8545;

/// What the command line says if the user says nothing.
const DEFAULT_NODES: u64 = 3;

/// A node reads its ledger first, which may be long.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A network that has not run, with `node.toml` for each node and the network file.
#[cfg(test)]
pub fn made_for_test(nodes: u64) -> tempfile::TempDir {
    let path = tempfile::tempdir().unwrap();
    let dir = NetworkDir::lock(path.path()).unwrap();
    let admin = synod_governance::entries::AdminPart::Sealed;
    create::create(&dir, &create::Plan { nodes, members: 2, participants: 1, admin }).unwrap();
    dir.configure((1..=nodes).map(|id| dir.node(id)).collect(), &args_for_test()).unwrap();
    path
}

/// What the command line says if the user says nothing.
#[cfg(test)]
pub fn args_for_test() -> SandboxArgs {
    use clap::Parser;

    let line = crate::cli::Cli::parse_from(["synod", "sandbox"]);
    let crate::cli::Command::Sandbox(args) = line.command else { unreachable!("as it says") };
    args
}
