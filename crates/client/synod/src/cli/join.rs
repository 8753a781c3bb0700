//! The command line of `synod node join`.

use std::path::PathBuf;

use clap::Args;

/// How a node joins.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct NodeJoinArgs {
    /// The new node's directory; it must not be there yet.
    #[arg(long)]
    pub dir: PathBuf,
    /// The directory of a node of the network: its keys, its genesis block and its peers are taken over.
    ///
    /// Take the node that joined last: it lists all others. Nodes of the network file of --add-to that run on this
    /// machine are listed, too. Keys lie in files until attestation and threshold keys arrive: whoever reads this directory holds the service's.
    #[arg(long, value_name = "NODE_DIR")]
    pub like: PathBuf,
    /// The slot: one above the highest that the network ever gave.
    ///
    /// `synod constitution show` lists the nodes. A node that is given another slot than this says so and does not
    /// take part.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub id: u64,
    /// What people call the node.
    #[arg(long)]
    pub name: String,
    /// Whose node it is: an actor's id of 64 hexadecimal digits, or the actor's certificate.
    #[arg(long, value_name = "ACTOR|FILE")]
    pub owner: String,
    /// Where the constitution says that the node is: `host:port`. For people; nothing is dialled by it.
    #[arg(long, value_name = "HOST:PORT")]
    pub address: String,
    /// Where clients connect: an IP address or DNS name, and a port.
    #[arg(long, value_name = "HOST:PORT")]
    pub client_address: String,
    /// Where the nodes that join later connect.
    #[arg(long, value_name = "HOST:PORT")]
    pub peer_address: String,
    /// Add the node to this network file, so that its clients use it.
    ///
    /// In a sandbox's directory, DIR/network.json; the sandbox runs the node from its next start on if the node's
    /// directory is DIR/node-N.
    #[arg(long, value_name = "FILE")]
    pub add_to: Option<PathBuf>,
}

const EXAMPLE: &str = "\
Example:
  synod node join --dir net/node-4 --like net/node-1 --id 4 --name node-4 --owner net/members/member-1.crt \\
      --address node-4.example.org:7000 --client-address 127.0.0.1:8104 --peer-address 127.0.0.1:8204 \\
      --add-to net/network.json > add-node.toml
  synod node run --dir net/node-4        waits until it is in the node list
  synod proposal submit add-node.toml    then members vote

Standard output holds the proposal that adds the node. With --json: {\"dir\", \"id\", \"key\", \"network_line\", \"proposal\"}; \
proposal is the same as text.";
