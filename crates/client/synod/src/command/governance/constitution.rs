//! `synod constitution show`.

use crate::cli::ConstitutionCommand;
use crate::failure::Failure;
use crate::output;

use super::session::Session;
use super::show;

/// Prints the constitution in force.
///
/// # Errors
/// If no node answers, or one refuses.
pub async fn constitution(command: ConstitutionCommand, json: bool) -> Result<(), Failure> {
    let ConstitutionCommand::Show(args) = command;
    let answer = Session::open(&args)?.governance.constitution().await?;
    if json { show::verbatim(&answer.body) } else { output::text(&answer.view.toml) }
}
