//! What a path means.

use synod_types::{AdapterId, TxId};
use synod_worker::Method;

use crate::governance::route::{GovRoute, route as gov_route};
use crate::http::error::Failure;

/// What a request is about.
// Printed by tests only: what is asked for is private.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Route<'a> {
    /// `/app/<adapter>/<path>?<query>`, any method.
    App {
        /// The adapter.
        adapter: AdapterId,
        /// What follows its name, without the slash.
        path: &'a str,
        /// What follows the question mark.
        query: &'a str,
    },
    /// `/gov/…`
    Governance(GovRoute),
    /// `GET /node/status`
    Status,
    /// `GET /node/commit`
    Commit,
    /// `GET /node/metrics`
    Metrics,
    /// `GET /node/service`
    Service,
    /// `GET /node/tx/<txid>`
    Transaction(TxId),
    /// `GET /node/receipt/<txid>`
    Receipt(TxId),
}

impl Route<'_> {
    /// Whether it is about the node itself and its ledger. What the service's key is, members decide.
    pub const fn is_about_the_node(&self) -> bool {
        !matches!(self, Self::App { .. } | Self::Governance(_) | Self::Service)
    }
}

/// Finds the route of `target`, a path with its query; `find` knows the adapters.
///
/// # Errors
/// If there is none, or not with this method.
pub fn route<'a>(
    method: Method,
    target: &'a str,
    find: impl FnOnce(&str) -> Option<AdapterId>,
) -> Result<Route<'a>, Failure> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if let Some(rest) = path.strip_prefix("/app/") {
        let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
        let adapter = find(name).ok_or_else(|| Failure::from(synod_node::Refusal::NoSuchAdapter))?;
        return Ok(Route::App { adapter, path, query });
    }
    if let Some(path) = path.strip_prefix("/gov/") {
        return gov_route(method, path, query).map(Route::Governance);
    }
    let route = match path.strip_prefix("/node/").ok_or_else(no_such_path)? {
        "status" => Route::Status,
        "commit" => Route::Commit,
        "metrics" => Route::Metrics,
        "service" => Route::Service,
        rest => match rest.split_once('/') {
            Some(("tx", txid)) => Route::Transaction(parse_txid(txid)?),
            Some(("receipt", txid)) => Route::Receipt(parse_txid(txid)?),
            _ => return Err(no_such_path()),
        },
    };
    if method == Method::Get {
        Ok(route)
    } else {
        Err(Failure::new(405, "MethodNotAllowed", "the path is only read", "use GET"))
    }
}

fn parse_txid(text: &str) -> Result<TxId, Failure> {
    text.parse().map_err(|_| {
        let hint = "take the id from the header synod-txid of an answer";
        Failure::new(400, "TransactionIdNotValid", "the path does not end in view.seqno, such as 2.14", hint)
    })
}

fn no_such_path() -> Failure {
    let hint = "paths are /app/<adapter>/…, /gov/… and /node/{status,commit,metrics,service,tx/<txid>,receipt/<txid>}";
    Failure::new(404, "NoSuchPath", "there is nothing at this path", hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, target: &str, expected: Result<Route<'_>, u16>) {
        let found = route(method, target, |name| (name == "log").then_some(AdapterId(3)));
        assert_eq!(found.map_err(|failure| failure.status), expected, "{method:?} {target}");
    }

    #[test]
    fn each_path_has_its_route() {
        use Method::{Get, Post, Put};
        let app = |path, query| Ok(Route::App { adapter: AdapterId(3), path, query });
        check(Put, "/app/log/7", app("7", ""));
        check(Post, "/app/log/7/random?x=1?y", app("7/random", "x=1?y"));
        check(Get, "/app/log", app("", ""));
        check(Get, "/app/log/%2F", app("%2F", ""));
        check(Get, "/node/status", Ok(Route::Status));
        check(Get, "/node/commit?now", Ok(Route::Commit));
        check(Get, "/node/metrics", Ok(Route::Metrics));
        check(Get, "/node/service", Ok(Route::Service));
        check(Post, "/node/service", Err(405));
        check(Get, "/node/tx/2.14", Ok(Route::Transaction("2.14".parse().unwrap())));
        check(Get, "/node/receipt/2.14", Ok(Route::Receipt("2.14".parse().unwrap())));
        check(Get, "/gov/proposals/7", Ok(Route::Governance(GovRoute::Proposal(7))));
        check(Post, "/gov/proposals/7", Err(405));
        check(Get, "/gov", Err(404));
        check(Post, "/node/status", Err(405));
        check(Get, "/node/tx/2", Err(400));
        check(Get, "/node/tx", Err(404));
        check(Get, "/node/", Err(404));
        check(Get, "/app/evm/x", Err(404));
        check(Get, "/", Err(404));
        check(Get, "/application/log", Err(404));
    }
}
