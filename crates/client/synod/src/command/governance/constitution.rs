//! `synod constitution show` and `check`.

use std::path::Path;

use serde_json::json;
use synod_governance::{Constitution, Role};

use crate::cli::ConstitutionCommand;
use crate::failure::Failure;
use crate::output;
use crate::sandbox::{Founding, Refused};

use super::session::Session;
use super::show;

/// Prints the constitution in force, or what is wrong with one that founders wrote.
///
/// # Errors
/// If no node answers, or one refuses; if nobody could begin with the document.
pub async fn constitution(command: ConstitutionCommand, json: bool) -> Result<(), Failure> {
    let args = match command {
        ConstitutionCommand::Show(args) => args,
        ConstitutionCommand::Check(args) => return check(&args.file, json),
    };
    let answer = Session::open(&args)?.governance.constitution().await?;
    if json { show::verbatim(&answer.body) } else { output::text(&answer.view.toml) }
}

fn check(file: &Path, json: bool) -> Result<(), Failure> {
    match Founding::read(file, NODES) {
        Ok(founding) => fits(file, &founding.genesis.constitution, json),
        Err(refused) => {
            if let (true, Refused::Problems(problems)) = (json, &refused) {
                let problem = |problem: &synod_governance::document::Problem| json!({"line": problem.line, "column": problem.column, "reason": problem.reason});
                output::json(&json!({
                    "file": file, "network": null, "members": null, "participants": null, "nodes": null, "adapters": null,
                    "problems": problems.iter().map(problem).collect::<Vec<_>>(),
                }))?;
            }
            Err(refused.into_failure(file))
        }
    }
}

fn fits(file: &Path, constitution: &Constitution, json: bool) -> Result<(), Failure> {
    let count = |role| constitution.actors.iter().filter(|(known, _)| *known == role).count();
    let (members, participants) = (count(Role::Member), count(Role::Participant));
    let adapters: Vec<_> = constitution.adapters.iter().map(|adapter| adapter.name.as_str()).collect();
    let (network, nodes) = (constitution.network.name.as_str(), constitution.nodes.len());
    if json {
        return output::json(&json!({
            "file": file, "network": network, "members": members, "participants": participants, "nodes": nodes,
            "adapters": adapters, "problems": [],
        }));
    }
    let adapters = adapters.join(", ");
    output::text(&format!(
        "a network can begin with it: {network:?}, members {members}, participants {participants}, nodes {nodes}, adapters {adapters}\n"
    ))
}

/// How many nodes a document that lists none is looked at with: as many as a sandbox has.
const NODES: u64 = 3;
