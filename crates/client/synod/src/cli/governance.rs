//! The command line of governance, and the help for it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::NetworkArgs;
use super::governance_help::{FOUNDING, HSM, IDENTITY_EXAMPLES, PROPOSAL_FILE, RULE_FILE};

/// The network, and as whom to govern it.
#[derive(Clone, Debug, Args)]
pub struct GovernArgs {
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Speak as PATH.crt with the key PATH.key, both PEM [default: the network file's identity].
    ///
    /// The .crt may hold a chain: the leaf first, then the certificates up to the actor's own.
    #[arg(long, env = "SYNOD_IDENTITY", value_name = "PATH")]
    pub identity: Option<PathBuf>,
}

/// Commands about the constitution.
#[derive(Debug, Subcommand)]
pub enum ConstitutionCommand {
    /// Print the constitution in force: TOML, with comments.
    ///
    /// With --json: {"network", "txid", "time", "toml"}, as of transaction txid. What was in force at an earlier
    /// transaction is read from a ledger's files: `synod ledger audit DIR --at TXID`.
    Show(GovernArgs),
    /// Look at a constitution that founders wrote, before a network begins with it. Needs no network.
    ///
    /// Prints each reason against it as FILE:LINE:COLUMN: REASON and ends with status 1, or says whom it lists. With --json:
    /// {"file", "network", "members", "participants", "nodes", "adapters", "problems": [{"line", "column", "reason"}]},
    /// with null for what is not known while there are problems.
    #[command(after_help = FOUNDING)]
    Check(ConstitutionCheckArgs),
}

/// Which constitution.
#[derive(Debug, Args)]
pub struct ConstitutionCheckArgs {
    /// The TOML document.
    pub file: PathBuf,
}

/// Commands about proposals.
#[derive(Debug, Subcommand)]
pub enum ProposalCommand {
    /// Sign a proposal with the identity's key and submit it.
    ///
    /// Prints `proposal ID STATUS at TXID`; with --json {"proposal", "status", "txid"}. A proposal is checked when it
    /// is submitted, against the constitution that it would meet; every reason against it is listed.
    #[command(after_help = PROPOSAL_FILE)]
    Submit(ProposalSubmitArgs),
    /// Write what has to be signed, for a key in an HSM.
    ///
    /// Writes two files: OUT, the bytes to be signed, and beside it the same name ending in .json, the statement that
    /// they belong to.
    #[command(after_help = HSM)]
    Prepare(ProposalPrepareArgs),
    /// List open proposals, oldest first.
    ///
    /// With --json: {"network", "txid", "time", "proposals": [{"id", "digest", "status", "proposer", "proposer_name",
    /// "kinds", "summary", "note", "submitted", "expires", "votes": {"members", "accepting", "rejecting"}, "mine"}]}.
    List(ProposalListArgs),
    /// Show one proposal: what it does, who voted how, under which policy, and what became of it.
    ///
    /// The digest is computed anew from what is shown; exit status 1 if it is not the one that ballots name.
    /// With --json, as in the list, and: {"actions", "policies", "ballots", "decision"}.
    Show(ProposalIdArgs),
    /// Take one's own proposal back, while it is open.
    Withdraw(ProposalIdArgs),
}

/// What to propose.
#[derive(Debug, Args)]
pub struct ProposalSubmitArgs {
    /// As whom.
    #[command(flatten)]
    pub govern: GovernArgs,
    /// The proposal: TOML, see below.
    #[arg(required_unless_present = "prepared")]
    pub file: Option<PathBuf>,
    /// When it closes, and why it is made.
    #[command(flatten)]
    pub terms: ProposalTerms,
    /// Submit nothing: print what the proposal would change in the constitution, or every reason against it.
    ///
    /// With --json: {"network", "txid", "changes": [{"what", "before", "after"}]}.
    #[arg(long, conflicts_with = "prepared")]
    pub dry_run: bool,
    /// The statement that `synod proposal prepare` wrote.
    #[command(flatten)]
    pub prepared: PreparedArgs,
}

/// What to prepare.
#[derive(Debug, Args)]
pub struct ProposalPrepareArgs {
    /// As whom.
    #[command(flatten)]
    pub govern: GovernArgs,
    /// The proposal: TOML, see `synod proposal submit --help`.
    pub file: PathBuf,
    /// When it closes, and why it is made.
    #[command(flatten)]
    pub terms: ProposalTerms,
    /// Who signs, and where to write.
    #[command(flatten)]
    pub out: PrepareArgs,
}

/// When a proposal closes, and why it is made.
#[derive(Debug, Args)]
pub struct ProposalTerms {
    /// Close the proposal after this time if it is not decided: 90s, 30m, 12h, 7d [default: the constitution's expiry].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub expires: Option<std::time::Duration>,
    /// Why, for the other members [default: the file's note].
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// A prepared statement and its signature.
#[derive(Debug, Args)]
pub struct PreparedArgs {
    /// Submit the prepared statement FILE (the .json, or the file of bytes beside it), signed elsewhere.
    #[arg(long, value_name = "FILE", requires = "signature", conflicts_with_all = ["file", "ProposalTerms"])]
    pub prepared: Option<PathBuf>,
    /// The signature on the prepared bytes: in DER, as most tools write it, or r || s.
    #[arg(long, value_name = "FILE", requires = "prepared")]
    pub signature: Option<PathBuf>,
}

/// How to prepare a statement.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    /// Where to write the bytes to be signed.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The certificate of the key that will sign, with those up to the actor's [default: the identity's].
    #[arg(long, value_name = "FILE")]
    pub signer: Option<PathBuf>,
}

/// Which proposals to list.
#[derive(Debug, Args)]
pub struct ProposalListArgs {
    /// As whom.
    #[command(flatten)]
    pub govern: GovernArgs,
    /// Only those that await one's own vote.
    #[arg(long, conflicts_with = "all")]
    pub mine: bool,
    /// Also those that are closed.
    #[arg(long)]
    pub all: bool,
}

/// Which proposal.
#[derive(Debug, Args)]
pub struct ProposalIdArgs {
    /// As whom.
    #[command(flatten)]
    pub govern: GovernArgs,
    /// The proposal's id.
    pub id: u64,
}

/// Commands about ballots.
#[derive(Debug, Subcommand)]
pub enum BallotCommand {
    /// Vote on a proposal, or change one's vote while the proposal is open.
    ///
    /// Shows on standard error what is voted on, computes the proposal's digest from it, and signs a ballot that names
    /// network, digest and choice. Prints `proposal ID STATUS at TXID`; with --json {"proposal", "status", "txid"}.
    Submit(BallotSubmitArgs),
    /// Write what has to be signed, for a key in an HSM.
    ///
    /// Writes two files: OUT, the bytes to be signed, and beside it the same name ending in .json, the statement that
    /// they belong to.
    #[command(after_help = HSM)]
    Prepare(BallotPrepareArgs),
}

/// What a member says to a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// For it.
    Accept,
    /// Against it.
    Reject,
}

/// What to vote.
#[derive(Debug, Args)]
pub struct BallotSubmitArgs {
    /// As whom.
    #[command(flatten)]
    pub govern: GovernArgs,
    /// The proposal's id.
    #[arg(required_unless_present = "prepared", requires = "choice", conflicts_with = "prepared")]
    pub id: Option<u64>,
    /// For or against.
    #[arg(value_enum, conflicts_with = "prepared")]
    pub choice: Option<Choice>,
    /// Submit the prepared ballot FILE (the .json, or the file of bytes beside it), signed elsewhere.
    #[arg(long, value_name = "FILE", requires = "signature")]
    pub prepared: Option<PathBuf>,
    /// The signature on the prepared bytes: in DER, as most tools write it, or r || s.
    #[arg(long, value_name = "FILE", requires = "prepared")]
    pub signature: Option<PathBuf>,
}

/// What to prepare.
#[derive(Debug, Args)]
pub struct BallotPrepareArgs {
    /// As whom.
    #[command(flatten)]
    pub govern: GovernArgs,
    /// The proposal's id.
    pub id: u64,
    /// For or against.
    #[arg(value_enum)]
    pub choice: Choice,
    /// Who signs, and where to write.
    #[command(flatten)]
    pub out: PrepareArgs,
}

/// Commands about standing rules: votes given in advance.
#[derive(Debug, Subcommand)]
pub enum RuleCommand {
    /// Register a standing rule: it accepts, for this member, every later proposal that it covers.
    ///
    /// Prints `rule DIGEST set at TXID`; with --json {"rule", "txid"}. Proposals that are open already are not touched.
    #[command(after_help = RULE_FILE)]
    Set(RuleSetArgs),
    /// List a member's standing rules.
    ///
    /// With --json: {"network", "txid", "counter", "rules": [{"digest", "rule", "txid"}]}.
    List(RuleListArgs),
    /// Remove a standing rule. What it has voted stays; vote by hand to change that.
    Remove(RuleRemoveArgs),
}

/// Which rule to register.
#[derive(Debug, Args)]
pub struct RuleSetArgs {
    /// As whom.
    #[command(flatten)]
    pub govern: GovernArgs,
    /// The rule: TOML, see below.
    pub file: PathBuf,
}

/// Whose rules to list.
#[derive(Debug, Args)]
pub struct RuleListArgs {
    /// As whom.
    #[command(flatten)]
    pub govern: GovernArgs,
    /// The member's name, or its id in hexadecimal digits [default: oneself].
    #[arg(long, value_name = "NAME|ID")]
    pub member: Option<String>,
}

/// Which rule to remove.
#[derive(Debug, Args)]
pub struct RuleRemoveArgs {
    /// As whom.
    #[command(flatten)]
    pub govern: GovernArgs,
    /// The rule's digest.
    pub digest: String,
}

/// What to revoke.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// As whom.
    #[command(flatten)]
    pub govern: GovernArgs,
    /// The list: DER or PEM, with a number above the last one's, signed with the key of the actor's own certificate.
    pub crl: PathBuf,
}

/// Commands about what happens.
#[derive(Debug, Subcommand)]
pub enum GovCommand {
    /// Print what happens in governance, as it happens: one line for each event, each once, in order.
    ///
    /// With --json, one object a line: {"id", "event", "data"}. Kinds of events: proposed, voted, closed,
    /// actor_added, actor_changed, actor_removed, rule_set, rule_removed. A stream that breaks is taken up at another
    /// node.
    Watch(GovWatchArgs),
}

/// What to watch.
#[derive(Debug, Args)]
pub struct GovWatchArgs {
    /// As whom.
    #[command(flatten)]
    pub govern: GovernArgs,
    /// Begin with what was missed since this transaction, or since the event with this id; 0 begins at the beginning.
    #[arg(long, value_name = "TXID", value_parser = event_id)]
    pub after: Option<String>,
    /// End after this many events.
    #[arg(long, value_name = "COUNT")]
    pub once: Option<u64>,
}

/// Commands about certificates and keys of actors.
#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Make a key on P-256 and a certificate for it: OUT.key (readable by its owner alone) and OUT.crt.
    ///
    /// Without --issuer the certificate is signed by its own key: an actor of one key. With --ca it is an
    /// organisation's own authority: list that certificate in the constitution, and every leaf issued under it speaks
    /// for the organisation, so that a leaf's renewal needs no vote. Prints the id of the actor.
    #[command(after_help = IDENTITY_EXAMPLES)]
    New(IdentityNewArgs),
    /// Print what a certificate says: its name, until when it is valid, and the id of the actor that it stands for.
    ///
    /// With --json: {"certificates": [{"id", "name", "valid_until"}]}, leaf first.
    Show(IdentityShowArgs),
}

/// What to make.
#[derive(Debug, Args)]
pub struct IdentityNewArgs {
    /// The certificate's common name.
    #[arg(long)]
    pub name: String,
    /// Where to write: PATH.crt and PATH.key, neither of which may exist.
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
    /// Issue it under the authority PATH.crt with PATH.key, made with --ca; OUT.crt holds both certificates.
    #[arg(long, value_name = "PATH", conflicts_with = "ca")]
    pub issuer: Option<PathBuf>,
    /// Make an authority, which issues leaves.
    #[arg(long)]
    pub ca: bool,
    /// For how many days it is valid.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
}

/// Which certificate.
#[derive(Debug, Args)]
pub struct IdentityShowArgs {
    /// The certificate, PEM; without .crt at its end, as --identity takes it.
    pub path: PathBuf,
}

/// Reads 0, 2.14, 2.14/3.
fn event_id(text: &str) -> Result<String, String> {
    let txid = match text.split_once('/') {
        Some((txid, place)) => place.parse::<u32>().is_ok().then_some(txid),
        None => Some(text),
    };
    let is_id = text == "0" || txid.is_some_and(|txid| txid.parse::<synod_types::TxId>().is_ok());
    if is_id { Ok(text.to_owned()) } else { Err("0, a transaction as in 2.14, or an event as in 2.14/1".into()) }
}

/// Reads 90s, 30m, 12h, 7d.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let read = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    read.map(std::time::Duration::from_secs).ok_or_else(|| "a number and s, m, h or d, as in 12h".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_named_by_its_transaction_and_its_place() {
        for text in ["0", "2.14", "2.14/3"] {
            assert_eq!(event_id(text).as_deref(), Ok(text));
        }
        for text in ["", "1", "2.14/", "2.14/x", "/1", "2.14\r\nx", "0/1"] {
            assert!(event_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, seconds) in [("90s", 90), ("2m", 120), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(duration(text), Ok(std::time::Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "7", "d", "-1s", "1w", "99999999999999999999s", "9999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
