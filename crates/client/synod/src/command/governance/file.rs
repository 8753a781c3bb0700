//! The files that people write: proposals and standing rules, in TOML.
//!
//! They have the form of the governance crate's types, made easier in two ways: an actor may be given by name wherever an
//! id stands, and a certificate or an adapter's settings by the file that holds them.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use synod_governance::{Action, Constitution, StandingRule};
use toml::{Spanned, Table, Value};

use crate::failure::Failure;

/// A proposal as somebody wrote it.
#[derive(Debug)]
pub struct Proposal {
    /// What to do.
    pub actions: Vec<Action>,
    /// Why.
    pub note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parsed {
    #[serde(default)]
    note: String,
    #[serde(default)]
    action: Vec<Spanned<Table>>,
}

/// Reads a proposal; names in it are those of `constitution`.
///
/// # Errors
/// The first thing that is not of the documented form, with its line.
pub fn proposal(path: &Path, constitution: &Constitution) -> Result<Proposal, Failure> {
    let text = read(path)?;
    let parsed: Parsed = toml::from_str(&text).map_err(|error| located(path, &text, error.span(), error.message()))?;
    let base = path.parent().unwrap_or(Path::new("."));
    let mut actions = Vec::new();
    for (place, table) in (1..).zip(parsed.action) {
        let span = table.span();
        let action = action(table.into_inner(), base, constitution)
            .map_err(|reason| located(path, &text, Some(span), &format!("action {place}: {reason}")))?;
        actions.push(action);
    }
    Ok(Proposal { actions, note: parsed.note })
}

/// Reads a standing rule; names in it are those of `constitution`.
///
/// # Errors
/// If it is not of the documented form.
pub fn rule(path: &Path, constitution: &Constitution) -> Result<StandingRule, Failure> {
    let text = read(path)?;
    let table: Table = toml::from_str(&text).map_err(|error| located(path, &text, error.span(), error.message()))?;
    let mut value = Value::Table(table);
    resolve(&mut value, constitution).map_err(|reason| located(path, &text, None, &reason))?;
    value.try_into().map_err(|error: toml::de::Error| located(path, &text, None, error.message()))
}

fn action(mut table: Table, base: &Path, constitution: &Constitution) -> Result<Action, String> {
    for key in ["certificate", "settings"] {
        take_file(&mut table, key, base)?;
    }
    let mut value = Value::Table(table);
    resolve(&mut value, constitution)?;
    value.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// Puts the text of the file that `<key>_file` names, relative to `base`, under `key`.
fn take_file(table: &mut Table, key: &str, base: &Path) -> Result<(), String> {
    let Some(file) = table.remove(&format!("{key}_file")) else { return Ok(()) };
    let file = base.join(file.as_str().ok_or_else(|| format!("{key}_file is a path"))?);
    let text = fs::read_to_string(&file).map_err(|error| format!("cannot read {key} {}: {error}", file.display()))?;
    match table.insert(key.into(), Value::String(text)) {
        Some(_) => Err(format!("give {key} or {key}_file, not both")),
        None => Ok(()),
    }
}

/// Puts ids in the place of names.
fn resolve(value: &mut Value, constitution: &Constitution) -> Result<(), String> {
    match value {
        Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                match value {
                    Value::String(name) if ["id", "owner"].contains(&key.as_str()) => *name = id(name, constitution)?,
                    Value::Array(names) if ["required", "proposer_is"].contains(&key.as_str()) => {
                        for name in names {
                            if let Value::String(name) = name {
                                *name = id(name, constitution)?;
                            }
                        }
                    }
                    other => resolve(other, constitution)?,
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| resolve(item, constitution)),
        _ => Ok(()),
    }
}

fn id(name: &str, constitution: &Constitution) -> Result<String, String> {
    let is_id = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id {
        return Ok(name.to_owned());
    }
    let found = constitution.actor_named(name).map(|id| id.to_hex());
    found.ok_or_else(|| format!("there is no actor {name:?}, and it is no id of 64 hexadecimal digits"))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display()), "check the path"))
}

fn located(path: &Path, text: &str, span: Option<std::ops::Range<usize>>, reason: &str) -> Failure {
    let line = span.map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    let hint = "synod proposal submit --help and synod rule set --help show the form";
    Failure::new(format!("{}{line}: {}", path.display(), reason.trim_end()), hint)
}

#[cfg(test)]
mod tests {
    use synod_governance::bounded::Name;
    use synod_governance::entries::{CertificateDer, Pins};
    use synod_governance::{ActionKind, AddActor, Role};
    use synod_types::ActorId;

    use super::*;

    fn certificate() -> synod_crypto::Certificate {
        let key = synod_crypto::ActorKey::from_seed(&[7; 32]);
        let validity = synod_crypto::x509::Validity::days(synod_types::Time(1_700_000_000_000_000), 30);
        synod_crypto::x509::actor_certificate(&key, "Alpha", validity)
    }

    fn constitution() -> Constitution {
        let mut constitution = Constitution::named(Name::new("n").unwrap());
        let certificate = CertificateDer::of(&certificate());
        let actor = AddActor { name: Name::new("Alpha").unwrap(), certificate, pins: Pins::default() };
        constitution.actors.push((Role::Member, actor));
        constitution
    }

    fn parse(text: &str) -> Result<Proposal, String> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("alpha.crt"), certificate().to_pem()).unwrap();
        fs::write(dir.path().join("evm.json"), "{\"instances\": []}").unwrap();
        let path = dir.path().join("p.toml");
        fs::write(&path, text).unwrap();
        proposal(&path, &constitution()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn names_stand_for_ids_and_files_for_certificates() {
        let read = parse(
            "note = 'why'\n[[action]]\naction = 'remove_member'\nid = 'Alpha'\n\
             [[action]]\naction = 'add_member'\nname = 'Beta'\ncertificate_file = 'alpha.crt'\n\
             [[action]]\naction = 'set_policy'\nkind = 'add_node'\nvalue = { all_of = [{ required = ['Alpha'] }, 'majority'] }\n\
             [[action]]\naction = 'set_adapter'\nname = 'evm'\nsettings_file = 'evm.json'\n",
        )
        .unwrap();
        assert_eq!(read.note, "why");
        let kinds: Vec<_> = read.actions.iter().map(Action::kind).collect();
        assert_eq!(
            kinds,
            [ActionKind::RemoveMember, ActionKind::AddMember, ActionKind::SetPolicy, ActionKind::SetAdapter]
        );
        assert!(matches!(&read.actions[3], Action::SetAdapter(set) if set.settings[..] == *b"{\"instances\": []}"));
        let id: ActorId = certificate().actor_id();
        assert!(read.actions[0].summary().contains(&id.to_hex()));
        assert!(read.actions[1].summary().contains(&id.to_hex()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line, reason) in [
            ("nope = 1\n", "line 1", "unknown field `nope`"),
            ("\n[[action]]\naction = 'fly'\n", "line 2", "action 1: unknown variant `fly`"),
            ("[[action]]\naction = 'remove_member'\nid = 'Nobody'\n", "line 1", "there is no actor \"Nobody\""),
            ("[[action]]\naction = 'remove_member'\nid = 'Alpha'\nx = 1\n", "line 1", "unknown field `x`"),
            (
                "[[action]]\naction = 'add_member'\nname = 'B'\ncertificate_file = 'none'\n",
                "line 1",
                "cannot read certificate",
            ),
            (
                "[[action]]\naction = 'set_adapter'\nname = 'evm'\nsettings = '{}'\nsettings_file = 'evm.json'\n",
                "line 1",
                "give settings or settings_file, not both",
            ),
            ("[[action]\n", "line 1", "p.toml"),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(line) && refused.contains(reason), "{text}: {refused}");
        }
    }

    #[test]
    fn a_rule_is_read_with_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.toml");
        fs::write(
            &path,
            "kinds = ['add_node']\n[condition]\nall_of = [{ is = 'owner_is_actor' }, { is = { proposer_is = ['Alpha'] } }, { is = { actor_nodes_fewer_than = 3 } }]\n",
        )
        .unwrap();
        let read = rule(&path, &constitution()).unwrap();
        assert_eq!(read.kinds.len(), 1);
        fs::write(&path, "kinds = ['add_node']\n").unwrap();
        assert!(rule(&path, &constitution()).unwrap_err().to_string().contains("missing field `condition`"));
    }
}
