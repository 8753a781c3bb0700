//! `synod proposal submit|prepare|list|show|withdraw`.

use std::path::Path;

use serde_json::Value;
use synod_client::governance::{Speaker, Which, check_proposal};
use synod_crypto::random_bytes;
use synod_governance::bounded::{Blob, List, Note};
use synod_governance::document::Document;
use synod_governance::{ProposalBody, Request, WithdrawalBody};
use synod_types::Digest;

use crate::cli::{
    ProposalCommand, ProposalIdArgs, ProposalListArgs, ProposalPrepareArgs, ProposalSubmitArgs, ProposalTerms,
};
use crate::failure::{Failure, Hint};
use crate::output;

use super::ballot::DO_NOT_VOTE;
use super::file;
use super::prepared::{self, Prepared};
use super::session::{Session, now, statement, unsigned};
use super::show;

/// Proposes, shows what others propose, or takes a proposal back.
///
/// # Errors
/// If the proposal is refused, or no node answers.
pub async fn proposal(command: ProposalCommand, json: bool) -> Result<(), Failure> {
    match command {
        ProposalCommand::Submit(args) if args.dry_run => dry_run(args, json).await,
        ProposalCommand::Submit(args) => submit(args, json).await,
        ProposalCommand::Prepare(args) => prepare(args).await,
        ProposalCommand::List(args) => list(args, json).await,
        ProposalCommand::Show(args) => show_one(args, json).await,
        ProposalCommand::Withdraw(args) => withdraw(args, json).await,
    }
}

async fn submit(args: ProposalSubmitArgs, json: bool) -> Result<(), Failure> {
    let session = Session::open(&args.govern)?;
    let signed = match (args.file, args.prepared.prepared, args.prepared.signature) {
        (_, Some(prepared), Some(signature)) => {
            statement(prepared::signed(&Prepared::load::<ProposalBody>(&prepared)?, &signature)?)?
        }
        (Some(file), ..) => {
            let speaker = session.speaker(None).await?;
            session.sign(&body(&file, &args.terms, &speaker)?, &speaker)?
        }
        _ => unreachable!("the command line has either"),
    };
    session.submit_on_proposal(&Request::Propose(signed), json).await
}

async fn prepare(args: ProposalPrepareArgs) -> Result<(), Failure> {
    let session = Session::open(&args.govern)?;
    let speaker = session.speaker(args.out.signer.as_deref()).await?;
    prepared::write(&args.out.out, &unsigned(&body(&args.file, &args.terms, &speaker)?, &speaker)?)
}

fn body(path: &Path, terms: &ProposalTerms, speaker: &Speaker) -> Result<ProposalBody, Failure> {
    let file = file::proposal(path, &speaker.constitution)?;
    let note = terms.note.clone().unwrap_or(file.note);
    Ok(ProposalBody {
        proposer: speaker.actor,
        nonce: Blob::new(random_bytes::<16>().to_vec()).expect("sixteen bytes"),
        actions: List::new(file.actions).hint("split the proposal")?,
        expires: terms.expires.map(|after| now().after(after).0),
        note: Note::new(note).hint("shorten the note, and leave out characters that do not show")?,
    })
}

async fn dry_run(args: ProposalSubmitArgs, json: bool) -> Result<(), Failure> {
    let session = Session::open(&args.govern)?;
    let path = args.file.as_deref().expect("the command line has a file if nothing is prepared");
    let speaker = session.speaker(None).await?;
    let answer = session.governance.dry_run(&file::proposal(path, &speaker.constitution)?.actions).await?;
    if json {
        return show::verbatim(&answer.body);
    }
    let mut text = String::new();
    for change in answer.view.changes {
        for (sign, value) in [("-", change.before), ("+", change.after)] {
            text += &value.map(|value| format!("{sign} {}: {value}\n", change.what)).unwrap_or_default();
        }
    }
    output::text(&text)
}

async fn list(args: ProposalListArgs, json: bool) -> Result<(), Failure> {
    let session = Session::open(&args.govern)?;
    let which = match (args.mine, args.all) {
        (true, _) => Which::AwaitingMine,
        (_, true) => Which::All,
        _ => Which::Open,
    };
    let mut after = 0;
    let mut whole: Option<Value> = None;
    loop {
        let answer = session.governance.proposals(which, after).await?;
        if json {
            let page: Value = serde_json::from_slice(&answer.body).expect("it was read before");
            join(&mut whole, page);
        } else {
            output::text(&answer.view.proposals.iter().map(show::line).collect::<String>())?;
        }
        match answer.view.next.filter(|next| *next > after) {
            Some(next) => after = next,
            None => break,
        }
    }
    whole.map_or(Ok(()), |whole| output::json(&whole))
}

/// Appends the proposals of a page to those before.
fn join(whole: &mut Option<Value>, mut page: Value) {
    match whole {
        None => {
            if let Value::Object(fields) = &mut page {
                fields.remove("next");
            }
            *whole = Some(page);
        }
        Some(whole) => {
            let more = page["proposals"].as_array_mut().map(std::mem::take).unwrap_or_default();
            if let Some(proposals) = whole["proposals"].as_array_mut() {
                proposals.extend(more);
            }
        }
    }
}

async fn show_one(args: ProposalIdArgs, json: bool) -> Result<(), Failure> {
    let session = Session::open(&args.govern)?;
    let answer = session.governance.proposal(args.id).await?;
    let network = Digest::from_hex(&answer.view.network).unwrap_or_default();
    // Of a closed one nodes have the gist only, which no digest names.
    let body = match answer.view.decision {
        Some(_) => None,
        None => Some(check_proposal(&answer.view, &network).hint(DO_NOT_VOTE)?),
    };
    if json {
        return show::verbatim(&answer.body);
    }
    // For the names of actors alone.
    let in_force = session.governance.constitution().await?.view;
    let document = Document::parse(&in_force.toml).map_err(|_| Failure::new(NO_CONSTITUTION, DO_NOT_VOTE))?;
    let body = body.as_ref().map(|body| (body, document.constitution()));
    output::text(&show::proposal(&answer.view, body))
}

async fn withdraw(args: ProposalIdArgs, json: bool) -> Result<(), Failure> {
    let session = Session::open(&args.govern)?;
    let speaker = session.speaker(None).await?;
    let view = session.governance.proposal(args.id).await?.view;
    let digest = Digest::from_hex(&view.summary.digest).unwrap_or_default();
    let signed = session.sign(&WithdrawalBody { proposal: args.id, digest }, &speaker)?;
    session.submit_on_proposal(&Request::Withdraw(signed), json).await
}

/// A node whose constitution cannot be read is no node to ask.
const NO_CONSTITUTION: &str = "the node's answer holds no constitution";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_become_one_list() {
        let mut whole = None;
        join(&mut whole, json!({"txid": "2.4", "proposals": [1, 2], "next": 2}));
        join(&mut whole, json!({"txid": "2.5", "proposals": [3], "next": null}));
        assert_eq!(whole, Some(json!({"txid": "2.4", "proposals": [1, 2, 3]})));
    }
}
