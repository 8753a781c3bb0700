//! `synod gov watch`.

use serde_json::{Value, json};

use crate::cli::{GovCommand, GovWatchArgs};
use crate::failure::Failure;
use crate::output;

use super::session::Session;
use super::show;

/// Prints events as they come.
///
/// # Errors
/// If no node serves them.
pub async fn gov(command: GovCommand, json: bool) -> Result<(), Failure> {
    let GovCommand::Watch(GovWatchArgs { govern, after, once }) = command;
    let mut events = Session::open(&govern)?.governance.events(after);
    let mut left = once.unwrap_or(u64::MAX);
    while left > 0 {
        let event = events.next().await?;
        match json {
            true => {
                let data: Value = serde_json::from_str(&event.data).unwrap_or(Value::String(event.data));
                output::json(&json!({"id": event.id, "event": event.event, "data": data}))?;
            }
            false => output::text(&show::event(&event))?,
        }
        left -= 1;
    }
    Ok(())
}
