//! `synod ballot submit|prepare`.

use synod_client::governance::{ProposalView, Speaker, check_proposal};
use synod_governance::{BallotBody, Choice, Request};
use synod_types::Digest;

use crate::cli::{self, BallotCommand, BallotPrepareArgs, BallotSubmitArgs};
use crate::failure::{Failure, Hint};

use super::prepared::{self, Prepared};
use super::session::{Session, statement, unsigned};
use super::show;

/// Votes, or prepares a vote.
///
/// # Errors
/// If the proposal is not what its digest names, or the ballot is refused.
pub async fn ballot(command: BallotCommand, json: bool) -> Result<(), Failure> {
    match command {
        BallotCommand::Submit(args) => submit(args, json).await,
        BallotCommand::Prepare(args) => prepare(args).await,
    }
}

async fn submit(args: BallotSubmitArgs, json: bool) -> Result<(), Failure> {
    let session = Session::open(&args.govern)?;
    let signed = match (args.id, args.choice, args.prepared, args.signature) {
        (_, _, Some(prepared), Some(signature)) => {
            statement(prepared::signed(&Prepared::load::<BallotBody>(&prepared)?, &signature)?)?
        }
        (Some(id), Some(choice), ..) => {
            let speaker = session.speaker(None).await?;
            let body = body(&session, &speaker, id, choice, json).await?;
            session.sign(&body, &speaker)?
        }
        _ => unreachable!("the command line has either"),
    };
    session.submit_on_proposal(&Request::Vote(signed), json).await
}

async fn prepare(args: BallotPrepareArgs) -> Result<(), Failure> {
    let session = Session::open(&args.govern)?;
    let speaker = session.speaker(args.out.signer.as_deref()).await?;
    let body = body(&session, &speaker, args.id, args.choice, false).await?;
    prepared::write(&args.out.out, &unsigned(&body, &speaker)?)
}

/// The ballot, after its proposal was checked and shown.
async fn body(
    session: &Session,
    speaker: &Speaker,
    id: u64,
    choice: cli::Choice,
    quiet: bool,
) -> Result<BallotBody, Failure> {
    let view = session.governance.proposal(id).await?.view;
    // Of a closed one nodes have the gist only, which no digest names: nothing is signed that was not checked.
    if view.decision.is_some() {
        let closed = format!("proposal {id} is closed: {} (ProposalClosed)", view.summary.status);
        return Err(Failure::new(closed, "show it with `synod proposal show`"));
    }
    let proposal = check_proposal(&view, &speaker.network).hint(DO_NOT_VOTE)?;
    if !quiet {
        eprint!("{}", show::what(&view.summary, Some((&proposal, &speaker.constitution))));
    }
    let choice = match choice {
        cli::Choice::Accept => Choice::Accept,
        cli::Choice::Reject => Choice::Reject,
    };
    let digest = Digest::from_hex(&view.summary.digest).expect("it was compared with one");
    Ok(BallotBody { proposal: id, digest, choice, counter: last_counter(&view, speaker) + 1 })
}

/// The counter of the member's last ballot on this proposal.
fn last_counter(view: &ProposalView, speaker: &Speaker) -> u64 {
    let own = speaker.actor.to_hex();
    view.ballots.iter().find(|ballot| ballot.member == own).map_or(0, |ballot| ballot.counter)
}

/// What to do about a node that shows something else than what was signed.
pub const DO_NOT_VOTE: &str = "do not vote; ask another node, and the proposer by other means";
