//! `synod gateway`.

use serde_json::json;
use synod_client::Network;

use crate::cli::GatewayArgs;
use crate::failure::Failure;
use crate::gateway::{Gateway, Origins};
use crate::{output, signals};

/// Serves until it is told to stop.
///
/// # Errors
/// If the port is taken or the network file is of no use.
pub async fn gateway(args: GatewayArgs, json: bool) -> Result<(), Failure> {
    let origins = match args.allow_origin {
        None => Origins::None,
        Some(origin) if origin == "*" => Origins::Any,
        Some(origin) => Origins::One(origin),
    };
    let gateway = Gateway::bind(args.rpc_port, Network::load(&args.network.network)?, origins).await?;
    let gateway = gateway.following(args.network.network);
    let url = gateway.url()?;
    if json {
        output::json(&json!({"url": url}))?;
    } else {
        output::text(&format!("Ethereum JSON-RPC at {url}\n"))?;
        eprintln!("stop it with Ctrl-C");
    }
    tokio::select! {
        () = gateway.serve() => {}
        () = signals::stop() => {}
    }
    Ok(())
}
