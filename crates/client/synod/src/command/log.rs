//! `synod log put|get`.

use serde_json::json;
use synod_client::{Client, ClientOptions, Network, Request};

use crate::cli::{LogCommand, LogGetArgs, LogPutArgs};
use crate::failure::Failure;
use crate::output;

/// Stores or reads one message.
///
/// # Errors
/// If no node answers, or the answer is a refusal.
pub async fn log(command: LogCommand, json: bool) -> Result<(), Failure> {
    match command {
        LogCommand::Put(args) => put(args, json).await,
        LogCommand::Get(args) => get(args, json).await,
    }
}

async fn put(args: LogPutArgs, json: bool) -> Result<(), Failure> {
    let client = Client::new(Network::load(&args.network.network)?)?;
    let answer = client.send(Request::put(format!("/app/log/{}", args.key), args.message)).await?;
    match (answer.is_success(), answer.txid) {
        (true, Some(txid)) if json => output::json(&json!({"key": args.key, "txid": txid.to_string()})),
        (true, Some(txid)) => output::text(&format!("{txid}\n")),
        _ => Err(refused(&answer)),
    }
}

async fn get(args: LogGetArgs, json: bool) -> Result<(), Failure> {
    // Without a transaction to wait for, ask for the newest: a person expects what was just written elsewhere.
    let options = ClientOptions { reads_own_writes: false, ..ClientOptions::default() };
    let client = Client::with_options(Network::load(&args.network.network)?, options)?;
    let mut request = Request::get(format!("/app/log/{}", args.key));
    request.at_least = args.at_least;
    request.linearizable = args.at_least.is_none();
    let answer = client.send(request).await?;
    match answer.status {
        200 if json => {
            let txid = answer.txid.map(|txid| txid.to_string());
            output::json(&json!({"key": args.key, "message": String::from_utf8_lossy(&answer.body), "txid": txid}))
        }
        200 => {
            output::bytes(&answer.body)?;
            output::text("\n")
        }
        404 => Err(Failure::new(
            format!("there is no message under key {}", args.key),
            format!("store one with synod log put --key {} --message TEXT", args.key),
        )),
        _ => Err(refused(&answer)),
    }
}

fn refused(answer: &synod_client::Response) -> Failure {
    let hint = answer.error().and_then(|error| error.hint).unwrap_or("check the network with synod node status".into());
    Failure::new(answer.summary(), hint)
}
