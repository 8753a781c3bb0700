//! The log's requests.

use bytes::Bytes;
use synod_kv::State;
use synod_worker::{ActorFacts, ContentType, Frontend, Method, Plan, Reply, Request, Then};

use crate::call::LogCall;
use crate::{MESSAGE_BYTES_MAX, MESSAGES, Refusal};

/// The stateless part.
pub struct LogFrontend;

impl Frontend for LogFrontend {
    fn plan(&self, _actor: &ActorFacts, request: &Request<'_>) -> Plan {
        plan(request).unwrap_or_else(|refusal| Plan::Answer(refusal.reply()))
    }

    fn read(&self, state: &State, _actor: &ActorFacts, query: &[u8]) -> Reply {
        let key = query.try_into().map(u64::from_be_bytes).map_err(|_| Refusal::CallMalformed);
        let message = key.and_then(|key| match MESSAGES.get(state, &key) {
            Ok(Some(message)) => Ok(message.to_bytes()),
            // A value is read as it is stored, so there is no malformed one.
            Ok(None) | Err(_) => Err(Refusal::KeyNotFound),
        });
        message.map_or_else(Refusal::reply, |message| Reply::new(200, ContentType::Binary, message))
    }
}

fn plan(request: &Request<'_>) -> Result<Plan, Refusal> {
    match request.path.split_once('/') {
        None => {
            let key = key(request.path)?;
            match request.method {
                Method::Get => Ok(Plan::Read(Bytes::copy_from_slice(&key.to_be_bytes()))),
                Method::Put if request.body.len() > MESSAGE_BYTES_MAX => Err(Refusal::MessageTooLarge),
                Method::Put => Ok(execute(LogCall::Put { key, message: request.body })),
                Method::Post | Method::Delete => Err(Refusal::MethodNotAllowed),
            }
        }
        Some((segment, "random")) => {
            let key = key(segment)?;
            if request.method == Method::Post {
                Ok(execute(LogCall::Random { key }))
            } else {
                Err(Refusal::MethodNotAllowed)
            }
        }
        Some(_) => Err(Refusal::PathUnknown),
    }
}

fn execute(call: LogCall<'_>) -> Plan {
    Plan::Execute { calls: vec![call.encode()], then: Then::Reply }
}

fn key(segment: &str) -> Result<u64, Refusal> {
    // `parse` alone would accept a leading plus sign.
    let digits = segment.bytes().all(|byte| byte.is_ascii_digit());
    segment.parse().ok().filter(|_| digits).ok_or(Refusal::KeyInvalid)
}
