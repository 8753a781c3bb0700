//! `--exec`: a command against the running network.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::layout::NetworkDir;
use crate::failure::{Failure, Hint};
use crate::signals;

/// Runs `command` by the shell and returns its status as the shell would. If this process is told to
/// stop meanwhile, the command, which a terminal tells too, has a moment to end by itself.
///
/// # Errors
/// If there is no shell to run it.
pub async fn exec(command: &str, dir: &NetworkDir, rpc_url: &str) -> Result<ExitCode, Failure> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .env("SYNOD_RPC_URL", rpc_url)
        .env("SYNOD_NODES", dir.network_file())
        .env("SYNOD_DIR", dir.path())
        .env("PATH", path()?)
        .kill_on_drop(true)
        .spawn()
        .hint("--exec needs a shell named sh")?;
    tokio::select! {
        status = child.wait() => Ok(ExitCode::from(code(status.hint("the command was lost from sight")?))),
        () = signals::stop() => {
            // One that does not end is ended as the child is dropped.
            let _ = timeout(END_WITHIN, child.wait()).await;
            Ok(ExitCode::from(STOPPED))
        }
    }
}

/// The status as shells give it on: 128 and the signal for a command that a signal ended.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// The search path with synod's own directory first, so that the command finds this very program.
fn path() -> Result<OsString, Failure> {
    let hint = "run synod by its full path";
    let own = env::current_exe().hint(hint)?;
    let own = own.parent().map(std::path::Path::to_path_buf);
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths(own.into_iter().chain(env::split_paths(&rest))).hint(hint)
}

/// What a shell says of a command that Ctrl-C ended: 128 and the signal's number.
pub const STOPPED: u8 = 130;

/// Long enough to clean up, short enough for somebody who pressed Ctrl-C.
const END_WITHIN: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_given_on_as_a_shell_does() {
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
    }

    #[test]
    fn the_own_directory_comes_first_in_the_path() {
        let first = env::split_paths(&path().unwrap()).next().unwrap();
        assert_eq!(first, env::current_exe().unwrap().parent().unwrap());
    }
}
