//! `synod ledger verify|show|audit`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use serde_json::json;
use synod_ledger::{BlockKind, LastKnown, Report, VerifiedEntry, Verifier};
use synod_node::AuditRefused;
use synod_types::TxId;
use synod_types::chunk::parse_file_name;

use super::audit::{self, Governance};
use crate::cli::{LedgerCommand, ShowArgs};
use crate::failure::{Failure, Hint};
use crate::output;

/// Checks or shows a ledger's files.
///
/// # Errors
/// If there are none, or something is wrong with them: says where.
pub fn ledger(command: &LedgerCommand, json: bool) -> Result<ExitCode, Failure> {
    match command {
        LedgerCommand::Verify(args) => verify(&args.dir, json),
        LedgerCommand::Show(args) => show(args, json),
        LedgerCommand::Audit(args) => audit::audit(args, json),
    }
}

fn verify(dir: &Path, json: bool) -> Result<ExitCode, Failure> {
    let report = match walk(dir, |_| Ok(()))? {
        Ok(report) => report,
        Err(failure) if json => {
            output::json(&json!({
                "ok": false,
                "file": failure.file,
                "offset": failure.offset,
                "reason": failure.reason.to_string(),
            }))?;
            return Err(wrong(&failure));
        }
        Err(failure) => return Err(wrong(&failure)),
    };
    if json {
        output::json(&as_json(&report))?
    } else {
        output::text(&as_text(&report))?
    }
    if let Some(torn) = &report.torn_tail {
        eprintln!(
            "a torn write at byte {} of {}, as a crash leaves it: not counted, not tampering",
            torn.offset, torn.file
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the entries of both ledgers in their one order: what administration opens, with what happened in it.
fn show(args: &ShowArgs, json: bool) -> Result<ExitCode, Failure> {
    if !json {
        output::text("index  view  kind         transactions        signer  committed  bytes  file:offset\n")?;
    }
    let key = audit::key(args.key.as_deref())?;
    let is_keyless = key.is_none();
    let mut governance = Some(Governance::new(key));
    let shown = walk(&args.dir, |entry| {
        let mut happened = None;
        if let (Some(open), Some(block)) = (&mut governance, entry.block) {
            match open.block(block) {
                Ok(governed) => happened = governed,
                // Sealed, and nobody has asked for it to be opened.
                Err(AuditRefused::Open(_)) if is_keyless => governance = None,
                Err(why) => return Err(audit::refused(block, why)),
            }
        }
        if json {
            let mut shown = entry_json(entry);
            shown["governance"] = happened.as_ref().map_or(serde_json::Value::Null, audit::as_json);
            return output::json(&shown);
        }
        let lines = happened.iter().flat_map(|governed| &governed.lines);
        output::text(&lines.fold(entry_text(entry), |text, line| text + "             " + line + "\n"))
    })?;
    shown.map(|_| ExitCode::SUCCESS).map_err(|failure| wrong(&failure))
}

/// A failure of verification, with what may help.
pub fn wrong(failure: &synod_ledger::Failure) -> Failure {
    let hint = "everything before that place is as it was signed; compare with another node's files";
    Failure::new(failure.to_string(), hint)
}

/// Verifies the files of a ledger one after the other; `on_entry` sees each entry.
///
/// # Errors
/// If there are none, one cannot be read, or `on_entry` fails.
pub fn walk(
    dir: &Path,
    mut on_entry: impl FnMut(&VerifiedEntry<'_>) -> Result<(), Failure>,
) -> Result<Result<Report, synod_ledger::Failure>, Failure> {
    let files = files(dir)?;
    let progress = output::progress("verifying", files.iter().map(|(_, size)| size).sum());
    let mut verifier = Verifier::new();
    let mut told = Ok(());
    for (path, size) in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&path).hint(format!("check that {} may be read", path.display()))?;
        let checked = verifier.file(&name, Bytes::from(bytes), |entry| {
            if told.is_ok() {
                told = on_entry(entry);
            }
        });
        if let Err(failure) = checked {
            progress.finish_and_clear();
            return Ok(Err(failure));
        }
        told?;
        told = Ok(());
        progress.inc(size);
    }
    progress.finish_and_clear();
    Ok(verifier.finish())
}

/// The chunk files of `dir`, or of the ledger in it, in order, with their sizes.
///
/// # Errors
/// If there are none, or the directory cannot be read.
pub fn files(dir: &Path) -> Result<Vec<(PathBuf, u64)>, Failure> {
    let hint = "name a node's directory or its ledger directory";
    let inner = dir.join("ledger");
    let dir = if inner.is_dir() { inner } else { dir.to_path_buf() };
    let entries =
        fs::read_dir(&dir).map_err(|error| Failure::new(format!("cannot read {}: {error}", dir.display()), hint))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.hint(hint)?;
        if parse_file_name(&entry.file_name().to_string_lossy()).is_some() {
            files.push((entry.path(), entry.metadata().hint(hint)?.len()));
        }
    }
    if files.is_empty() {
        return Err(Failure::new(format!("there is no ledger file in {}", dir.display()), hint));
    }
    // Names hold the first index with leading zeros: their order is the ledger's.
    files.sort();
    Ok(files)
}

fn last_known(report: &Report) -> Option<TxId> {
    match report.last_known_committed {
        LastKnown::Nothing => None,
        LastKnown::Transaction(txid) => Some(txid),
    }
}

fn as_json(report: &Report) -> serde_json::Value {
    json!({
        "ok": true,
        "network": report.network.to_hex(),
        "service_digest": report.service.digest().to_hex(),
        "service_in_force_digest": report.service_in_force.digest().to_hex(),
        "files": report.files,
        "blocks": report.blocks,
        "transactions": report.transactions,
        "engine_entries": report.engine_entries,
        "engine_entries_after_last_block": report.engine_entries_after_last_block,
        "last_index": report.last_index.0,
        "last_signed": report.last_signed.to_string(),
        "last_known_committed": last_known(report).map(|txid| txid.to_string()),
        "root": report.root.to_hex(),
        "torn_tail": report.torn_tail.as_ref().map(|torn| json!({"file": torn.file, "offset": torn.offset})),
    })
}

fn as_text(report: &Report) -> String {
    let known = last_known(report).map_or("none".into(), |txid| txid.to_string());
    let is_rotated = report.service_in_force != report.service;
    let now =
        if is_rotated { format!("  and now           {}\n", report.service_in_force.digest()) } else { String::new() };
    format!(
        "network               {}\nservice identity      {}\n{now}files                 {}\nblocks                {}\n\
         transactions          {}\nlast signed           {}\nlast known committed  {known}\nroot                  {}\n",
        report.network,
        report.service.digest(),
        report.files,
        report.blocks,
        report.transactions,
        report.last_signed,
        report.root
    )
}

const fn kind(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Genesis => "genesis",
        BlockKind::ViewStart => "view start",
        BlockKind::Application => "application",
        BlockKind::Governance => "governance",
    }
}

fn entry_json(entry: &VerifiedEntry<'_>) -> serde_json::Value {
    let block = entry.block.map(|block| {
        let header = &block.header;
        json!({
            "kind": kind(header.kind),
            "first_seqno": header.first_seqno.0,
            "count": header.count,
            "signer": header.signer.0,
            "time_us": header.time.0,
            "committed": header.committed.0,
            "root": header.root.to_hex(),
        })
    });
    json!({"index": entry.index.0, "view": entry.view.0, "file": entry.file, "offset": entry.offset, "block": block})
}

fn entry_text(entry: &VerifiedEntry<'_>) -> String {
    let (index, view, place) = (entry.index, entry.view, format!("{}:{}", entry.file, entry.offset));
    let Some(block) = entry.block else {
        return format!(
            "{index:>5}  {view:>4}  {:<11}  {:>18}  {:>6}  {:>9}  {:>5}  {place}\n",
            "engine", "", "", "", ""
        );
    };
    let header = &block.header;
    let transactions = match header.count {
        0 => "none".into(),
        1 => header.first_seqno.to_string(),
        count => format!("{}..{}", header.first_seqno, header.first_seqno.0 + u64::from(count) - 1),
    };
    let size = block.public.len() + block.application.len() + block.admin.len();
    let (signer, committed) = (header.signer.0, header.committed);
    format!(
        "{index:>5}  {view:>4}  {:<11}  {transactions:>18}  {signer:>6}  {committed:>9}  {size:>5}  {place}\n",
        kind(header.kind)
    )
}
