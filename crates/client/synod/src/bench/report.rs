//! What a run prints: one JSON object, or a table.

use serde::Serialize;

use super::stats::{Percentiles, Tally};

/// The result of a run. The fields are a contract with programs that read them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What was sent.
    pub workload: String,
    /// How many transactions were answered right (for reads: reads).
    pub transactions: u64,
    /// How many were answered wrong or lost.
    pub errors: u64,
    /// Transactions per second.
    pub committed_per_s: f64,
    /// Until a quorum committed.
    pub quorum_commit_ms: Percentiles,
    /// Until all nodes committed.
    pub all_commit_ms: Percentiles,
    /// CPU seconds within the measured time.
    pub cpu_s: CpuSeconds,
    /// For a replay: each block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Vec<BlockReport>>,
}

/// CPU seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CpuSeconds {
    /// Each node's; null for one that does not run on this machine.
    pub nodes: Vec<Option<f64>>,
    /// The load generator's.
    pub client: f64,
}

/// One replayed block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockReport {
    /// Its number on Ethereum's main network.
    pub number: u64,
    /// How many transactions it holds.
    pub transactions: u64,
    /// Whether the gas used is the header's.
    pub gas_used_ok: bool,
    /// Whether the logs' bloom filter is the header's.
    pub logs_bloom_ok: bool,
    /// Whether the receipts' root is the header's; null where receipts of that time cannot be compared.
    pub receipts_root_ok: Option<bool>,
    /// Transactions per second.
    pub committed_per_s: f64,
}

impl BlockReport {
    /// Whether all that can be compared is equal.
    pub fn is_right(&self) -> bool {
        self.gas_used_ok && self.logs_bloom_ok && self.receipts_root_ok != Some(false)
    }
}

impl Report {
    /// A report of what `tally` holds, over `seconds`.
    pub fn new(workload: &str, tally: &Tally, seconds: f64, cpu: (Vec<Option<f64>>, f64)) -> Self {
        Self {
            workload: workload.into(),
            transactions: tally.transactions,
            errors: tally.errors,
            committed_per_s: per_second(tally.transactions, seconds),
            quorum_commit_ms: tally.quorum.percentiles(),
            all_commit_ms: tally.all.percentiles(),
            cpu_s: CpuSeconds { nodes: cpu.0, client: cpu.1 },
            blocks: None,
        }
    }

    /// Whether every answer came and was right.
    pub fn is_right(&self) -> bool {
        self.errors == 0 && self.blocks.iter().flatten().all(BlockReport::is_right)
    }

    /// As text for people.
    pub fn table(&self) -> String {
        let latency = |of: Percentiles| match (of.p50, of.p99) {
            (Some(p50), Some(p99)) => format!("p50 {p50:.1} ms, p99 {p99:.1} ms"),
            _ => "not measured".into(),
        };
        let node = |seconds: &Option<f64>| seconds.map_or("?".into(), |seconds| format!("{seconds:.2}"));
        let nodes = self.cpu_s.nodes.iter().map(node).collect::<Vec<_>>().join(" ");
        let mut text = format!(
            "workload          {}\ntransactions      {}\nerrors            {}\ncommitted         {:.0}/s\n\
             quorum commit     {}\nall nodes commit  {}\nCPU seconds       nodes {nodes}, client {:.2}\n",
            self.workload,
            self.transactions,
            self.errors,
            self.committed_per_s,
            latency(self.quorum_commit_ms),
            latency(self.all_commit_ms),
            self.cpu_s.client,
        );
        if let Some(blocks) = &self.blocks {
            text += "\n   block  transactions  gas used  logs bloom  receipts root  committed\n";
            blocks.iter().for_each(|block| text += &block.line());
        }
        text
    }
}

impl BlockReport {
    fn line(&self) -> String {
        let word = |ok| if ok { "equal" } else { "DIFFERS" };
        let root = self.receipts_root_ok.map_or("no root then", word);
        format!(
            "{:>8}  {:>12}  {:>8}  {:>10}  {:>13}  {:>7.0}/s\n",
            self.number,
            self.transactions,
            word(self.gas_used_ok),
            word(self.logs_bloom_ok),
            root,
            self.committed_per_s
        )
    }
}

/// A rate, to one decimal; zero if no time passed.
#[expect(clippy::cast_precision_loss, reason = "counts of transactions are far below 2^52")]
pub fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { (count as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn report() -> Report {
        let mut tally = Tally::new();
        tally.right(Duration::from_millis(2), 10, Instant::now());
        Report::new("log", &tally, 2.0, (vec![Some(1.5), None], 0.25))
    }

    fn block(root: Option<bool>) -> BlockReport {
        BlockReport {
            number: 4_864_590,
            transactions: 195,
            gas_used_ok: true,
            logs_bloom_ok: true,
            receipts_root_ok: root,
            committed_per_s: 10.0,
        }
    }

    #[test]
    fn the_json_has_exactly_the_fields_that_programs_rely_on() {
        let json = serde_json::to_string(&report()).unwrap();
        assert_eq!(
            json,
            r#"{"workload":"log","transactions":10,"errors":0,"committed_per_s":5.0,"quorum_commit_ms":{"p50":2.0,"p99":2.0},"all_commit_ms":{"p50":null,"p99":null},"cpu_s":{"nodes":[1.5,null],"client":0.25}}"#
        );
        let json = serde_json::to_string(&block(Some(true))).unwrap();
        assert_eq!(
            json,
            r#"{"number":4864590,"transactions":195,"gas_used_ok":true,"logs_bloom_ok":true,"receipts_root_ok":true,"committed_per_s":10.0}"#
        );
    }

    #[test]
    fn a_run_is_right_only_without_an_error_and_with_every_block_equal() {
        let mut report = report();
        assert!(report.is_right());
        report.blocks = Some(vec![block(None), block(Some(true))]);
        assert!(report.is_right());
        report.blocks = Some(vec![block(Some(false))]);
        assert!(!report.is_right());
        report.blocks = None;
        report.errors = 1;
        assert!(!report.is_right());
    }

    #[test]
    fn the_table_says_what_was_not_measured() {
        let table = report().table();
        assert!(table.contains("committed         5/s\n"), "{table}");
        assert!(table.contains("all nodes commit  not measured\n"), "{table}");
        assert!(table.contains("nodes 1.50 ?, client 0.25"), "{table}");
    }
}
