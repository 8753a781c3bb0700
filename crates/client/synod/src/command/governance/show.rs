//! Proposals, rules and events as text.

use std::fmt::Write as _;

use serde_json::Value;
use synod_client::governance::{PolicyView, ProposalView, ServerEvent, Summary, Votes};
use synod_governance::{Constitution, ProposalBody};

use crate::failure::Failure;
use crate::output;

use super::whole;

/// Prints a node's answer as the node wrote it.
///
/// # Errors
/// If standard output takes nothing more.
pub fn verbatim(body: &[u8]) -> Result<(), Failure> {
    output::bytes(body)?;
    output::text("\n")
}

/// One line for a proposal, and one for each action beyond the first.
pub fn line(proposal: &Summary) -> String {
    let Votes { members, accepting, rejecting } = proposal.votes;
    let mine = proposal.mine.as_deref().map_or("not voted", |mine| match mine {
        "accept" => "accepted",
        _ => "rejected",
    });
    let mut text = format!(
        "{:>5}  {:<9}  {accepting} for, {rejecting} against of {members}  {mine:<9}  {:?}",
        proposal.id,
        proposal.status.to_lowercase(),
        proposal.proposer_name
    );
    for action in &proposal.summary {
        let _ = write!(text, "\n{:>5}  {action}", "");
    }
    text + "\n"
}

/// Everything about a proposal. `body` is what was checked against the digest; of a closed one there is the gist only.
pub fn proposal(view: &ProposalView, body: Option<(&ProposalBody, &Constitution)>) -> String {
    let mut text = what(&view.summary, body);
    let field = |text: &mut String, name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10} {value}");
    };
    let Votes { members, accepting, rejecting } = view.summary.votes;
    field(&mut text, "status", &view.summary.status.to_lowercase());
    field(&mut text, "votes", &format!("{accepting} for, {rejecting} against, of {members} members"));
    let policies = view.decision.as_ref().map_or(&view.policies, |decision| &decision.policies);
    policies.iter().for_each(|policy| field(&mut text, "policy", &self::policy(policy)));
    for ballot in &view.ballots {
        let who = ballot.name.as_ref().map_or_else(|| ballot.member.clone(), |name| format!("{name:?}"));
        let how = ballot.rule.as_ref().map(|rule| format!(", by standing rule {rule}")).unwrap_or_default();
        let txid = ballot.txid.as_deref().unwrap_or("?");
        field(&mut text, "ballot", &format!("{who}: {}{how}, at {txid}", ballot.choice));
    }
    if let Some(decision) = &view.decision {
        let txid = decision.txid.as_deref().unwrap_or("?");
        field(&mut text, "decision", &format!("{} at {txid}", decision.status.to_lowercase()));
        decision.reasons.iter().for_each(|reason| field(&mut text, "reason", reason));
    }
    text
}

/// What a proposal does, and who wants it: with `body`, which was checked, everything that is in it.
pub fn what(summary: &Summary, body: Option<(&ProposalBody, &Constitution)>) -> String {
    let txid = summary.submitted.txid.as_deref().unwrap_or("?");
    let mut text = format!("proposal   {} of {:?}, at {txid}\n", summary.id, summary.proposer_name);
    let _ = writeln!(text, "digest     {}", summary.digest);
    if let Some(expires) = summary.expires.filter(|_| summary.status == "Open") {
        let seconds = expires.saturating_sub(super::session::now().0) / 1_000_000;
        let _ = writeln!(text, "expires    in {seconds} s");
    }
    let note = body.map_or(summary.note.as_str(), |(body, _)| body.note.as_str());
    text += &note.lines().map(|line| format!("note       {line}\n")).collect::<String>();
    match body {
        Some((body, constitution)) => {
            for action in body.actions.iter() {
                let _ = writeln!(text, "action     {}", action.summary());
                text += &whole::fields(action, constitution);
            }
        }
        None => text.extend(summary.summary.iter().map(|action| format!("action     {action}\n"))),
    }
    text
}

fn policy(policy: &PolicyView) -> String {
    format!("{}: {} ({})", policy.of, inline(&policy.policy), policy.verdict)
}

/// JSON in the form of documents: `{ m_of_n = 3 }`.
pub fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// One line for an event.
pub fn event(event: &ServerEvent) -> String {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
    let name = || data["name"].as_str().map_or_else(|| text("member"), |name| format!("{name:?}"));
    let summary = || data["summary"].as_array().map_or_else(String::new, |all| inline_list(all));
    let what = match event.event.as_str() {
        "proposed" => format!("proposal {} by {:?}: {}", data["id"], text("proposer_name"), summary()),
        "voted" => {
            let rule = data["rule"].as_str().map(|rule| format!(" by standing rule {rule}")).unwrap_or_default();
            format!("proposal {}: {} says {}{rule}", data["id"], name(), text("choice"))
        }
        "closed" => format!("proposal {} {}: {}", data["id"], text("status").to_lowercase(), summary()),
        "actor_added" | "actor_changed" | "actor_removed" => {
            format!("{} {:?} ({})", text("role"), text("name"), text("id"))
        }
        "rule_set" | "rule_removed" => format!("rule {} of {}", text("rule"), name()),
        _ => event.data.clone(),
    };
    format!("{}  {}  {what}\n", text("txid"), event.event)
}

fn inline_list(items: &[Value]) -> String {
    items.iter().map(inline).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_told_in_one_line_each() {
        let rows = [
            (
                "proposed",
                json!({"txid": "2.4", "id": 1, "proposer_name": "A", "summary": ["one", "two"]}),
                "2.4  proposed  proposal 1 by \"A\": one; two\n",
            ),
            (
                "voted",
                json!({"txid": "2.5", "id": 1, "name": "A", "choice": "accept", "rule": null}),
                "2.5  voted  proposal 1: \"A\" says accept\n",
            ),
            (
                "closed",
                json!({"txid": "2.5", "id": 1, "status": "Accepted", "summary": ["one"]}),
                "2.5  closed  proposal 1 accepted: one\n",
            ),
            (
                "actor_removed",
                json!({"txid": "2.5", "id": "ab", "name": "B", "role": "member"}),
                "2.5  actor_removed  member \"B\" (ab)\n",
            ),
            ("rule_set", json!({"txid": "2.6", "member": "cd", "rule": "ef"}), "2.6  rule_set  rule ef of cd\n"),
        ];
        for (kind, data, expected) in rows {
            let told = event(&ServerEvent { id: "x".into(), event: kind.into(), data: data.to_string() });
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn of_a_closed_proposal_the_gist_is_shown() {
        let votes = json!({"members": 3, "accepting": 0, "rejecting": 0});
        let view = json!({
            "network": "", "id": 4, "digest": "ab", "status": "Withdrawn", "proposer": "cd", "proposer_name": "A",
            "kinds": ["set_lease"], "summary": ["nodes prove themselves each 60 s"], "note": "why…",
            "submitted": {"txid": "2.4", "time": 1}, "expires": null, "votes": votes, "mine": null,
            "nonce": "", "expires_signed": null, "actions": [], "policies": [], "ballots": [],
            "decision": {"status": "Withdrawn", "txid": "2.5", "time": 2, "count": votes, "policies": [], "reasons": []},
        });
        let view: ProposalView = serde_json::from_value(view).unwrap();
        let text = proposal(&view, None);
        let lines = ["action     nodes prove themselves each 60 s", "note       why…", "decision   withdrawn at 2.5"];
        assert!(lines.iter().all(|line| text.lines().any(|shown| shown == *line)), "{text}");
    }

    #[test]
    fn policies_look_as_in_documents() {
        let value = json!({"all_of": ["majority", {"m_of_n": 3}]});
        assert_eq!(inline(&value), "{ all_of = [majority, { m_of_n = 3 }] }");
    }
}
