//! `synod ledger audit`: who proposed what, who voted how, under which policy, and the constitution at any transaction.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use synod_crypto::{AdminKey, SessionKeys};
use synod_governance::document::to_toml;
use synod_governance::view::{AsOf, EventView, event};
use synod_governance::{Read, Request, Role, Status, Tables};
use synod_ledger::{LastKnown, SealedBlock};
use synod_node::{Audit, AuditRefused, Audited};
use synod_types::{Seqno, TxId, View};

use super::ledger::{walk, wrong};
use crate::cli::AuditArgs;
use crate::events;
use crate::failure::{Failure, Hint};
use crate::output;

/// Executes the governance of a ledger again, and reports it.
///
/// # Errors
/// If the files are not as they were signed, the administrative parts do not open, or another result comes out.
pub fn audit(args: &AuditArgs, json: bool) -> Result<ExitCode, Failure> {
    let mut report = Report::new(args, json)?;
    let checked = walk(&args.dir, |entry| match entry.block {
        Some(block) => report.block(block),
        None => Ok(()),
    })?;
    let ledger = checked.map_err(|failure| wrong(&failure))?;
    let known = match ledger.last_known_committed {
        LastKnown::Nothing => Seqno(0),
        LastKnown::Transaction(txid) => txid.seqno,
    };
    report.finish(known)
}

/// Reads the key that opens administrative parts: an auditor's, or a node's file of session keys.
///
/// # Errors
/// If the file cannot be read, or holds neither.
pub fn key(file: Option<&Path>) -> Result<Option<AdminKey>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display()), "name a file with --key"))?;
    let key = AdminKey::from_pem(&text).or_else(|_| SessionKeys::from_pem(&text).map(|keys| keys.admin));
    let key = key.map_err(|_| format!("{} holds neither an auditor's key nor session keys", file.display()));
    key.map(Some).hint("a sandbox keeps its auditor's key in auditor/admin.key")
}

/// A failure of the audit, with what may help.
pub fn refused(block: &SealedBlock, refused: AuditRefused) -> Failure {
    let txid = TxId::new(block.header.view, block.header.first_seqno);
    let hint = match &refused {
        AuditRefused::Open(_) => "name the auditor's key of this network with --key",
        _ => "an enclave wrote what its members did not decide: keep the files, and ask the other nodes for theirs",
    };
    Failure::new(format!("transaction {txid}: {refused}"), hint)
}

/// The governance of a ledger as it is executed again, block by block.
pub struct Governance {
    audit: Audit,
    /// The views of governance transactions: the tables keep seqnos only.
    views: BTreeMap<Seqno, View>,
}

/// One governance transaction and what it did.
pub struct Governed {
    audited: Audited,
    events: Vec<EventView>,
    /// For people: what happened, in lines.
    pub lines: Vec<String>,
}

impl Governance {
    /// That of a ledger whose administrative parts open under `key`, or are public.
    pub fn new(key: Option<AdminKey>) -> Self {
        Self { audit: Audit::new(key), views: BTreeMap::new() }
    }

    /// Takes in the next block; `None` if it holds no governance.
    ///
    /// # Errors
    /// As [`Audit::block`].
    pub fn block(&mut self, block: &SealedBlock) -> Result<Option<Governed>, AuditRefused> {
        let before = self.audit.tables().clone();
        let Some(audited) = self.audit.block(block)? else { return Ok(None) };
        self.views.insert(audited.txid.seqno, audited.txid.view);
        let txid_of = |seqno| self.views.get(&seqno).map(|view| TxId::new(*view, seqno));
        let as_of = AsOf { network: block.header.network, txid: audited.txid, time: audited.time, txid_of: &txid_of };
        let (before, after) = (Tables::new(&before), Tables::new(self.audit.tables()));
        let view = |happened| event(happened, before, after, &as_of);
        let events: Vec<_> = audited.events.iter().map(view).collect::<Read<_>>()?;
        let lines = match audited.asked {
            Some(_) => events.iter().flat_map(|event| events::lines(event.name, &document(event))).collect(),
            None => vec![genesis(after)?],
        };
        Ok(Some(Governed { audited, events, lines }))
    }
}

fn genesis(tables: Tables<'_>) -> Read<String> {
    let actors = tables.actors()?;
    let count = |role| actors.values().filter(|actor| actor.role == role).count();
    let (members, participants, nodes) = (count(Role::Member), count(Role::Participant), tables.nodes()?.len());
    Ok(format!("the network begins: members {members}, participants {participants}, nodes {nodes}"))
}

/// What the audit has found so far.
struct Report {
    governance: Governance,
    json: bool,
    /// Nothing after this transaction is looked at.
    upto: Option<TxId>,
    is_there: bool,
    last: Option<TxId>,
    count: u64,
    transactions: Vec<Value>,
    text: String,
}

impl Report {
    fn new(args: &AuditArgs, json: bool) -> Result<Self, Failure> {
        Ok(Self {
            governance: Governance::new(key(args.key.as_deref())?),
            json,
            upto: args.at,
            is_there: false,
            last: None,
            count: 0,
            transactions: Vec::new(),
            text: String::new(),
        })
    }

    fn block(&mut self, block: &SealedBlock) -> Result<(), Failure> {
        let header = &block.header;
        if self.upto.is_some_and(|upto| upto.seqno < header.first_seqno) {
            return Ok(());
        }
        if let Some(upto) = self.upto {
            self.is_there |=
                header.view == upto.view && (header.first_seqno..=header.last_seqno()).contains(&upto.seqno);
        }
        let governed = self.governance.block(block).map_err(|why| refused(block, why))?;
        let Some(governed) = governed else { return Ok(()) };
        self.count += 1;
        self.last = Some(governed.audited.txid);
        if self.json {
            self.transactions.push(as_json(&governed));
        } else {
            let (txid, time) = (governed.audited.txid.to_string(), events::time(governed.audited.time));
            let head = format!("{txid:<8}  {time}  ");
            for (place, line) in governed.lines.iter().enumerate() {
                let before = if place == 0 { head.clone() } else { " ".repeat(head.len()) };
                let _ = writeln!(self.text, "{before}{line}");
            }
        }
        Ok(())
    }

    fn finish(self, known: Seqno) -> Result<ExitCode, Failure> {
        if let Some(upto) = self.upto
            && !self.is_there
        {
            let hint = "take an id from `synod ledger show`: view, dot, seqno";
            return Err(Failure::new(format!("the ledger holds no transaction {upto}"), hint));
        }
        let audit = &self.governance.audit;
        let constitution = audit.constitution().hint(VERSION)?.as_ref().map(to_toml).unwrap_or_default();
        let last = self.last.map(|txid| txid.to_string()).unwrap_or_default();
        let is_committed = self.last.is_some_and(|last| last.seqno <= known);
        if self.json {
            output::json(&json!({
                "ok": true,
                "governance_transactions": self.count,
                "last": last,
                "last_is_known_committed": is_committed,
                "tables_digest": audit.tables().digest().to_hex(),
                "transactions": self.transactions,
                "constitution": constitution,
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        output::text(if self.upto.is_some() { &constitution } else { &self.text })?;
        eprintln!("governance transactions: {}, up to {last}, each executed again with the same result", self.count);
        if !is_committed {
            eprintln!("transaction {last} is signed; whether it was committed, another node's files may tell");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A transaction as JSON.
pub fn as_json(Governed { audited, events, .. }: &Governed) -> Value {
    let events = events.iter().map(|event| json!({ "event": event.name, "data": document(event) }));
    json!({
        "txid": audited.txid.to_string(),
        "time": audited.time.0,
        "actor": audited.asked.as_ref().map(|(actor, _)| actor.to_hex()),
        "request": audited.asked.as_ref().map_or("genesis", |(_, request)| request_name(request)),
        "proposal": audited.proposal,
        "status": audited.status.map(Status::name),
        "events": events.collect::<Vec<_>>(),
    })
}

fn document(event: &EventView) -> Value {
    serde_json::to_value(event).expect("events are texts and numbers")
}

const fn request_name(request: &Request) -> &'static str {
    match request {
        Request::Propose(_) => "propose",
        Request::Withdraw(_) => "withdraw",
        Request::Vote(_) => "vote",
        Request::SetStandingRule(_) => "set_standing_rule",
        Request::RemoveStandingRule(_) => "remove_standing_rule",
        Request::Revoke(_) => "revoke",
        Request::CloseExpired => "close_expired",
    }
}

const VERSION: &str = "use the version of synod that the network runs";
