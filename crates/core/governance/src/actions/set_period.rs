//! Sets the settings that are one time span, or none.

use synod_kv::Tx;

use super::{ActionKind, Rule, Scene};
use crate::execute::Env;
use crate::macros::record;
use crate::reason::Reason;
use crate::tables::{EXPIRY, LEASE, Read};

record! {
    /// Sets how long a node may run before it has to prove itself anew; without seconds, for as long as it runs.
    pub struct SetLease {
        /// The time in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub seconds: Option<u64>,
    }
}

impl Rule for SetLease {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if LEASE.get(scene.tables.0, &())? == self.seconds {
            reasons.push(Reason::NothingChanges);
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        match &self.seconds {
            Some(seconds) => LEASE.put(tx, &(), seconds),
            None => LEASE.remove(tx, &()),
        }
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        match &self.seconds {
            Some(seconds) => format!("set nodes' lease: {seconds} s"),
            None => "set nodes' lease: none (the default)".into(),
        }
    }
}

record! {
    /// Sets how long proposals stay open that do not say; without seconds, until they are decided.
    pub struct SetProposalExpiry {
        /// The time in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub seconds: Option<u64>,
    }
}

impl Rule for SetProposalExpiry {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if EXPIRY.get(scene.tables.0, &())? == self.seconds {
            reasons.push(Reason::NothingChanges);
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        match &self.seconds {
            Some(seconds) => EXPIRY.put(tx, &(), seconds),
            None => EXPIRY.remove(tx, &()),
        }
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        match &self.seconds {
            Some(seconds) => format!("set proposals' expiry: {seconds} s"),
            None => "set proposals' expiry: none (the default)".into(),
        }
    }
}
