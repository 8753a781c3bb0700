//! One measured run: lanes at work, times taken around them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use synod_client::Client;
use tokio::task::JoinSet;

use super::cpu::Usage;
use super::live;
use super::load::{Lane, Shared, Workload};
use super::probe::Prober;
use super::report::Report;
use super::stats::Tally;
use crate::cli::LoadArgs;
use crate::failure::{Failure, Hint};

/// Where lanes send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// All to the leader.
    Leader,
    /// To all nodes in turn.
    Spread,
}

/// What a run is to be.
pub struct Plan<'a> {
    /// What the user said.
    pub load: &'a LoadArgs,
    /// Where to send to, unless the user said.
    pub home: Home,
    /// After how many transactions to stop.
    pub transactions: Option<u64>,
    /// How many requests each connection keeps in flight, unless the user said.
    pub depth: u64,
    /// For how many seconds to send; none until all is sent.
    pub duration: Option<f64>,
}

/// What a run was.
pub struct Run<W> {
    /// The workloads as they were left.
    pub workloads: Vec<W>,
    tally: Rc<RefCell<Tally>>,
    seconds: f64,
    cpu: (Vec<Option<f64>>, f64),
}

impl<W> Run<W> {
    /// Notes that something was found wrong afterwards.
    pub fn complain(&mut self, complaint: String) {
        self.tally.borrow_mut().wrong(1, complaint);
    }

    /// The report; what was wrong goes to standard error.
    pub fn report(&self, workload: &str) -> Report {
        let tally = self.tally.borrow();
        explain(&tally);
        Report::new(workload, &tally, self.seconds, self.cpu.clone())
    }
}

/// Says on standard error what was wrong, and how often a connection was lost.
pub fn explain(tally: &Tally) {
    for complaint in &tally.complaints {
        eprintln!("wrong: {complaint}");
    }
    if tally.errors > tally.complaints.len() as u64 {
        eprintln!("wrong: {} in all", tally.errors);
    }
    if tally.reconnects > 0 {
        eprintln!("connections lost and made anew: {}", tally.reconnects);
    }
}

/// Runs one lane per workload. Must be called within a `LocalSet`.
///
/// # Errors
/// If the node to send to is not one of the network.
pub async fn run<W: Workload + 'static>(client: &Client, plan: Plan<'_>, workloads: Vec<W>) -> Result<Run<W>, Failure> {
    let tally = Rc::new(RefCell::new(Tally::new()));
    let prober = Prober::new(client.clone(), Rc::clone(&tally)).await;
    let (lanes, leader) = (workloads.len(), home(client, &plan).await?);
    let depth = usize::try_from(plan.load.depth.unwrap_or(plan.depth)).expect("the command line caps it");
    let before = Usage::now(&client.nodes());
    let start = Instant::now();
    let shared = Rc::new(Shared {
        client: client.clone(),
        tally: Rc::clone(&tally),
        prober: Rc::clone(&prober),
        stop_at: start + duration(&plan)?,
        budget: RefCell::new(plan.transactions.unwrap_or(u64::MAX)),
    });
    let mut at_work = JoinSet::new();
    for (number, workload) in workloads.into_iter().enumerate() {
        let home = leader.unwrap_or(number);
        let interval = interval(plan.load, lanes)?;
        at_work.spawn_local(Lane { shared: Rc::clone(&shared), workload, depth, interval, home }.run());
    }
    let live = plan.load.live.then(|| tokio::task::spawn_local(live::show(Rc::clone(&tally), start)));
    let workloads = at_work.join_all().await;
    live.inspect(tokio::task::JoinHandle::abort);
    let cpu = Usage::now(&client.nodes()).since(&before);
    let seconds = tally.borrow().last_answer.saturating_duration_since(start).as_secs_f64();
    prober.finish().await;
    Ok(Run { workloads, tally, seconds, cpu })
}

/// The place of the node that every lane sends to; none if each sends to another.
async fn home(client: &Client, plan: &Plan<'_>) -> Result<Option<usize>, Failure> {
    let place = |id| client.nodes().iter().position(|node| node.id.0 == id);
    if let Some(id) = plan.load.node {
        let hint = "take one of those that synod node status shows";
        return place(id).map(Some).ok_or_else(|| Failure::new(format!("the network has no node {id}"), hint));
    }
    match plan.home {
        Home::Spread => Ok(None),
        Home::Leader => Ok(Some(client.prefer_leader().await.and_then(|id| place(id.0)).unwrap_or(0))),
    }
}

/// For how long to send.
fn duration(plan: &Plan<'_>) -> Result<Duration, Failure> {
    let Some(seconds) = plan.duration else { return Ok(NO_END) };
    let duration =
        Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero() && *duration <= NO_END);
    duration.ok_or_else(|| {
        Failure::new(format!("{seconds} s is no time to measure"), "--duration is a number of seconds above zero")
    })
}

/// The time between two requests of one lane.
fn interval(load: &LoadArgs, lanes: usize) -> Result<Option<Duration>, Failure> {
    let Some(rate) = load.rate else { return Ok(None) };
    #[expect(clippy::cast_precision_loss, reason = "both are small")]
    let seconds = load.batch as f64 * lanes as f64 / rate;
    let interval =
        Duration::try_from_secs_f64(seconds).hint("--rate is a number above zero, in transactions per second")?;
    Ok(Some(interval.max(Duration::from_nanos(1))))
}

/// A year: no run is longer.
const NO_END: Duration = Duration::from_secs(365 * 86_400);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{BenchCommand, Cli, Command};

    fn load(line: &str) -> LoadArgs {
        match Cli::try_parse_from(format!("synod bench log --nodes n {line}").split_whitespace()).unwrap().command {
            Command::Bench(BenchCommand::Log(args)) => args.load,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rate_is_shared_among_connections_and_counts_transactions() {
        assert_eq!(interval(&load(""), 1).unwrap(), None);
        assert_eq!(interval(&load("--rate 1000"), 1).unwrap(), Some(Duration::from_millis(1)));
        assert_eq!(interval(&load("--rate 1000 --batch 10"), 4).unwrap(), Some(Duration::from_millis(40)));
        for line in ["--rate 0", "--rate -1"] {
            assert!(interval(&load(&line.replace(" -", "=-")), 1).is_err(), "{line}");
        }
    }
}
