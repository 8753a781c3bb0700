//! Accepts what a publisher signs, so that each of its builds needs no vote.

use synod_kv::Tx;
use synod_types::Digest;

use super::{ActionKind, Rule, Scene};
use crate::bounded::Name;
use crate::entries::ReleaseRule;
use crate::execute::Env;
use crate::limits::RELEASE_RULES_MAX;
use crate::macros::record;
use crate::reason::Reason;
use crate::tables::{RELEASES, Read};

record! {
    /// Sets the rule for a publisher's product; without value there is none.
    pub struct SetReleaseRule {
        /// SHA-256 of the publisher's public key (SubjectPublicKeyInfo).
        #[serde(with = "crate::shape::digest")]
        pub key: Digest,
        /// What the publisher calls the product.
        pub product: Name,
        /// The rule.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<ReleaseValue>,
    }
}

record! {
    /// Which releases are accepted.
    pub struct ReleaseValue {
        /// The lowest security version number: raising it takes releases back.
        pub svn_min: u64,
    }
}

impl SetReleaseRule {
    fn key(&self) -> Vec<u8> {
        crate::entries::digest_key(&self.key, &self.product)
    }

    fn rule(&self) -> Option<ReleaseRule> {
        let value = self.value.as_ref()?;
        Some(ReleaseRule { key: self.key, product: self.product.clone(), svn_min: value.svn_min })
    }
}

impl Rule for SetReleaseRule {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        let known = RELEASES.get(scene.tables.0, &self.key())?;
        if known == self.rule() {
            reasons.push(Reason::NothingChanges);
        }
        if known.is_none() && scene.tables.releases()?.len() >= RELEASE_RULES_MAX {
            reasons.push(Reason::TooManyEntries { what: "rules for releases" });
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        match self.rule() {
            Some(rule) => RELEASES.put(tx, &self.key(), &rule),
            None => RELEASES.remove(tx, &self.key()),
        }
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        let product = self.product.as_str();
        match &self.value {
            Some(value) => format!("accept releases of {product:?} by {} from version {}", self.key, value.svn_min),
            None => format!("accept no releases of {product:?} by {}", self.key),
        }
    }
}
