//! `synod rule set|list|remove`.

use serde_json::json;
use synod_governance::statement::rule_digest;
use synod_governance::{Request, RuleBody, RuleRemovalBody};
use synod_types::{ActorId, Digest};

use crate::cli::{RuleCommand, RuleListArgs, RuleRemoveArgs, RuleSetArgs};
use crate::failure::Failure;
use crate::output;

use super::file;
use super::session::{Session, txid_of};
use super::show;

/// Registers, lists or removes standing rules.
///
/// # Errors
/// If the rule is refused, or no node answers.
pub async fn rule(command: RuleCommand, json: bool) -> Result<(), Failure> {
    match command {
        RuleCommand::Set(args) => set(args, json).await,
        RuleCommand::List(args) => list(args, json).await,
        RuleCommand::Remove(args) => remove(args, json).await,
    }
}

async fn set(args: RuleSetArgs, json: bool) -> Result<(), Failure> {
    let session = Session::open(&args.govern)?;
    let speaker = session.speaker(None).await?;
    let rule = file::rule(&args.file, &speaker.constitution)?;
    let digest = rule_digest(&rule);
    let body = RuleBody { rule, counter: next_counter(&session).await? };
    let request = Request::SetStandingRule(session.sign(&body, &speaker)?);
    done(&session, &request, digest, "set", json).await
}

async fn remove(args: RuleRemoveArgs, json: bool) -> Result<(), Failure> {
    let digest = Digest::from_hex(&args.digest);
    let digest = digest.ok_or_else(|| Failure::new("not a digest: 64 hexadecimal digits", "see synod rule list"))?;
    let session = Session::open(&args.govern)?;
    let speaker = session.speaker(None).await?;
    let body = RuleRemovalBody { rule: digest, counter: next_counter(&session).await? };
    let request = Request::RemoveStandingRule(session.sign(&body, &speaker)?);
    done(&session, &request, digest, "removed", json).await
}

async fn done(session: &Session, request: &Request, rule: Digest, what: &str, json: bool) -> Result<(), Failure> {
    let txid = txid_of(&session.submit(request).await?)?;
    match json {
        true => output::json(&json!({"rule": rule.to_hex(), "txid": txid})),
        false => output::text(&format!("rule {rule} {what} at {txid}\n")),
    }
}

async fn next_counter(session: &Session) -> Result<u64, Failure> {
    Ok(session.governance.rules(None).await?.view.counter.saturating_add(1))
}

async fn list(args: RuleListArgs, json: bool) -> Result<(), Failure> {
    let session = Session::open(&args.govern)?;
    let member = match &args.member {
        Some(text) => Some(id_of(&session, text).await?),
        None => None,
    };
    let answer = session.governance.rules(member).await?;
    if json {
        return show::verbatim(&answer.body);
    }
    let line = |rule: &synod_client::governance::RuleView| {
        format!("{}  {}  {}\n", rule.digest, rule.txid.as_deref().unwrap_or("?"), show::inline(&rule.rule))
    };
    output::text(&answer.view.rules.iter().map(line).collect::<String>())
}

/// The member with this id or name.
async fn id_of(session: &Session, text: &str) -> Result<ActorId, Failure> {
    if let Some(id) = ActorId::from_hex(text) {
        return Ok(id);
    }
    let named = session.speaker(None).await?.constitution.actor_named(text);
    named.ok_or_else(|| {
        Failure::new(format!("there is no actor {text:?}"), "see who there is in synod constitution show")
    })
}
