//! The command line: what there is to say, and the help for it. What it means is in the commands' modules.

mod governance;
mod governance_help;

use std::path::PathBuf;

pub use governance::*;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod join;

pub use join::NodeJoinArgs;

/// Confidential consortium networks: run one, talk to one, check its ledger.
#[derive(Debug, Parser)]
#[command(name = "synod", version, propagate_version = true, max_term_width = 100, after_help = ENVIRONMENT)]
pub struct Cli {
    /// Print data as JSON, for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a whole network on this machine: nodes, keys, accounts, an Ethereum URL.
    Sandbox(SandboxArgs),
    /// Run a node, or ask how nodes are.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Offer a network's Ethereum instance as plain HTTP JSON-RPC on this machine.
    Gateway(GatewayArgs),
    /// Write and read private messages by key.
    #[command(subcommand)]
    Log(LogCommand),
    /// Show the constitution: what the members have agreed on.
    #[command(subcommand)]
    Constitution(ConstitutionCommand),
    /// Propose a change to the constitution, and see what others propose.
    #[command(subcommand)]
    Proposal(ProposalCommand),
    /// Vote.
    #[command(subcommand)]
    Ballot(BallotCommand),
    /// Vote in advance, within the constitution's limits.
    #[command(subcommand)]
    Rule(RuleCommand),
    /// Register a revocation list: the leaves that it names no longer speak for this actor, from now on.
    Revoke(RevokeArgs),
    /// Watch governance.
    #[command(subcommand)]
    Gov(GovCommand),
    /// Make certificates and keys of actors, and look at them.
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Check or show a ledger's files. Needs no key and no running node.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Fetch a transaction's receipt, or check one offline.
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Load a network and measure what it commits.
    #[command(subcommand)]
    Bench(BenchCommand),
}

/// The network to talk to.
#[derive(Clone, Debug, Args)]
pub struct NetworkArgs {
    /// The network file, or the directory that holds it as network.json.
    ///
    /// A network file is JSON: {"service_certificate": PATH, "identity": {"certificate": PATH, "key":
    /// PATH}, "nodes": [{"id": 1, "url": "https://127.0.0.1:PORT", "dir": PATH}]}. Paths are relative to
    /// the file; "dir" is there for nodes of this machine. `synod sandbox` writes one into its
    /// directory and names it in SYNOD_NODES for what it runs with --exec.
    #[arg(long = "nodes", env = "SYNOD_NODES", value_name = "FILE")]
    pub network: PathBuf,
}

/// Commands about nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Run the node of a node directory until it is told to stop (SIGTERM or Ctrl-C).
    ///
    /// Exit status 0: stopped as told; 1: could not start or go on, and may be started again; 74: a sync failed,
    /// the disk is not to be trusted any more; 77: the disk was rolled back, as the other nodes or what else is
    /// on it have shown. After 74 and 77 it must not be started again before somebody has looked: ledger/refused says why,
    /// and forbids every start until it is removed.
    Run(NodeRunArgs),
    /// Make the directory of a node that is to join, and print the proposal that adds it.
    ///
    /// The node may be run at once: it waits until members have accepted the proposal, then catches up and takes part.
    /// The other nodes need not be touched: a node dials those with lower slots.
    Join(NodeJoinArgs),
    /// Show the service's certificate in force, checked from the pinned one.
    ///
    /// Members may have the service take another key (proposal action rotate_service_identity). A client that pins the old
    /// certificate goes on: nodes show how the old key endorses the new one. But receipts of later transactions are
    /// verified with the new certificate. Asks all nodes, since one may lag behind, and prints the latest certificate in PEM,
    /// followed by those with which earlier keys endorse it, and by which keys there were and until when; each file that is
    /// read for the service's certificate may hold all of it. If the pinned key may have been stolen, compare the digest
    /// with what synod ledger verify says is in force: who holds the key can answer in a node's place. With --json:
    /// {"service_digest", "pinned_digest", "rotated": true if the two differ, "certificate": PEM, "endorsements": [PEM],
    /// "keys": [{"digest", "after", "until": transactions}], "nodes": [{"id", "service_digest", "at": transaction}]}.
    Service(NodeServiceArgs),
    /// Show every node: role, view, last and committed transaction.
    ///
    /// With --json: {"nodes": [{"id", "url", "pid", "role", "view", "last", "committed", "dir"}]}; a node that
    /// does not answer has null for all but id, url and dir. Exit status 1 if one did not answer.
    Status(NetworkArgs),
}

/// Where to put the service's certificate.
#[derive(Debug, Args)]
pub struct NodeServiceArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Write the certificate to FILE instead, to pin it: as `service_certificate` in a network file, or with --service.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// How to run a node.
#[derive(Debug, Args)]
pub struct NodeRunArgs {
    /// The node's directory: node.toml, slot.key, slot.crt, session.key, service.crt, ledger/.
    #[arg(long)]
    pub dir: PathBuf,
    /// Stop when standard input closes, as it does when the supervisor that holds its other end is gone.
    #[arg(long)]
    pub supervised: bool,
}

/// What "written" means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// Synced to disk before it is acknowledged: survives the loss of power.
    #[default]
    Disk,
    /// Written, not synced: survives the process, as long as the machine runs.
    Memory,
}

/// Who can read governance in the ledger's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Admin {
    /// Who has the administrative key: in a sandbox, DIR/auditor/admin.key.
    #[default]
    Sealed,
    /// Everybody who has the files.
    Public,
}

/// How to run a sandbox.
#[derive(Debug, Args)]
#[command(after_help = SANDBOX_EXAMPLES)]
pub struct SandboxArgs {
    /// How many nodes to run. A network of an earlier run keeps its own number.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=9))]
    pub nodes: u64,
    /// How many members govern the network; each is an organisation of its own. The nodes belong to them in turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=99))]
    pub members: u64,
    /// How many participants transact without a vote. With 0, the network file speaks as member 1.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=99))]
    pub participants: u64,
    /// Who can read governance in the ledger's files. Chosen once, when the network is made.
    #[arg(long, value_enum, default_value_t)]
    pub admin: Admin,
    /// The constitution that the network begins with: a TOML document of its founders, as `synod constitution show`
    /// prints it. The actors are its own; of nodes it says all but the keys, or nothing: then there are --nodes.
    #[arg(long, value_name = "FILE", requires = "identity", conflicts_with_all = ["members", "participants", "admin"])]
    pub constitution: Option<PathBuf>,
    /// As whom the gateway and other commands speak: PATH.crt and PATH.key, of an actor of the constitution. The network
    /// file keeps it; name another one if members removed that actor.
    #[arg(long, value_name = "PATH")]
    pub identity: Option<PathBuf>,
    /// Where the network lies. One that an earlier run left there goes on. Without this, a temporary
    /// directory that is removed at the end.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// What must have happened to a transaction before it is acknowledged.
    #[arg(long, value_enum, default_value_t)]
    pub durability: Durability,
    /// Run this command (by sh -c) against the network, then stop and exit with its status.
    ///
    /// It finds SYNOD_RPC_URL (Ethereum JSON-RPC), SYNOD_NODES (the network file), SYNOD_DIR (the
    /// network's directory), and synod's own directory first in PATH.
    #[arg(long, value_name = "CMD")]
    pub exec: Option<String>,
    /// The port of the Ethereum JSON-RPC URL; 0 takes a free one [default: 8545; with --exec: 0].
    #[arg(long, value_name = "PORT")]
    pub rpc_port: Option<u16>,
    /// Let every node write all bytes that cross its host boundary to DIR/node-N/boundary.
    #[arg(long)]
    pub record_boundary: bool,
}

/// How to run a gateway.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8545, value_name = "PORT")]
    pub rpc_port: u16,
    /// Let web pages of this origin in, as in https://wallet.example; * lets all in. Without this,
    /// browsers are refused: any page open in one could else read what this participant may read.
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Option<String>,
}

/// Commands about messages.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Store a message; print the id of its committed transaction.
    Put(LogPutArgs),
    /// Print a message.
    Get(LogGetArgs),
}

/// What to store.
#[derive(Debug, Args)]
pub struct LogPutArgs {
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// The message's key.
    #[arg(long)]
    pub key: u64,
    /// The message, at most 64 KiB.
    #[arg(long)]
    pub message: String,
}

/// What to read.
#[derive(Debug, Args)]
pub struct LogGetArgs {
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// The message's key.
    #[arg(long)]
    pub key: u64,
    /// Wait until the node has this transaction, so that what it wrote is seen.
    #[arg(long, value_name = "TXID")]
    pub at_least: Option<synod_types::TxId>,
}

/// Commands about ledgers.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check every byte: framing, chain, roots, signatures. Exit status 1 and the place if one is wrong.
    ///
    /// A torn tail, as a crash leaves it, is not tampering. Prints the last signed and the last known
    /// committed transaction apart.
    Verify(LedgerArgs),
    /// Print one line per log entry: what anyone who holds the files can see.
    ///
    /// Applications' transactions and governance stand in their one order. What happened in governance is shown where
    /// it is public, or opens under --key.
    Show(ShowArgs),
    /// Execute every governance transaction again, and report who proposed what, who voted how, under which policy.
    ///
    /// Verifies the files as `verify` does, opens the administrative parts, and carries each recorded request out
    /// again: exit status 1 if a block wrote anything else than its members decided. Needs no running node, and no
    /// key where the network keeps its administration public.
    ///
    /// With --json: {"ok", "governance_transactions", "last", "last_is_known_committed", "tables_digest",
    /// "transactions": [{"txid", "time", "actor", "request", "proposal", "status", "events": [{"event",
    /// "data"}]}], "constitution"}, events as in GET /gov/events.
    Audit(AuditArgs),
}

/// What to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A node's directory, or its ledger directory, or a directory of chunk files.
    pub dir: PathBuf,
    /// The auditor's key, or a node's session.key.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// What to audit.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// A node's directory, or its ledger directory, or a directory of chunk files.
    pub dir: PathBuf,
    /// The auditor's key, or a node's session.key. A public administration needs none.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Print the constitution as it was after this transaction, of any kind, instead of the report.
    #[arg(long, value_name = "TXID")]
    pub at: Option<synod_types::TxId>,
}

/// Which ledger.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    /// A node's directory, or its ledger directory, or a directory of chunk files.
    pub dir: PathBuf,
}

/// Commands about receipts.
#[derive(Debug, Subcommand)]
pub enum ReceiptCommand {
    /// Fetch the receipt of a committed transaction (COSE, RFC 9942).
    Get(ReceiptGetArgs),
    /// Check a receipt with nothing but the service's certificate.
    ///
    /// A file that synod node service --out wrote tells of earlier keys too: a receipt under one of them is then good for the
    /// transactions of its time only. A certificate alone does not tell until when its key was in force.
    Verify(ReceiptVerifyArgs),
}

/// Which receipt to fetch.
#[derive(Debug, Args)]
pub struct ReceiptGetArgs {
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// The transaction, as in 2.14.
    pub txid: synod_types::TxId,
    /// Write the receipt to this file instead of printing it in hexadecimal.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// What to check.
#[derive(Debug, Args)]
pub struct ReceiptVerifyArgs {
    /// The receipt: COSE bytes, or their hexadecimal form.
    pub file: PathBuf,
    /// The service's certificate [default: the one that the network file names].
    #[arg(long, value_name = "FILE")]
    pub service: Option<PathBuf>,
    /// The network file that names the service's certificate.
    #[arg(long = "nodes", env = "SYNOD_NODES", value_name = "FILE")]
    pub network: Option<PathBuf>,
}

/// What to load a network with.
#[derive(Debug, Subcommand)]
#[command(after_help = BENCH_NOTES)]
pub enum BenchCommand {
    /// Private messages by key.
    Log(BenchLogArgs),
    /// Transfers of Ether between a thousand accounts.
    Transfer(BenchEvmArgs),
    /// Transfers of an ERC-20 token between a thousand accounts.
    Erc20(BenchEvmArgs),
    /// Blocks of Ethereum's main network, each checked against its header.
    Replay(BenchReplayArgs),
}

/// How to load a network.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// How many connections to use.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub connections: u64,
    /// How many requests each connection keeps in flight [default: log 1, transfer and erc20 200, replay 2].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub depth: Option<u64>,
    /// How many transactions to put into one request.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub batch: u64,
    /// How many transactions to send per second, all connections together [default: as many as are answered].
    ///
    /// Latency then counts from the moment at which a transaction was due, also when it had to wait.
    #[arg(long)]
    pub rate: Option<f64>,
    /// For how many seconds to send.
    #[arg(long, default_value_t = 10.0)]
    pub duration: f64,
    /// Stop after this many transactions [default: when the time is up].
    #[arg(long, value_name = "N")]
    pub transactions: Option<u64>,
    /// Send to this node [default: the leader; reads alone: all nodes in turn].
    #[arg(long, value_name = "ID")]
    pub node: Option<u64>,
    /// Show rate and latency on standard error as they move.
    #[arg(long)]
    pub live: bool,
}

/// How to load the log.
#[derive(Debug, Args)]
pub struct BenchLogArgs {
    /// How to load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// How many percent of the requests are reads; 100 reads only.
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u64).range(0..=100))]
    pub reads: u64,
    /// The size of a message, in bytes.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(32..=65_536))]
    pub size: u64,
    /// How many different keys to use.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub keys: u64,
}

/// How to load the live Ethereum instance.
#[derive(Debug, Args)]
pub struct BenchEvmArgs {
    /// How to load.
    #[command(flatten)]
    pub load: LoadArgs,
}

/// What to replay.
#[derive(Debug, Args)]
pub struct BenchReplayArgs {
    /// How to load. Each connection replays one block at a time; --rate, --duration, --transactions do not apply.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Blocks: gzipped JSON {block, alloc, blockHashes}.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

const ENVIRONMENT: &str = "\
Environment:
  SYNOD_NODES     the network file that --nodes stands for
  SYNOD_IDENTITY  the actor that --identity stands for
  SYNOD_LOG       what a node writes to its log, as in `info` or `synod_enclave=debug`

Data goes to standard output, everything else to standard error.
Exit status 0: done; 1: not done, or an answer was wrong; 2: the command line was not understood.";

const SANDBOX_EXAMPLES: &str = "\
Examples:
  synod sandbox                          three nodes, until Ctrl-C
  synod sandbox --dir net                the same, kept in net/; run it again to go on
  synod sandbox --members 5 --participants 0 --dir net
                                         a network of members only; to govern it:
                                         synod proposal list --identity net/members/member-1
  synod sandbox --exec 'synod bench log --connections 1 --depth 1000'
  synod sandbox --exec 'cast block-number --rpc-url $SYNOD_RPC_URL'";

const BENCH_NOTES: &str = "\
With --json, prints one object: {workload, transactions, errors, committed_per_s, quorum_commit_ms: {p50, p99}, \
all_commit_ms: {p50, p99}, cpu_s: {nodes: [..], client}}; for replay also blocks: [{number, transactions, \
gas_used_ok, logs_bloom_ok, receipts_root_ok, committed_per_s}].

A transaction's latency is its request's. all_commit_ms is sampled: every node is asked for the transaction until \
it has it. cpu_s counts the measured time only; null for nodes elsewhere. What comes before the measured time: \
connections, signing, deployment, the state before a replayed block.

transfer and erc20 send from a thousand accounts that every sandbox funds (key N is keccak256 of `synod bench \
account N`), so one such run at a time.

Exit status 1 whenever an answer was wrong or lost.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_command_lines_of_the_documentation_are_understood() {
        for line in [
            "synod sandbox",
            "synod sandbox --nodes 3 --members 3 --dir d --durability memory --exec x",
            "synod sandbox --members 5 --participants 0 --admin public",
            "synod node run --dir d",
            "synod node join --dir d --like e --id 4 --name n --owner o --address a:1 --client-address b:2 --peer-address c:3",
            "synod node status --nodes n --json",
            "synod --json node status --nodes n",
            "synod gateway --nodes n --rpc-port 0",
            "synod log put --key 7 --message hello --nodes n",
            "synod log get --key 7 --nodes n --at-least 2.14",
            "synod constitution show --nodes n",
            "synod proposal submit f.toml --nodes n --identity i --expires 7d --note why",
            "synod proposal submit f.toml --dry-run --nodes n",
            "synod proposal submit --prepared p.json --signature p.sig --nodes n",
            "synod proposal prepare f.toml --out p.tbs --expires 7d --nodes n",
            "synod proposal list --mine --nodes n",
            "synod proposal show 7 --json --nodes n",
            "synod proposal withdraw 7 --nodes n",
            "synod ballot submit 7 accept --nodes n",
            "synod ballot submit --prepared b.json --signature b.sig --nodes n",
            "synod ballot prepare 7 reject --out b.tbs --signer hsm.crt --nodes n",
            "synod rule set r.toml --nodes n",
            "synod rule list --nodes n",
            "synod rule remove d --nodes n",
            "synod revoke c.der --nodes n",
            "synod gov watch --after 2.14 --once 3 --nodes n",
            "synod identity new --name A --out a --ca",
            "synod identity show a",
            "synod ledger verify d",
            "synod ledger show d --json",
            "synod receipt get 2.14 --nodes n",
            "synod receipt verify r --service s",
            "synod bench log --connections 1 --depth 1000 --nodes n",
            "synod bench log --reads 100 --live --nodes n",
            "synod bench transfer --batch 10 --rate 100 --duration 5 --nodes n",
            "synod bench erc20 --json --nodes n",
            "synod bench replay a.json.gz b.json.gz --batch 100 --nodes n",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "synod",
            "synod sandbox --nodes 0",
            "synod sandbox --durability ram",
            "synod bench log --depth 0 --nodes n",
            "synod bench log --batch 1001 --nodes n",
            "synod bench log --reads 101 --nodes n",
            "synod bench replay --nodes n",
            "synod receipt get 2 --nodes n",
            "synod proposal submit --nodes n",
            "synod proposal submit f.toml --prepared p --signature s --nodes n",
            "synod proposal submit --prepared p --nodes n",
            "synod proposal submit f.toml --expires 7w --nodes n",
            "synod proposal list --mine --all --nodes n",
            "synod ballot submit --nodes n",
            "synod ballot submit 7 --nodes n",
            "synod ballot submit 7 maybe --nodes n",
            "synod ballot submit 7 accept --prepared p --signature s --nodes n",
            "synod identity new --name A --out a --ca --issuer b",
            "synod log put --key x --message y --nodes n",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
