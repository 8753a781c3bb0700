//! What a path below `/gov/` means.

use synod_governance::view::{PROPOSALS_LISTED_MAX, Which};
use synod_governance::{ProposalId, view::EventPlace};
use synod_types::{ActorId, TxId};
use synod_worker::Method;

use crate::http::error::Failure;

/// What a request about governance is about.
// Printed by tests only: what is asked for is private.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum GovRoute {
    /// `POST /gov/requests`
    Requests,
    /// `POST /gov/dry-run`
    DryRun,
    /// `GET /gov/constitution`
    Constitution,
    /// `GET /gov/proposals?status=…&awaiting=mine&after=…&limit=…`
    Proposals(Listed),
    /// `GET /gov/proposals/<id>`
    Proposal(ProposalId),
    /// `GET /gov/rules?member=…`; of the one who asks without a member.
    Rules(Option<ActorId>),
    /// `GET /gov/events?after=…`; from now on if nothing says after what.
    Events(Option<EventPlace>),
}

/// Which proposals to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// By where they stand.
    pub which: Which,
    /// Only those on which the one who asks has not voted.
    pub awaiting_mine: bool,
    /// Only those after this one.
    pub after: ProposalId,
    /// At most so many.
    pub count_max: usize,
}

/// Finds the route of `/gov/<path>?<query>`.
///
/// # Errors
/// If there is none, or not with this method, or the query is not one of its.
pub fn route(method: Method, path: &str, query: &str) -> Result<GovRoute, Failure> {
    let expected = if matches!(path, "requests" | "dry-run") { Method::Post } else { Method::Get };
    let route = match path {
        "requests" => no_query(query, GovRoute::Requests)?,
        "dry-run" => no_query(query, GovRoute::DryRun)?,
        "constitution" => no_query(query, GovRoute::Constitution)?,
        "proposals" => GovRoute::Proposals(listed(query)?),
        "rules" => GovRoute::Rules(member(query)?),
        "events" => GovRoute::Events(after(query)?),
        _ => match path.strip_prefix("proposals/").map(str::parse) {
            Some(Ok(id)) => no_query(query, GovRoute::Proposal(id))?,
            Some(Err(_)) => return Err(refused(404, "NoSuchProposal", "a proposal's id is a number")),
            None => return Err(no_such_path()),
        },
    };
    match (method == expected, expected) {
        (true, _) => Ok(route),
        (false, Method::Post) => Err(Failure::new(405, "MethodNotAllowed", "the path is not read", "use POST")),
        (false, _) => Err(Failure::new(405, "MethodNotAllowed", "the path is only read", "use GET")),
    }
}

/// Where an event lies that is named `view.seqno/place`; a transaction alone means its last event, and `0` the beginning.
pub fn event_place(text: &str) -> Option<EventPlace> {
    if text == "0" {
        return Some(EventPlace::default());
    }
    let (txid, place) = text.split_once('/').map_or((text, None), |(txid, place)| (txid, Some(place)));
    let TxId { seqno, .. } = txid.parse().ok()?;
    match place {
        None => Some(EventPlace::end_of(seqno)),
        Some(place) => Some(EventPlace { seqno, place: place.parse().ok()? }),
    }
}

fn listed(query: &str) -> Result<Listed, Failure> {
    let mut listed = Listed { which: Which::Open, awaiting_mine: false, after: 0, count_max: COUNT_DEFAULT };
    for pair in pairs(query) {
        match pair? {
            ("status", "open") => listed.which = Which::Open,
            ("status", "closed") => listed.which = Which::Closed,
            ("status", "all") => listed.which = Which::All,
            ("status", _) => return Err(query_refused("status is not open, closed or all")),
            ("awaiting", "mine") => listed.awaiting_mine = true,
            ("awaiting", _) => return Err(query_refused("awaiting is not mine")),
            ("after", id) => listed.after = id.parse().map_err(|_| query_refused("after is not a proposal's id"))?,
            ("limit", count) => {
                let count = count.parse().ok().filter(|count| (1..=PROPOSALS_LISTED_MAX).contains(count));
                listed.count_max = count.ok_or_else(|| query_refused("limit is not a number from 1 to 1000"))?;
            }
            _ => return Err(query_refused("the parameters are status, awaiting, after and limit")),
        }
    }
    if listed.awaiting_mine && listed.which == Which::Closed {
        return Err(query_refused("no vote is awaited on what is closed"));
    }
    Ok(listed)
}

fn member(query: &str) -> Result<Option<ActorId>, Failure> {
    let mut member = None;
    for pair in pairs(query) {
        let ("member", id) = pair? else { return Err(query_refused("the parameter is member")) };
        let id = ActorId::from_hex(id).ok_or_else(|| query_refused("member is not 64 hexadecimal digits"))?;
        member = Some(id);
    }
    Ok(member)
}

fn after(query: &str) -> Result<Option<EventPlace>, Failure> {
    let mut after = None;
    for pair in pairs(query) {
        let ("after", id) = pair? else { return Err(query_refused("the parameter is after")) };
        let place = event_place(id).ok_or_else(|| query_refused("after is not 0, view.seqno or view.seqno/place"))?;
        after = Some(place);
    }
    Ok(after)
}

/// Names and values, each name once. None of ours needs an escape.
fn pairs(query: &str) -> impl Iterator<Item = Result<(&str, &str), Failure>> {
    let mut seen = Vec::new();
    query.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').ok_or_else(|| query_refused("a parameter has no value"))?;
        if seen.contains(&name) || seen.len() >= PARAMETERS_MAX {
            return Err(query_refused("a parameter is there twice"));
        }
        seen.push(name);
        Ok((name, value))
    })
}

fn no_query(query: &str, route: GovRoute) -> Result<GovRoute, Failure> {
    if query.is_empty() { Ok(route) } else { Err(query_refused("the path has no parameters")) }
}

fn query_refused(message: &str) -> Failure {
    refused(400, "QueryNotValid", message)
}

fn refused(status: u16, code: &'static str, message: &str) -> Failure {
    Failure::new(status, code, message, "see the reference of HTTP paths, governance")
}

fn no_such_path() -> Failure {
    let hint = "paths are /gov/{requests,dry-run,constitution,proposals,proposals/<id>,rules,events}";
    Failure::new(404, "NoSuchPath", "there is nothing at this path", hint)
}

/// How many proposals a list shows if nothing says how many.
const COUNT_DEFAULT: usize = 100;

/// The most parameters of a query: no path has more.
const PARAMETERS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use synod_types::Seqno;

    use super::*;

    fn check(target: &str, expected: Result<GovRoute, &str>) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method =
            if matches!(expected, Ok(GovRoute::Requests | GovRoute::DryRun)) { Method::Post } else { Method::Get };
        assert_eq!(route(method, path, query).map_err(|failure| failure.code), expected, "{target}");
    }

    #[test]
    fn each_path_has_its_route_and_its_parameters() {
        let listed = Listed { which: Which::Open, awaiting_mine: false, after: 0, count_max: 100 };
        let list = |listed| Ok(GovRoute::Proposals(listed));
        check("requests", Ok(GovRoute::Requests));
        check("dry-run", Ok(GovRoute::DryRun));
        check("constitution", Ok(GovRoute::Constitution));
        check("proposals", list(listed));
        check("proposals?status=closed", list(Listed { which: Which::Closed, ..listed }));
        let all = Listed { which: Which::All, awaiting_mine: true, after: 7, count_max: 1_000 };
        check("proposals?status=all&awaiting=mine&after=7&limit=1000", list(all));
        check("proposals/12", Ok(GovRoute::Proposal(12)));
        check("rules", Ok(GovRoute::Rules(None)));
        check(&format!("rules?member={}", "07".repeat(32)), Ok(GovRoute::Rules(Some(ActorId([7; 32])))));
        check("events", Ok(GovRoute::Events(None)));
        check("events?after=0", Ok(GovRoute::Events(Some(EventPlace::default()))));
        check("events?after=2.14", Ok(GovRoute::Events(Some(EventPlace::end_of(Seqno(14))))));
        check("events?after=2.14/3", Ok(GovRoute::Events(Some(EventPlace { seqno: Seqno(14), place: 3 }))));
    }

    #[test]
    fn what_is_no_path_or_no_parameter_of_it_is_refused() {
        for (target, expected) in [
            ("", "NoSuchPath"),
            ("proposal", "NoSuchPath"),
            ("proposals/", "NoSuchProposal"),
            ("proposals/x", "NoSuchProposal"),
            ("proposals/-1", "NoSuchProposal"),
            ("proposals/1?x=1", "QueryNotValid"),
            ("constitution?x=1", "QueryNotValid"),
            ("proposals?status=Open", "QueryNotValid"),
            ("proposals?status", "QueryNotValid"),
            ("proposals?status=open&status=all", "QueryNotValid"),
            ("proposals?awaiting=yours", "QueryNotValid"),
            ("proposals?status=closed&awaiting=mine", "QueryNotValid"),
            ("proposals?after=-1", "QueryNotValid"),
            ("proposals?limit=0", "QueryNotValid"),
            ("proposals?limit=1001", "QueryNotValid"),
            ("proposals?colour=blue", "QueryNotValid"),
            ("rules?member=07", "QueryNotValid"),
            ("rules?id=07", "QueryNotValid"),
            ("events?after=14", "QueryNotValid"),
            ("events?after=1.18446744073709551615", "QueryNotValid"),
            ("events?after=2.14/", "QueryNotValid"),
            ("events?after=2.14/x", "QueryNotValid"),
            ("requests", "MethodNotAllowed"),
        ] {
            check(target, Err(expected));
        }
        let with = |method, path| route(method, path, "").map_err(|failure| failure.status);
        assert_eq!(with(Method::Post, "proposals"), Err(405));
        assert_eq!(with(Method::Delete, "proposals/1"), Err(405));
        assert_eq!(with(Method::Put, "requests"), Err(405));
    }
}
