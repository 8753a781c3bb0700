//! A client that runs for long keeps to the nodes that its network file lists.
//!
//! Nodes join and leave a network that runs. Where clients reach them, operators say in the network file, and the network
//! does not know; so the file is read again, and whoever changes it need not start anything anew.

use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use crate::{Client, ClientError, Network};

impl Client {
    /// Keeps to the nodes that the network file at `path` lists, until it is dropped. A file that is of no use leaves the nodes
    /// that are known; `complain` is told of it, once for as long as it stays so.
    pub async fn follow(&self, path: &Path, mut complain: impl FnMut(&ClientError)) {
        let mut complaint = None;
        loop {
            let path = path.to_path_buf();
            // Reading it may take names to be looked up.
            let read = tokio::task::spawn_blocking(move || Network::load_nodes(path)).await;
            match read.expect("reading a file does not panic") {
                Ok(nodes) => {
                    self.learn(nodes);
                    complaint = None;
                }
                Err(error) => {
                    let words = Some(error.to_string());
                    if complaint != words {
                        complain(&error);
                        complaint = words;
                    }
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// How often the network file is looked at: operators who changed it look whether it had an effect.
const LOOK_EVERY: Duration = Duration::from_secs(2);
