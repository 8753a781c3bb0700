//! CPU time of processes, from /proc.

use std::path::Path;

use synod_client::NodeEntry;

/// CPU time used so far: each node's, if it runs on this machine, and this process's own.
#[derive(Clone, Debug)]
pub struct Usage {
    nodes: Vec<Option<f64>>,
    own: f64,
}

impl Usage {
    /// What was used up to now.
    pub fn now(nodes: &[NodeEntry]) -> Self {
        let of_node = |node: &NodeEntry| seconds(&pid(node.dir.as_deref()?)?.to_string());
        Self { nodes: nodes.iter().map(of_node).collect(), own: seconds("self").unwrap_or_default() }
    }

    /// What was used since `earlier`: of each node, and of this process. A node that was started anew
    /// counts from its start.
    pub fn since(&self, earlier: &Self) -> (Vec<Option<f64>>, f64) {
        let difference = |(now, before): (&Option<f64>, &Option<f64>)| match (now, before) {
            (Some(now), Some(before)) if now >= before => Some(round(now - before)),
            (Some(now), _) => Some(round(*now)),
            (None, _) => None,
        };
        (self.nodes.iter().zip(&earlier.nodes).map(difference).collect(), round(self.own - earlier.own))
    }
}

/// The process that runs the node in `dir`, if one does.
pub fn pid(dir: &Path) -> Option<u32> {
    let pid = std::fs::read_to_string(dir.join("pid")).ok()?.trim().parse().ok()?;
    Path::new("/proc").join(format!("{pid}")).exists().then_some(pid)
}

fn seconds(process: &str) -> Option<f64> {
    parse(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// User and system time from a line of /proc/PID/stat (proc(5)).
fn parse(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses, which may hold anything.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let user: f64 = fields.nth(11)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn round(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

/// USER_HZ: 100 in the interface of Linux on every platform that Synod runs on.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_program_name() {
        let line = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 150 75 0 0 20 0 3 0 1 1 1";
        assert_eq!(parse(line), Some(2.25));
        for broken in ["", "42", "42 (x", "42 (x) S 1", "42 (x) S 1 1 1 1 1 1 1 1 1 1 y z"] {
            assert_eq!(parse(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn this_process_is_seen_and_a_node_elsewhere_is_not() {
        assert!(seconds("self").is_some());
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(pid(dir.path()), None);
        std::fs::write(dir.path().join("pid"), format!("{}\n", std::process::id())).unwrap();
        assert_eq!(pid(dir.path()), Some(std::process::id()));
    }

    #[test]
    fn a_node_that_was_started_anew_counts_from_its_start() {
        let before = Usage { nodes: vec![Some(5.0), Some(9.0), None], own: 1.0 };
        let now = Usage { nodes: vec![Some(6.5), Some(0.5), None], own: 1.25 };
        assert_eq!(now.since(&before), (vec![Some(1.5), Some(0.5), None], 0.25));
    }
}
