//! The stateless part: paths to plans, and reads of committed snapshots.

use bytes::Bytes;
use serde_json::{Value, json};
use synod_kv::{Lookup, State};
use synod_types::{Decode, Encode};
use synod_worker::{ActorFacts, ContentType, Frontend, Method, Plan, Reply, Request, Then};

use crate::call::{Action, Call};
use crate::code_cache::CodeCache;
use crate::error::{HttpError, StateDamaged};
use crate::import;
use crate::instance::{Instance, Kind, is_name};
use crate::maps::{INSTANCES, Maps};
use crate::query::Query;
use crate::rpc::{self, batch::Batch, render};
use crate::store::{self, Store};

/// The EVM adapter's stateless part.
#[derive(Debug, Default)]
pub(crate) struct EvmFrontend {
    codes: CodeCache,
}

impl Frontend for EvmFrontend {
    fn plan(&self, _actor: &ActorFacts, request: &Request<'_>) -> Plan {
        plan(request).unwrap_or_else(|error| Plan::Answer(error.reply()))
    }

    fn read(&self, state: &State, _actor: &ActorFacts, query: &[u8]) -> Reply {
        match query.split_first() {
            Some((&RPC, token)) => self.finish_rpc(state, token, Vec::new()),
            Some((&QUERY, query)) => Query::from_bytes(query)
                .map_err(|_| HttpError::bad_request("the query does not decode"))
                .and_then(|query| self.answer(state, &query))
                .unwrap_or_else(|error| error.reply()),
            _ => HttpError::bad_request("the query does not decode").reply(),
        }
    }

    /// Reads that run code or scan logs do, and so do batches of many reads.
    fn takes_long(&self, query: &[u8]) -> bool {
        let Some((&RPC, token)) = query.split_first() else { return false };
        Batch::from_bytes(token).is_ok_and(|batch| batch.takes_long())
    }

    fn finish(&self, state: &State, _actor: &ActorFacts, token: &[u8], replies: Vec<Reply>) -> Reply {
        match token.split_first() {
            Some((&RPC, token)) => self.finish_rpc(state, token, replies),
            Some((&IMPORT, _)) => finish_import(&replies),
            _ => HttpError::bad_request("the token does not decode").reply(),
        }
    }
}

/// First byte of a token or query: the rest is a [`Batch`].
const RPC: u8 = 0;
/// First byte of a query: the rest is a [`Query`].
const QUERY: u8 = 1;
/// First byte of a token: imported transactions.
const IMPORT: u8 = 2;

fn plan(request: &Request<'_>) -> Result<Plan, HttpError> {
    let path: Vec<&str> = request.path.split('/').collect();
    let name = path[0];
    if !name.is_empty() && !is_name(name) {
        return Err(HttpError::bad_request("an instance's name is 1 to 32 characters of a-z, 0-9 and hyphen"));
    }
    let one = |action| execute(name, [action], Then::Reply);
    let instance = || name.to_owned();
    match (request.method, &path[1..]) {
        (Method::Get, []) if name.is_empty() => Ok(query(&Query::Instances)),
        (_, _) if name.is_empty() => Err(not_found()),
        (Method::Post, []) => Ok(tagged(rpc::plan(name, request.body))),
        (Method::Get, []) => Ok(query(&Query::Instance(instance()))),
        (Method::Put, []) => Ok(one(import::create(request.body)?)),
        (Method::Post, ["alloc"]) => Ok(one(import::allocate(request.body)?)),
        (Method::Post, ["blocks"]) => Ok(one(import::open_block(request.body)?)),
        (Method::Post, ["blocks", "close"]) => Ok(one(Action::CloseBlock)),
        (Method::Post, ["complete"]) => Ok(one(Action::Complete)),
        (Method::Post, ["transactions"]) => {
            let token = Bytes::from_static(&[IMPORT]);
            Ok(execute(name, import::transactions(request.body)?, Then::Finish(token)))
        }
        (Method::Get, ["blocks", number]) => {
            let number =
                number.parse().map_err(|_| HttpError::bad_request("a block is named by its decimal number"))?;
            Ok(query(&Query::Block(instance(), number)))
        }
        _ => Err(not_found()),
    }
}

fn not_found() -> HttpError {
    HttpError::new(404, "NotFound", "the EVM adapter has nothing here", "JSON-RPC is at POST /app/evm/<instance>")
}

fn query(query: &Query) -> Plan {
    Plan::Read(Bytes::from([&[QUERY], query.to_bytes().as_slice()].concat()))
}

fn execute(name: &str, actions: impl IntoIterator<Item = Action>, then: Then) -> Plan {
    let call = |action| Bytes::from(Call { instance: name.to_owned(), action }.to_bytes());
    Plan::Execute { calls: actions.into_iter().map(call).collect(), then }
}

/// Puts the byte in front by which token and query are told from others.
fn tagged(plan: Plan) -> Plan {
    let tag = |bytes: Bytes| Bytes::from([&[RPC], bytes.as_ref()].concat());
    match plan {
        Plan::Read(query) => Plan::Read(tag(query)),
        Plan::Execute { calls, then: Then::Finish(token) } => Plan::Execute { calls, then: Then::Finish(tag(token)) },
        other => other,
    }
}

impl EvmFrontend {
    fn finish_rpc(&self, state: &State, token: &[u8], replies: Vec<Reply>) -> Reply {
        let Ok(batch) = Batch::from_bytes(token) else {
            return HttpError::bad_request("the token does not decode").reply();
        };
        let instance = match store::instance(state, &batch.instance) {
            Ok(Some(instance)) => instance,
            Ok(None) => return HttpError::instance_unknown(&batch.instance).reply(),
            Err(damaged) => return HttpError::from(damaged).reply(),
        };
        let maps = Maps::of(&batch.instance);
        rpc::finish(&instance, Store { view: state, maps: &maps, codes: &self.codes }, &batch, replies)
    }

    fn answer(&self, state: &State, query: &Query) -> Result<Reply, HttpError> {
        match query {
            Query::Instances => {
                let one = |(name, _): (&[u8], _)| self.describe(state, &String::from_utf8_lossy(name));
                let all = state.range(&INSTANCES, ..).map(one).collect::<Result<Vec<_>, _>>()?;
                Ok(Reply::json(200, json!({"instances": all}).to_string()))
            }
            Query::Instance(name) => Ok(Reply::json(200, self.describe(state, name)?.to_string())),
            Query::Block(name, number) => {
                let instance = find(state, name)?;
                let maps = Maps::of(name);
                let store = Store { view: state, maps: &maps, codes: &self.codes };
                let block = store.block(*number)?.ok_or_else(|| {
                    HttpError::new(404, "BlockUnknown", format!("there is no closed block {number}"), "close it first")
                })?;
                Ok(Reply::json(200, render::closed_block(&instance, &block)))
            }
        }
    }

    fn describe(&self, state: &State, name: &str) -> Result<Value, HttpError> {
        let instance = find(state, name)?;
        let maps = Maps::of(name);
        let store = Store { view: state, maps: &maps, codes: &self.codes };
        let (kind, complete) = match instance.kind {
            Kind::Live => ("live", None),
            Kind::Historic { complete, .. } => ("historic", Some(complete)),
        };
        Ok(json!({
            "name": name, "kind": kind, "complete": complete, "chainId": instance.chain_id, "head": store.head()?,
        }))
    }
}

fn find(state: &State, name: &str) -> Result<Instance, HttpError> {
    let instance = store::instance(state, name).map_err(|damaged: StateDamaged| HttpError::from(damaged))?;
    instance.ok_or_else(|| HttpError::instance_unknown(name))
}

/// All transactions were taken, or the first that was not is the answer.
fn finish_import(replies: &[Reply]) -> Reply {
    let refused = replies.iter().find(|reply| reply.status != 200 || reply.content_type != ContentType::Binary);
    match refused {
        Some(refused) => refused.clone(),
        None => Reply::json(200, json!({"transactions": replies.len()}).to_string()),
    }
}
