//! An action with everything that is in it: what a member reads before it signs.

use std::fmt::Write as _;

use serde_json::Value;
use synod_crypto::{Certificate, sha256};
use synod_governance::{Action, Constitution};
use synod_types::ActorId;

/// The fields of an action, one in a line: no two actions that differ in anything read the same. Ids of actors in
/// `constitution` have their names beside them, certificates and very long texts are told by their digests.
pub fn fields(action: &Action, constitution: &Constitution) -> String {
    let value = serde_json::to_value(action).expect("an action has a JSON form");
    let Value::Object(fields) = value else { unreachable!("an action is a table") };
    let shown = fields.iter().filter(|(name, value)| *name != "action" && !value.is_null());
    shown.fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{:<10}   {name} = {}", "", field(value, constitution));
        text
    })
}

fn field(value: &Value, constitution: &Constitution) -> String {
    match value {
        Value::String(text) => string(text, constitution),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| field(item, constitution)).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{key} = {}", field(value, constitution)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn string(text: &str, constitution: &Constitution) -> String {
    if let Ok(certificate) = Certificate::from_pem(text) {
        let (id, digest) = (certificate.actor_id().to_hex(), sha256(&[certificate.der()]).to_hex());
        return format!("certificate of key {id}, SHA-256 {digest}");
    }
    if let Some(name) = ActorId::from_hex(text).and_then(|id| constitution.name_of(&id).map(str::to_owned)) {
        return format!("{text:?} ({name:?})");
    }
    if text.chars().count() > CHARS_MAX {
        let start: String = text.chars().take(CHARS_MAX).collect();
        return format!("{start:?}... {} bytes, SHA-256 {}", text.len(), sha256(&[text.as_bytes()]).to_hex());
    }
    format!("{text:?}")
}

/// How much of one text is shown: settings of adapters may have a megabyte.
const CHARS_MAX: usize = 600;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;
    use synod_crypto::ActorKey;
    use synod_crypto::x509::{Validity, actor_certificate};
    use synod_governance::bounded::Name;
    use synod_types::Time;

    use super::*;

    fn shown(value: &Value) -> String {
        let action: Action = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"));
        fields(&action, &Constitution::named(Name::new("net").unwrap()))
    }

    #[test]
    fn actions_that_differ_in_one_field_never_read_the_same() {
        let certificate = || actor_certificate(&ActorKey::generate(), "Q", Validity::days(Time(0), 1)).to_pem();
        let (one, other) = (certificate(), certificate());
        let long = |end: &str| "x".repeat(2_000) + end;
        let member = |changed: Value| {
            let mut action = json!({"action": "add_member", "name": "Q", "certificate": one, "pins": {}});
            action.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
            action
        };
        let settings = |text: String| json!({"action": "set_adapter", "name": "log", "settings": text});
        let actions = [
            member(json!({})),
            member(json!({"name": "R"})),
            member(json!({"certificate": other})),
            member(json!({"pins": {"organizational_unit": ["Governance"]}})),
            member(json!({"pins": {"organizational_unit": ["Governance, Treasury"]}})),
            member(json!({"pins": {"organizational_unit": ["Governance", "Treasury"]}})),
            settings(long("a")),
            settings(long("b")),
        ];
        let texts: HashSet<_> = actions.iter().map(shown).collect();
        assert_eq!(texts.len(), actions.len(), "{texts:#?}");
        assert!(texts.iter().all(|text| !text.contains("BEGIN CERTIFICATE")), "{texts:#?}");
    }
}
