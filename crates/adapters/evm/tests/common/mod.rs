//! A network of one worker: plan, execute, commit, answer, as a node does it.

#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

pub mod mainnet;
pub mod token;
pub mod wallet;

use bytes::Bytes;
use serde_json::{Value, json};
use synod_types::{ActorId, AdapterId, Seqno, Time, View};
use synod_worker::{
    ActorFacts, ActorKind, Apply, BlockEnv, Call, Configure, DecidedSettings, Execute, Executed, Method, Plan, Reply,
    Request, Then, ToWorker, Worker,
};

/// The adapter under test is the only one.
pub const EVM: AdapterId = AdapterId(0);

/// One worker and what its manager would keep.
pub struct Network {
    pub worker: Worker,
    pub time: Time,
    pub actor: ActorFacts,
    /// What was executed last, for tests that look at write sets.
    pub executed: Option<Executed>,
}

impl Network {
    /// A network whose genesis has these settings.
    pub fn new(settings: &Value) -> Self {
        let kits = [synod_evm::kit()];
        let settings = settings.to_string();
        let genesis = Worker::genesis(&kits, &[(EVM, settings.as_bytes())]).unwrap();
        let mut worker = Worker::new(&kits);
        worker.handle(ToWorker::Apply(Apply { first_seqno: Seqno(1), write_sets: [genesis].into() }));
        worker.handle(ToWorker::Commit { upto: Seqno(1) });
        let actor = ActorFacts { id: ActorId([7; 32]), kind: ActorKind::Participant };
        Self { worker, time: Time(1_700_000_000_000_000), actor, executed: None }
    }

    /// A network without a live instance.
    pub fn empty() -> Self {
        Self::new(&json!({"instances": []}))
    }

    /// Hands settings to the adapter that members decided, and commits what comes of it; an error is what it is in the
    /// adapter's words.
    pub fn configure(&mut self, settings: &Value) -> Result<(), String> {
        let asked = self.worker.reader().try_settings("evm", settings.to_string().as_bytes());
        let first_seqno = self.worker.tip().next();
        let env = BlockEnv { view: View(1), first_seqno, time: self.time, seed: [9; 32] };
        let decided = DecidedSettings { adapter: EVM, at: first_seqno, settings: settings.to_string().into() };
        self.worker.handle(ToWorker::Configure(Configure { env, decided })).unwrap();
        self.worker.handle(ToWorker::Commit { upto: self.worker.tip() });
        let (_, stands) = self.worker.reader().settings().remove(0);
        let result = stands.refused.map_or(Ok(()), |refused| Err(refused.reason));
        assert_eq!(asked.map_err(|error| error.reason), result, "who asked before was told the same");
        result
    }

    /// Plans a request.
    pub fn plan(&self, method: Method, path: &str, body: &[u8]) -> Plan {
        let reader = self.worker.reader();
        reader.frontend(EVM).unwrap().plan(&self.actor, &Request { method, path, query: "", body })
    }

    /// Executes calls as one block, and commits it.
    pub fn execute(&mut self, calls: Vec<Bytes>) -> Vec<Reply> {
        let replies = self.execute_uncommitted(calls);
        self.worker.handle(ToWorker::Commit { upto: self.worker.tip() });
        replies
    }

    /// Executes calls as one block, and leaves it uncommitted.
    pub fn execute_uncommitted(&mut self, calls: Vec<Bytes>) -> Vec<Reply> {
        let env = BlockEnv { view: View(1), first_seqno: self.worker.tip().next(), time: self.time, seed: [9; 32] };
        let calls = calls.into_iter().map(|input| Call { adapter: EVM, actor: self.actor, input }).collect();
        let executed = self.worker.handle(ToWorker::Execute(Execute { env, calls })).unwrap();
        let replies = executed.outcomes.iter().map(|outcome| outcome.reply.clone()).collect();
        self.executed = Some(executed);
        replies
    }

    /// Carries a plan out.
    pub fn carry_out(&mut self, plan: Plan) -> Reply {
        match plan {
            Plan::Answer(reply) => reply,
            Plan::Read(query) => {
                let (reader, snapshot) = (self.worker.reader(), self.worker.reader().latest());
                reader.frontend(EVM).unwrap().read(&snapshot.state, &self.actor, &query)
            }
            Plan::Execute { calls, then } => {
                let mut replies = self.execute(calls);
                match then {
                    Then::Reply => replies.pop().unwrap(),
                    Then::Finish(token) => self.finish(&token, replies),
                }
            }
        }
    }

    /// Makes an answer of replies.
    pub fn finish(&self, token: &[u8], replies: Vec<Reply>) -> Reply {
        let (reader, snapshot) = (self.worker.reader(), self.worker.reader().latest());
        reader.frontend(EVM).unwrap().finish(&snapshot.state, &self.actor, token, replies)
    }

    /// A request from beginning to end.
    pub fn request(&mut self, method: Method, path: &str, body: &[u8]) -> Reply {
        let plan = self.plan(method, path, body);
        self.carry_out(plan)
    }

    /// A request that succeeds with JSON.
    pub fn ok(&mut self, method: Method, path: &str, body: &[u8]) -> Value {
        let reply = self.request(method, path, body);
        let text = String::from_utf8_lossy(&reply.body);
        assert_eq!(reply.status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A request that is refused: its status and the code and message of its error.
    pub fn refused(&mut self, method: Method, path: &str, body: &[u8]) -> (u16, String, String) {
        let reply = self.request(method, path, body);
        let json: Value = serde_json::from_slice(&reply.body).unwrap();
        let text = |name: &str| json["error"][name].as_str().unwrap().to_owned();
        assert!(!text("hint").is_empty());
        (reply.status, text("code"), text("message"))
    }

    /// A JSON-RPC body on the instance `main`, and the answer to it.
    pub fn post(&mut self, body: &str) -> Value {
        self.ok(Method::Post, "main", body.as_bytes())
    }

    /// The answer to one method.
    pub fn rpc(&mut self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.post(&body.to_string());
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(1)));
        answer
    }

    /// The result of a method that succeeds.
    pub fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.rpc(method, params);
        assert!(answer.get("result").is_some(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Code and message of a method that is refused.
    pub fn error(&mut self, method: &str, params: Value) -> (i64, String) {
        let answer = self.rpc(method, params);
        assert!(answer.get("result").is_none(), "{method}: {answer}");
        (answer["error"]["code"].as_i64().unwrap(), answer["error"]["message"].as_str().unwrap().to_owned())
    }
}
