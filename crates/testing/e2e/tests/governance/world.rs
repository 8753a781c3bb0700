//! A network to govern, and what members do in it.

use std::fs;
use std::path::{Path, PathBuf};

use synod_e2e::{Finished, Sandbox};

/// A sandbox, and a folder for files.
pub struct World {
    pub sandbox: Sandbox,
    folder: tempfile::TempDir,
}

impl World {
    /// One node, three members, one participant.
    pub fn start() -> Self {
        Self::with_nodes(1)
    }

    /// As many nodes, three members, one participant.
    pub fn with_nodes(count: u64) -> Self {
        let sandbox = Sandbox::with_arguments(&["--nodes", &count.to_string()]);
        Self { sandbox, folder: tempfile::tempdir().unwrap() }
    }

    /// The identity of the sandbox's member with this number.
    pub fn member(&self, number: u64) -> PathBuf {
        self.sandbox.dir.join(format!("members/member-{number}"))
    }

    /// The identity of the sandbox's participant.
    pub fn participant(&self) -> PathBuf {
        self.sandbox.dir.join("participants/participant-1")
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Runs a command as somebody.
    pub fn run(&self, who: &Path, arguments: &[&str]) -> Finished {
        let identity = ["--identity", who.to_str().unwrap()];
        self.sandbox.synod(&[arguments, &identity].concat())
    }

    /// A command that has to be refused, with this code in parentheses among what is said.
    pub fn refused(&self, who: &Path, arguments: &[&str], code: &str) -> String {
        let Finished { status, stdout, stderr } = self.run(who, arguments);
        assert_eq!((status, stdout.as_str()), (1, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(&format!("({code})")), "{arguments:?} was to be refused with {code}: {stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("hint: "), "{arguments:?}: {stderr}");
        stderr
    }

    /// Submits a proposal as member 1; its id and where it stands.
    pub fn propose(&self, actions: &str) -> (String, String) {
        let file = self.write("proposal.toml", actions);
        read(&self.run(&self.member(1), &["proposal", "submit", file.to_str().unwrap()]).succeeded())
    }

    /// Submits a proposal that members 1 and 2 accept.
    pub fn decide(&self, actions: &str) -> String {
        let (id, _) = self.propose(actions);
        self.run(&self.member(1), &["ballot", "submit", &id, "accept"]).succeeded();
        let (id, status) = read(&self.run(&self.member(2), &["ballot", "submit", &id, "accept"]).succeeded());
        assert_eq!(status, "accepted");
        id
    }

    /// The constitution in force.
    pub fn constitution(&self) -> String {
        self.run(&self.member(1), &["constitution", "show"]).succeeded().stdout
    }
}

/// Id and status of `proposal ID STATUS at TXID`.
fn read(finished: &Finished) -> (String, String) {
    let words: Vec<_> = finished.stdout.split_whitespace().collect();
    let ["proposal", id, status, "at", _] = words[..] else { panic!("not understood: {finished:?}") };
    (id.to_owned(), status.to_owned())
}
