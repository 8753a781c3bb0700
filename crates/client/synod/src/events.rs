//! What happened in governance, in lines for people, from the documents of [`synod_governance::view`].

use serde_json::Value;
use synod_governance::entries::PolicyCount;
use synod_types::Time;

/// One event in lines; `name` is its kind, as in `proposed`, and `data` its document. Names are escaped.
pub fn lines(name: &str, data: &Value) -> Vec<String> {
    let text = |key: &str| data[key].as_str().unwrap_or_default();
    let id = &data["id"];
    match name {
        "proposed" => {
            let head = format!("proposal {id} by {:?}", text("proposer_name"));
            let note = text("note").lines().map(|line| format!("  note: {line}"));
            std::iter::once(head).chain(indented(&data["summary"])).chain(note).collect()
        }
        "voted" => {
            let rule = data["rule"].as_str().map(|rule| format!(", by the standing rule {rule}")).unwrap_or_default();
            vec![format!("{} {}s proposal {id}{rule}", who(data, "member"), text("choice"))]
        }
        "closed" => {
            let decision = decision(&data["decision"]);
            std::iter::once(format!("proposal {id} {}", decision[0])).chain(decision[1..].iter().cloned()).collect()
        }
        "actor_added" => vec![format!("{} may act from now on, as a {}", who(data, "id"), text("role"))],
        "actor_changed" => vec![format!("{} has other credentials from now on", who(data, "id"))],
        "actor_removed" => vec![format!("{} may not act any more", who(data, "id"))],
        "rule_set" => {
            vec![format!("{} votes by the standing rule {} from now on", who(data, "member"), text("rule"))]
        }
        "rule_removed" => vec![format!("{} votes by the standing rule {} no more", who(data, "member"), text("rule"))],
        _ => vec![format!("{name} {data}")],
    }
}

/// What became of a proposal, and under which policies: at least one line.
pub fn decision(decision: &Value) -> Vec<String> {
    let count = |key: &str| decision["count"][key].as_u64().unwrap_or_default();
    let (accepting, rejecting, members) = (count("accepting"), count("rejecting"), count("members"));
    let status = decision["status"].as_str().unwrap_or_default().to_lowercase();
    let head = format!("{status}: {accepting} of {members} members accept, {rejecting} reject");
    let reasons = decision["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let reasons = reasons.map(|reason| format!("  because {reason}"));
    std::iter::once(head).chain(policies(&decision["policies"])).chain(reasons).collect()
}

/// Each policy that applies, with what it makes of the ballots.
pub fn policies(policies: &Value) -> Vec<String> {
    let policies: Vec<PolicyCount> = serde_json::from_value(policies.clone()).unwrap_or_default();
    let line = |policy: PolicyCount| {
        let verdict = format!("{:?}", policy.verdict).to_lowercase();
        format!("  policy of {}: {}: {verdict}", policy.of.as_str(), policy.policy)
    };
    policies.into_iter().map(line).collect()
}

/// A ledger time in microseconds as RFC 3339.
pub fn time(time: Time) -> String {
    let at = i64::try_from(time.0).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    at.map_or_else(|| format!("{} us", time.0), |at| format!("{at:.3}"))
}

fn indented(lines: &Value) -> impl Iterator<Item = String> {
    lines.as_array().into_iter().flatten().filter_map(Value::as_str).map(|line| format!("  {line}"))
}

/// An actor by its name, or by its id if it has none any more.
fn who(data: &Value, id: &str) -> String {
    match data["name"].as_str() {
        Some(name) => format!("{name:?}"),
        None => data[id].as_str().unwrap_or("somebody").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_event_has_its_lines() {
        let rows = [
            (
                "proposed",
                json!({"id": 4, "proposer_name": "A\"", "summary": ["add member", "x"], "note": "why\nnot"}),
                "proposal 4 by \"A\\\"\"\n  add member\n  x\n  note: why\n  note: not",
            ),
            (
                "voted",
                json!({"id": 4, "member": "ab", "name": "B", "choice": "accept", "rule": null}),
                "\"B\" accepts proposal 4",
            ),
            (
                "voted",
                json!({"id": 4, "member": "ab", "name": null, "choice": "reject", "rule": "77"}),
                "ab rejects proposal 4, by the standing rule 77",
            ),
            (
                "closed",
                json!({"id": 4, "decision": {"status": "Accepted", "reasons": [],
                    "count": {"members": 3, "accepting": 2, "rejecting": 1},
                    "policies": [{"of": "default", "policy": {"m_of_n": 2}, "verdict": "accepted"}]}}),
                "proposal 4 accepted: 2 of 3 members accept, 1 reject\n  policy of default: 2 of all members: accepted",
            ),
            (
                "actor_added",
                json!({"id": "ab", "name": "B", "role": "member"}),
                "\"B\" may act from now on, as a member",
            ),
            ("actor_removed", json!({"id": "ab", "name": null}), "ab may not act any more"),
            (
                "rule_set",
                json!({"member": "ab", "name": "B", "rule": "77"}),
                "\"B\" votes by the standing rule 77 from now on",
            ),
        ];
        for (name, data, expected) in rows {
            assert_eq!(lines(name, &data).join("\n"), expected);
        }
    }

    #[test]
    fn a_time_is_shown_as_rfc_3339_to_the_millisecond() {
        assert_eq!(time(Time(1_800_000_000_123_456)), "2027-01-15T08:00:00.123Z");
        assert_eq!(time(Time(u64::MAX)), "18446744073709551615 us");
    }
}
