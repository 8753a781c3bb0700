//! Writing a constitution document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use synod_types::ActorId;

use super::policy::NamedPolicy;
use crate::actions::{ActionKind, PolicyKey};
use crate::constitution::Constitution;
use crate::entries::{Epochs, Pins, Role, Rules};

/// The document of `constitution`: what [`super::Document::parse`] reads as the same.
///
/// # Panics
/// If an entry cannot be written as TOML: all kinds of entries can, and tables hold no others.
pub fn to_toml(constitution: &Constitution) -> String {
    let mut out = Writer { text: String::new(), names: constitution.names() };
    out.network(constitution);
    out.actors(constitution);
    out.nodes(constitution);
    out.adapters(constitution);
    out.manifests(constitution);
    out.voting(constitution);
    out.settings(constitution);
    out.rest(constitution);
    out.text
}

struct Writer<'c> {
    text: String,
    /// Of the actors: references between entries are names.
    names: BTreeMap<ActorId, &'c str>,
}

impl Writer<'_> {
    fn network(&mut self, constitution: &Constitution) {
        self.comment("The constitution of a Synod network. It changes only by proposals that its members accept.");
        self.section("network");
        self.key("name", &constitution.network.name);
        self.comment(
            "Who can read governance in the ledger's files: \"sealed\" (key holders) or \"public\". For good.",
        );
        self.key("admin", &constitution.network.admin);
    }

    fn actors(&mut self, constitution: &Constitution) {
        self.heading("Members govern, and may transact. Participants transact. Both may run nodes.");
        for (role, actor) in &constitution.actors {
            self.section(match role {
                Role::Member => "[member]",
                Role::Participant => "[participant]",
            });
            self.key("name", &actor.name);
            if let Some(id) = actor.certificate.actor_id() {
                self.key("id", &id.to_hex());
            }
            self.key("certificate", &actor.certificate);
            if actor.pins != Pins::default() {
                self.comment("What a leaf under the certificate must show besides.");
                self.key("pins", &actor.pins);
            }
        }
    }

    fn nodes(&mut self, constitution: &Constitution) {
        self.heading("The validating nodes. A slot is not used twice.");
        for (slot, node) in &constitution.nodes {
            self.section("[node]");
            self.key("slot", &slot.0);
            self.key("name", &node.name);
            let owner = self.names.get(&node.owner).map_or_else(|| node.owner.to_hex(), ToString::to_string);
            self.key("owner", &owner);
            self.key("address", &node.address);
            self.key("public_key", &node.public_key);
            self.key_if("code", node.code.as_ref());
            self.key_if("platform", node.platform.as_ref());
        }
    }

    fn adapters(&mut self, constitution: &Constitution) {
        self.heading(
            "The ledger protocols; their order gives their ids. Settings that members change are handed to the",
        );
        self.comment("adapter right after the decision; if it refuses them, a node's status says so.");
        for adapter in &constitution.adapters {
            self.section("[adapter]");
            self.key("name", &adapter.name);
            self.key("settings", &adapter.settings);
        }
    }

    fn manifests(&mut self, constitution: &Constitution) {
        if !constitution.code.is_empty() {
            self.heading("The code that nodes may run, by measurement");
            self.comment(
                "(recorded: nodes' entries and standing rules refer to it, but this version measures no node).",
            );
        }
        for (measurement, entry) in &constitution.code {
            self.section("[code]");
            self.key("measurement", measurement);
            self.key("verdict", &entry.verdict);
            self.key("framework", &entry.framework);
            self.key("adapter", &entry.adapter);
            self.key("adapter_version", &entry.adapter_version);
            self.key("source_commit", &entry.source_commit);
        }
        if !constitution.releases.is_empty() {
            self.heading("The publishers whose signed releases nodes may run");
            self.comment("(recorded: this version measures no node).");
        }
        for release in &constitution.releases {
            self.section("[release]");
            self.key("key", &release.key.to_hex());
            self.key("product", &release.product);
            self.key("svn_min", &release.svn_min);
        }
        if !constitution.tees.is_empty() {
            self.heading("The platforms that nodes may run on; what is not here is not trusted");
            self.comment(
                "(recorded: nodes' entries and standing rules refer to it, but this version measures no node).",
            );
        }
        for (platform, rule) in &constitution.tees {
            self.section("[tee]");
            self.key("platform", platform);
            self.key("allowed", &rule.allowed);
            self.key("tcb_min", &rule.tcb_min);
            self.key("advisories_denied", &rule.advisories_denied);
        }
    }

    fn voting(&mut self, constitution: &Constitution) {
        self.heading("How proposals are decided. A kind of action that is not here follows the default: majority.");
        self.comment("unanimous, majority, one_of_n, { m_of_n = 3 }, { fraction = { num = 2, den = 3 } },");
        self.comment(
            "{ required = [\"Alpha\"] }, { all_of = [..] }, { any_of = [..] }, { at_least = { k = 2, of = [..] } }",
        );
        self.section("policies");
        for (key, policy) in &constitution.policies {
            let key = match key {
                PolicyKey::Default => "default",
                PolicyKey::Kind(kind) => kind.name(),
            };
            let named = NamedPolicy::of(policy, &|id| self.names.get(id).map(ToString::to_string));
            self.key(key, &named);
        }
        self.heading("Who may propose: \"members\", or \"actors\". Without an entry: actors for nodes, else members.");
        self.section("proposers");
        constitution.proposers.iter().for_each(|(kind, value)| self.key(kind.name(), value));
        self.heading("Which kinds members' standing rules may accept, and what a rule has to demand at least.");
        self.section("auto_votes");
        constitution.auto_votes.iter().for_each(|(kind, value)| self.key(kind.name(), value));
        let kinds: Vec<_> = ActionKind::ALL.iter().map(|kind| kind.name()).collect();
        self.heading("The kinds of actions:");
        kinds.chunks(5).for_each(|names| self.comment(&names.join(", ")));
    }

    fn settings(&mut self, constitution: &Constitution) {
        self.heading("What is not set has the default in the comment.");
        self.section("settings");
        self.comment(&format!("blocks = {}", value(&Rules::default())));
        self.key_if("blocks", constitution.rules.as_ref());
        self.comment(&format!(
            "epochs = {} (recorded: this version stays in its first epoch)",
            value(&Epochs::default())
        ));
        self.key_if("epochs", constitution.epochs.as_ref());
        self.comment("quorums = \"majority\"");
        self.key_if("quorums", constitution.quorums.as_ref());
        self.comment("durability = \"synced\"");
        self.key_if("durability", constitution.durability.as_ref());
        self.comment("lease_seconds: none, a node runs for as long as it runs (recorded: this version ends no lease)");
        self.key_if("lease_seconds", constitution.lease_seconds.as_ref());
        self.comment("proposal_expiry_seconds: none, members can vote at any time");
        self.key_if("proposal_expiry_seconds", constitution.proposal_expiry_seconds.as_ref());
    }

    fn rest(&mut self, constitution: &Constitution) {
        if !constitution.auditors.is_empty() {
            self.heading("Who may read parts of the ledger");
            self.comment("(recorded: this version hands no key out by itself, an operator does).");
        }
        for auditor in &constitution.auditors {
            self.section("[auditor]");
            self.key("name", &auditor.name);
            self.key("part", &auditor.part);
            self.key("certificate", &auditor.certificate);
        }
        if constitution.service.rotations > 0 {
            self.heading("How often members asked for a new identity of the service.");
            self.section("service");
            self.key("rotations", &constitution.service.rotations);
        }
    }

    fn heading(&mut self, text: &str) {
        self.text.push('\n');
        self.comment(text);
    }

    fn comment(&mut self, text: &str) {
        self.line(&format!("# {text}"));
    }

    fn section(&mut self, name: &str) {
        self.line(&format!("\n[{name}]"));
    }

    fn key_if(&mut self, key: &str, item: Option<&impl Serialize>) {
        if let Some(item) = item {
            self.key(key, item);
        }
    }

    fn key(&mut self, key: &str, item: &impl Serialize) {
        let text = value(item);
        self.line(&format!("{key} = {text}"));
    }

    fn line(&mut self, text: &str) {
        writeln!(self.text, "{text}").expect("a string takes all");
    }
}

/// A value on one line.
pub(crate) fn short(item: &impl Serialize) -> String {
    inline(&toml::Value::try_from(item).expect("entries have a TOML form"))
}

/// A value on one line; but a text of lines, such as a certificate, on its own lines.
fn value(item: &impl Serialize) -> String {
    let value = toml::Value::try_from(item).expect("entries have a TOML form");
    match value.as_str() {
        Some(text) if text.contains('\n') && !text.contains("'''") && !text.ends_with('\'') => {
            format!("'''\n{text}'''")
        }
        _ => inline(&value),
    }
}

fn inline(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(table) => {
            let entries: Vec<_> = table.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        toml::Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
