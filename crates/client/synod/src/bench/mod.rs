//! `synod bench`: a load generator that judges every answer.

mod cpu;
mod evm;
mod live;
mod load;
mod log;
mod probe;
mod replay;
mod report;
mod run;
mod stats;

use std::process::ExitCode;

use synod_client::{Client, ClientOptions, Network};

use crate::cli::{BenchCommand, BenchEvmArgs, BenchLogArgs, LoadArgs};
use crate::eth::bench_accounts;
use crate::failure::Failure;
use crate::output;

pub use cpu::pid;
use evm::{Chain, Kind};
use log::{LogLoad, Messages};
use report::Report;
use run::{Home, Plan};

/// Runs a workload and prints its report. The exit status says whether every answer came and was right.
///
/// # Errors
/// If the run could not begin or end.
pub async fn bench(command: BenchCommand, json: bool) -> Result<ExitCode, Failure> {
    let report = match command {
        BenchCommand::Log(args) => log(args).await?,
        BenchCommand::Transfer(args) => evm(args, "transfer").await?,
        BenchCommand::Erc20(args) => evm(args, "erc20").await?,
        BenchCommand::Replay(args) => replay::replay(args).await?,
    };
    if json {
        output::json(&report)?;
    } else {
        output::text(&report.table())?;
    }
    Ok(if report.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn log(args: BenchLogArgs) -> Result<Report, Failure> {
    if args.load.batch > 1 {
        return Err(Failure::new(
            "a log request holds one message",
            "leave out --batch; use --depth for more in flight",
        ));
    }
    let client = client(&args.load)?;
    let size = usize::try_from(args.size).expect("the command line caps it");
    let messages = Messages::new(args.keys, size);
    if args.reads > 0 {
        messages.store(&client).await?;
    }
    let lanes = args.load.connections;
    let loads = (0..lanes).map(|lane| LogLoad::new(messages.clone(), args.reads, lane, lanes)).collect();
    let home = if args.reads == 100 { Home::Spread } else { Home::Leader };
    let plan = Plan {
        load: &args.load,
        home,
        transactions: args.load.transactions,
        depth: 1,
        duration: Some(args.load.duration),
    };
    let mut run = run::run(&client, plan, loads).await?;
    let written = run.workloads.iter().map(|load| load.written).max().unwrap_or(0) * lanes;
    let written = if args.reads > 0 { args.keys } else { written };
    for complaint in messages.verify(&client, written).await {
        run.complain(complaint);
    }
    let workload = match args.reads {
        0 => "log".to_owned(),
        100 => "log reads".to_owned(),
        percent => format!("log with {percent} % reads"),
    };
    Ok(run.report(&workload))
}

async fn evm(args: BenchEvmArgs, workload: &str) -> Result<Report, Failure> {
    let client = client(&args.load)?;
    client.prefer_leader().await;
    let mut chain = Chain::look(&client, bench_accounts()).await?;
    let kind = match workload {
        "erc20" => Kind::Erc20(chain.deploy_token(&client).await?),
        _ => Kind::Transfer,
    };
    let count = args.load.transactions.unwrap_or_else(|| enough(&args.load));
    let signing = output::spinner(format!("signing {count} transactions"));
    let lanes = usize::try_from(args.load.connections).expect("the command line caps it");
    let mut loads = chain.sign_all(kind, count, lanes);
    signing.finish_and_clear();
    let batch = usize::try_from(args.load.batch).expect("the command line caps it");
    loads.iter_mut().for_each(|load| load.batch = batch);
    let plan = Plan {
        load: &args.load,
        home: Home::Leader,
        transactions: Some(count),
        depth: EVM_DEPTH,
        duration: Some(args.load.duration),
    };
    let mut run = run::run(&client, plan, loads).await?;
    let acknowledged: Vec<_> = run.workloads.iter().flat_map(|load| load.acknowledged.iter().copied()).collect();
    for complaint in chain.verify(&client, &acknowledged, acknowledged.len() as u64).await? {
        run.complain(complaint);
    }
    Ok(run.report(workload))
}

/// As many transactions as could be committed in the time: at the rate asked for, or at one that no network here reaches.
fn enough(load: &LoadArgs) -> u64 {
    let count = load.rate.unwrap_or(RATE_BEYOND_REACH) * load.duration;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count within the bounds just set")]
    let count = count.clamp(1.0, TRANSACTIONS_MAX).ceil() as u64;
    count
}

fn client(load: &LoadArgs) -> Result<Client, Failure> {
    let options = ClientOptions { reads_own_writes: false, ..ClientOptions::default() };
    Ok(Client::with_options(Network::load(&load.network.network)?, options)?)
}

/// Requests in flight on each connection unless the user says: enough that a block is full when it closes,
/// few enough that each still is answered at once.
const EVM_DEPTH: u64 = 200;

/// Transactions per second, for the number to sign when the time alone ends the run.
const RATE_BEYOND_REACH: f64 = 15_000.0;

/// Signing takes 30 us each: half a minute of one core.
const TRANSACTIONS_MAX: f64 = 1_000_000.0;

#[cfg(test)]
mod tests;
