//! What a session is for: applications, or governance.
//!
//! A client says so with the server name of its connection, before anything else. Sessions of either kind have limits
//! and threads of their own, so that no load of applications keeps members from deciding; so each serves its
//! own paths only.

use synod_types::GOVERNANCE_NAME;

use crate::http::error::Failure;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `/app/`, and `/node/`.
    Applications,
    /// `/gov/`, and `/node/`.
    Governance,
}

impl Purpose {
    /// What a connection with this server name is for.
    pub fn of(server_name: Option<&str>) -> Self {
        match server_name {
            Some(GOVERNANCE_NAME) => Self::Governance,
            _ => Self::Applications,
        }
    }

    /// Checks that a session serves this path.
    ///
    /// # Errors
    /// If sessions of the other kind do.
    pub fn check(self, target: &str) -> Result<(), Failure> {
        let (wrong, message, hint) = match self {
            Self::Applications => (
                "/gov/",
                "governance has connections of its own",
                "connect with the server name governance.synod.internal",
            ),
            Self::Governance => (
                "/app/",
                "this connection is for governance",
                "connect with another server name than governance.synod.internal",
            ),
        };
        if target.starts_with(wrong) { Err(Failure::new(421, "MisdirectedRequest", message, hint)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_serves_the_paths_of_its_kind_and_names_the_way_to_others() {
        for (name, served, misdirected) in [
            (Some(GOVERNANCE_NAME), ["/gov/requests", "/node/status", "/other"], "/app/log/7"),
            (Some("localhost"), ["/app/log/7", "/node/status", "/other"], "/gov/requests"),
            (None, ["/app/log/7", "/node/tx/2.14", "/government"], "/gov/"),
        ] {
            let purpose = Purpose::of(name);
            assert!(served.iter().all(|target| purpose.check(target).is_ok()), "{name:?}");
            let failure = purpose.check(misdirected).unwrap_err();
            assert_eq!((failure.status, failure.code), (421, "MisdirectedRequest"));
            assert!(failure.hint.contains(GOVERNANCE_NAME), "{}", failure.hint);
        }
    }
}
