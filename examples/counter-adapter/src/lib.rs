//! Named counters with a ceiling: an example of an adapter. The README walks through it.

use std::sync::Arc;

use bytes::Bytes;
use synod_kv::{EntryRefused, Map, State, Tx};
use synod_worker::{
    ActorFacts, Adapter, AdapterKit, CallContext, Frontend, Method, Plan, Reply, Request, SetupError, Then,
};

/// The adapter's name: the first segment of its paths, and of its maps' names.
pub const NAME: &str = "counter";

/// What a program that runs nodes takes to have this adapter.
pub fn kit() -> AdapterKit {
    AdapterKit { name: NAME, adapter: || Box::new(Counter), frontend: Arc::new(CounterFrontend) }
}

/// The counters by name.
const COUNTS: Map<String, u64> = Map::from_static("counter.counts");

/// What no counter may rise above.
const CEILING: Map<(), u64> = Map::from_static("counter.ceiling");

/// The longest name: a name becomes a key, and keys are bounded.
const NAME_BYTES_MAX: usize = 64;

/// The ordered part: runs on the leader, one call after the other.
struct Counter;

impl Adapter for Counter {
    fn genesis(&mut self, tx: &mut Tx<'_>, settings: &[u8]) -> Result<(), SetupError> {
        let refused = || SetupError { adapter: NAME, reason: "the ceiling is not a decimal number".into() };
        let ceiling = number(settings).ok_or_else(refused)?;
        CEILING.put(tx, &(), &ceiling);
        Ok(())
    }

    fn execute(&mut self, tx: &mut Tx<'_>, _context: &CallContext<'_>, input: &[u8]) -> Reply {
        let Some((name, step)) = decode(input) else { return error(400, "CallMalformed", "not a call of the counter") };
        match sum(tx, &name, step) {
            Ok(Some(count)) => {
                COUNTS.put(tx, &name, &count);
                Reply::text(200, count.to_string()).with_writes()
            }
            // Nothing was written and the reply does not say `with_writes`: the call is no transaction.
            Ok(None) => error(409, "CeilingReached", "the counter would rise above its ceiling"),
            Err(refused) => error(500, "StateMalformed", &refused.to_string()),
        }
    }
}

/// What the counter would come to; `None` if that is above the ceiling.
fn sum(tx: &Tx<'_>, name: &String, step: u64) -> Result<Option<u64>, EntryRefused> {
    let count = COUNTS.get(tx, name)?.unwrap_or(0);
    let ceiling = CEILING.get(tx, &())?.unwrap_or(0);
    Ok(count.checked_add(step).filter(|count| *count <= ceiling))
}

/// The stateless part: runs on any thread of any node.
struct CounterFrontend;

impl Frontend for CounterFrontend {
    fn plan(&self, _actor: &ActorFacts, request: &Request<'_>) -> Plan {
        let name = request.path;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Plan::Answer(error(400, "NameInvalid", "a counter's name is 1 to 64 lower-case letters"));
        }
        match request.method {
            Method::Get => Plan::Read(Bytes::copy_from_slice(name.as_bytes())),
            Method::Post => match steps(request.body) {
                Some(steps) => {
                    let calls = steps.iter().map(|step| encode(name, *step)).collect();
                    Plan::Execute { calls, then: Then::Finish(Bytes::new()) }
                }
                None => Plan::Answer(error(400, "StepsInvalid", "send 1 to 1000 decimal numbers, one on each line")),
            },
            Method::Put | Method::Delete => Plan::Answer(error(405, "MethodNotAllowed", "GET or POST a counter")),
        }
    }

    fn read(&self, state: &State, _actor: &ActorFacts, query: &[u8]) -> Reply {
        match std::str::from_utf8(query).map(|name| COUNTS.get(state, &name.to_owned())) {
            Ok(Ok(Some(count))) => Reply::text(200, count.to_string()),
            Ok(Ok(None)) => error(404, "CounterNotFound", "no such counter"),
            Ok(Err(refused)) => error(500, "StateMalformed", &refused.to_string()),
            Err(_) => error(400, "NameInvalid", "not a name"),
        }
    }

    /// One answer for all steps: the first refusal, or the last count and the ceiling.
    fn finish(&self, state: &State, _actor: &ActorFacts, _token: &[u8], mut replies: Vec<Reply>) -> Reply {
        if let Some(refused) = replies.iter().position(|reply| reply.status != 200) {
            return replies.swap_remove(refused);
        }
        let last = replies.pop().map(|reply| reply.body).unwrap_or_default();
        match CEILING.get(state, &()) {
            Ok(ceiling) => Reply::text(200, format!("{} of {}", String::from_utf8_lossy(&last), ceiling.unwrap_or(0))),
            Err(refused) => error(500, "StateMalformed", &refused.to_string()),
        }
    }
}

/// A call: the step, 8 bytes, and the name.
fn encode(name: &str, step: u64) -> Bytes {
    [&step.to_be_bytes()[..], name.as_bytes()].concat().into()
}

fn decode(input: &[u8]) -> Option<(String, u64)> {
    let (step, name) = input.split_first_chunk()?;
    // Another node's frontend may have made this call, so the bound is checked here again.
    let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= NAME_BYTES_MAX)?;
    Some((name.to_owned(), u64::from_be_bytes(*step)))
}

fn steps(body: &[u8]) -> Option<Vec<u64>> {
    let lines: Vec<_> = std::str::from_utf8(body).ok()?.lines().collect();
    let count_allowed = (1..=synod_types::limits::REQUEST_CALLS_MAX).contains(&lines.len());
    lines.iter().map(|line| number(line.as_bytes())).collect::<Option<_>>().filter(|_| count_allowed)
}

fn number(digits: &[u8]) -> Option<u64> {
    // `parse` alone would accept a leading plus sign.
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let hint = "see examples/counter-adapter/README.md";
    Reply::json(status, format!(r#"{{"error":{{"code":"{code}","message":"{message}","hint":"{hint}"}}}}"#))
}
