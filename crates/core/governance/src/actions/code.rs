//! The code manifest: approves, denies and forgets measurements.

use synod_kv::Tx;

use super::{ActionKind, Rule, Scene};
use crate::bounded::{Blob, Name};
use crate::entries::{CodeEntry, CodeVerdict, Measurement};
use crate::execute::Env;
use crate::limits::CODE_ENTRIES_MAX;
use crate::macros::record;
use crate::reason::Reason;
use crate::standing::Subject;
use crate::tables::{CODE, Read, Tables};

record! {
    /// Lets nodes run a build.
    pub struct ApproveCode {
        /// What platforms measure of it.
        pub measurement: Measurement,
        /// The version of the framework.
        pub framework: Name,
        /// The adapter that is built in.
        pub adapter: Name,
        /// The adapter's version.
        pub adapter_version: Name,
        /// The commit of the source from which anybody can build the same.
        pub source_commit: Blob<32>,
    }
}

record! {
    /// Forbids a build. It need not have been approved before: emergencies do not wait.
    pub struct DenyCode {
        /// What platforms measure of it.
        pub measurement: Measurement,
        /// What it is called, if it was not approved before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<Name>,
    }
}

record! {
    /// Takes back what was said of a build.
    pub struct ForgetCode {
        /// What platforms measure of it.
        pub measurement: Measurement,
    }
}

impl ApproveCode {
    fn entry(&self) -> CodeEntry {
        CodeEntry {
            verdict: CodeVerdict::Approved,
            framework: self.framework.clone(),
            adapter: self.adapter.clone(),
            adapter_version: self.adapter_version.clone(),
            source_commit: self.source_commit.clone(),
        }
    }
}

impl DenyCode {
    fn entry(&self, known: Option<CodeEntry>) -> CodeEntry {
        let name = || self.name.clone().unwrap_or_else(|| Name::new("unknown").expect("a name"));
        let unknown = || CodeEntry {
            verdict: CodeVerdict::Denied,
            framework: name(),
            adapter: name(),
            adapter_version: name(),
            source_commit: Blob::default(),
        };
        CodeEntry { verdict: CodeVerdict::Denied, ..known.unwrap_or_else(unknown) }
    }
}

impl Rule for ApproveCode {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        check_entry(&self.measurement, &self.entry(), scene, reasons)
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        CODE.put(tx, &self.measurement.to_vec(), &self.entry());
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        format!(
            "approve code {} (framework {:?}, adapter {:?} {:?}, commit {})",
            self.measurement.to_hex(),
            self.framework.as_str(),
            self.adapter.as_str(),
            self.adapter_version.as_str(),
            self.source_commit.to_hex()
        )
    }

    fn subject(&self, _tables: Tables<'_>) -> Read<Subject> {
        Ok(Subject { name: Some(self.framework.clone()), ..Subject::default() })
    }
}

impl Rule for DenyCode {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        let known = scene.tables.code_entry(&self.measurement)?;
        check_entry(&self.measurement, &self.entry(known), scene, reasons)
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        let known = Tables(tx).code_entry(&self.measurement)?;
        CODE.put(tx, &self.measurement.to_vec(), &self.entry(known));
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        format!("deny code {}", self.measurement.to_hex())
    }
}

impl Rule for ForgetCode {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if scene.tables.code_entry(&self.measurement)?.is_none() {
            reasons.push(Reason::NoSuchEntry { what: "measurement" });
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        CODE.remove(tx, &self.measurement.to_vec());
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        format!("forget code {}", self.measurement.to_hex())
    }
}

fn check_entry(measurement: &Measurement, entry: &CodeEntry, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
    if !matches!(measurement.len(), 32 | 48 | 64) {
        reasons.push(Reason::MeasurementSize { size: measurement.len() });
    }
    match scene.tables.code_entry(measurement)? {
        Some(known) if known == *entry => reasons.push(Reason::NothingChanges),
        None if scene.tables.code()?.len() >= CODE_ENTRIES_MAX => {
            reasons.push(Reason::TooManyEntries { what: "measurements" });
        }
        _ => {}
    }
    Ok(())
}
