//! Whether adapters would take the settings that somebody proposes.
//!
//! Governance records an adapter's settings and cannot read them, so that an audit comes to the same tables whatever
//! adapters there are by then. For members not to vote on what comes to nothing, a node asks its adapters before it hands
//! a proposal on, and in a dry run, on the committed snapshot that it has. What an adapter says then is
//! no promise: once the settings are decided they are tried on the state of that moment.

use bytes::Bytes;
use synod_governance::document::{Change, dry_run};
use synod_governance::statement::{proposal_digest, proposed};
use synod_governance::{Action, ActionReason, Env, Read, Reason, Refused, SetAdapter, Tables};
use synod_node::governance_refusal;
use synod_worker::{Plan, Reply, Then};

use crate::government::Governing;
use crate::service::Service;

/// What becomes of a request to governance that may be a proposal: it is handed on, unless an adapter would refuse settings
/// in it. May take some tens of milliseconds.
pub fn plan(service: &Service, request: Bytes) -> Plan {
    match refusal(service, &request) {
        Some(reply) => Plan::Answer(reply),
        None => Plan::Execute { calls: vec![request], then: Then::Reply },
    }
}

/// What carrying these actions out would change, or every reason against it: governance's and the adapters'. May take some
/// tens of milliseconds.
pub fn try_out(
    service: &Service,
    governing: &Governing,
    actions: &[Action],
) -> Read<Result<Vec<Change>, Vec<ActionReason>>> {
    let refused = refused(service, actions);
    // Certificates are valid now, or not: an idle ledger's time may be long past.
    let time = service.calendar.now();
    let env = Env { network: service.governance.network, seqno: governing.txid.seqno.next(), time };
    let tried = dry_run(&governing.state, &env, actions)?;
    if refused.is_empty() {
        return Ok(tried);
    }
    let mut reasons = tried.err().unwrap_or_default();
    reasons.extend(refused);
    // Those against what all of them would leave behind come last.
    reasons.sort_by_key(|reason| reason.action.unwrap_or(usize::MAX));
    Ok(Err(reasons))
}

/// The answer to a proposal with settings that an adapter would refuse. One that is known has an answer already.
fn refusal(service: &Service, request: &[u8]) -> Option<Reply> {
    let body = proposed(request).filter(|body| body.actions.iter().any(|action| settings_of(action).is_some()))?;
    let governing = service.government.latest();
    let digest = proposal_digest(&service.governance.network, &body);
    if Tables(&governing.state).proposal_by_digest(&digest).ok()?.is_some() {
        return None;
    }
    let reasons = try_out(service, &governing, &body.actions).ok()?.err()?;
    // What governance alone has against it, it says where the request is ordered.
    let is_adapters = |reason: &ActionReason| matches!(reason.reason, Reason::AdapterRefuses { .. });
    reasons.iter().any(is_adapters).then(|| governance_refusal(&Refused::Actions { reasons }))
}

/// Each adapter's reason against the settings in these actions.
fn refused(service: &Service, actions: &[Action]) -> Vec<ActionReason> {
    let settings = actions.iter().enumerate().filter_map(|(place, action)| Some((place, settings_of(action)?)));
    let reason = |(place, set): (usize, &SetAdapter)| {
        let why = service.reader.try_settings(set.name.as_str(), &set.settings).err()?.reason;
        Some(ActionReason { action: Some(place), reason: Reason::AdapterRefuses { name: set.name.clone(), why } })
    };
    settings.filter_map(reason).collect()
}

const fn settings_of(action: &Action) -> Option<&SetAdapter> {
    match action {
        Action::SetAdapter(set) => Some(set),
        _ => None,
    }
}
