//! `synod`: one program to run nodes and sandboxes, to talk to networks, to load them and to check ledgers.
//!
//! This crate only dispatches: what a node does is in the enclave and host crates, what a client does
//! in the client library. [`cli`] is the command line, [`command`] the short commands; [`sandbox`],
//! [`gateway`] and [`bench`] are the longer ones.

mod adapters;
mod bench;
mod cli;
mod command;
mod eth;
mod events;
mod failure;
mod gateway;
mod node_dir;
mod output;
mod sandbox;
mod service_file;
mod signals;
#[cfg(test)]
#[path = "../../client/tests/common/mod.rs"]
mod test_server;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use command::governance;

use cli::{Cli, Command, NodeCommand};
use failure::{Failure, Hint};

fn main() -> ExitCode {
    let Cli { json, command } = Cli::parse();
    match run(command, json) {
        Ok(status) => status,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command, json: bool) -> Result<ExitCode, Failure> {
    match command {
        // A node has runtimes and threads of its own.
        Command::Node(NodeCommand::Run(args)) => command::run_node::run(&args),
        Command::Node(NodeCommand::Join(args)) => command::join::join(&args, json).map(|()| ExitCode::SUCCESS),
        Command::Ledger(command) => command::ledger::ledger(&command, json),
        Command::Identity(command) => command::identity::identity(&command, json).map(|()| ExitCode::SUCCESS),
        other => wait_for(dispatch(other, json)),
    }
}

async fn dispatch(command: Command, json: bool) -> Result<ExitCode, Failure> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Sandbox(args) => sandbox::sandbox(args, json).await,
        Command::Node(NodeCommand::Status(args)) => command::node::status(args, json).await,
        Command::Node(NodeCommand::Service(args)) => command::service::service(args, json).await.map(done),
        Command::Gateway(args) => command::gateway::gateway(args, json).await.map(done),
        Command::Log(command) => command::log::log(command, json).await.map(done),
        Command::Receipt(command) => command::receipt::receipt(command, json).await.map(done),
        Command::Constitution(command) => governance::constitution(command, json).await.map(done),
        Command::Proposal(command) => governance::proposal(command, json).await.map(done),
        Command::Ballot(command) => governance::ballot(command, json).await.map(done),
        Command::Rule(command) => governance::rule(command, json).await.map(done),
        Command::Revoke(args) => governance::revoke(args, json).await.map(done),
        Command::Gov(command) => governance::gov(command, json).await.map(done),
        Command::Bench(command) => bench::bench(command, json).await,
        Command::Node(NodeCommand::Run(_) | NodeCommand::Join(_)) | Command::Ledger(_) | Command::Identity(_) => {
            unreachable!("run takes these")
        }
    }
}

/// One thread: clients leave the machine to the nodes.
fn wait_for<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build().hint("let the process open files and sockets")?;
    LocalSet::new().block_on(&runtime, work)
}
