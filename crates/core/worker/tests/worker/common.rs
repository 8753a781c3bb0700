//! An adapter that does what its calls say, and leaves traces of when it was opened and closed.

use std::sync::Arc;

use bytes::Bytes;
use synod_kv::{Lookup, MapName, State, Tx, WriteSet};
use synod_types::{ActorId, AdapterId, Decode, Digest, Seqno, Time, View};
use synod_worker::{
    ActorFacts, ActorKind, Adapter, AdapterKit, Apply, BlockEnv, Call, CallContext, ContentType, Execute, Executed,
    Frontend, Plan, Reply, Request, SetupError, ToWorker, Worker,
};

pub const A: AdapterId = AdapterId(0);
pub const B: AdapterId = AdapterId(1);

pub const ACTOR: ActorFacts = ActorFacts { id: ActorId([7; 32]), kind: ActorKind::Participant };

/// Two adapters of the same kind, `a` and `b`.
pub fn kits() -> Vec<AdapterKit> {
    let kit = |name, adapter| AdapterKit { name, adapter, frontend: Arc::new(Silent) };
    vec![kit("a", || Box::new(Scripted::new("a"))), kit("b", || Box::new(Scripted::new("b")))]
}

/// The adapter: its calls are lists of commands separated by spaces.
///
/// `x=y` writes, `x-` removes, `refuse` refuses after what came before, `seqno` answers the call's
/// seqno, `size:n` writes n bytes, `answer:n` answers n bytes, `foreign` writes in another's map.
struct Scripted {
    name: &'static str,
    calls: u8,
}

impl Scripted {
    const fn new(name: &'static str) -> Self {
        Self { name, calls: 0 }
    }
}

/// The map `thing` of an adapter.
pub fn map(adapter: &str, thing: &str) -> MapName {
    MapName::new(&format!("{adapter}.{thing}")).expect("test names are names")
}

impl Adapter for Scripted {
    fn genesis(&mut self, tx: &mut Tx<'_>, settings: &[u8]) -> Result<(), SetupError> {
        if settings == b"bad" {
            return Err(SetupError { adapter: self.name, reason: "bad".into() });
        }
        tx.put(&map(self.name, "settings"), b"", settings);
        Ok(())
    }

    fn configure(&mut self, tx: &mut Tx<'_>, old: &[u8], new: &[u8]) -> Result<(), SetupError> {
        let settings = map(self.name, "settings");
        tx.put(&settings, b"", new);
        tx.put(&settings, b"before", old);
        let size = std::str::from_utf8(new).ok().and_then(|new| new.strip_prefix("size:")?.parse::<usize>().ok());
        for part in 0..size.unwrap_or(0) >> 20 {
            tx.put(&settings, part.to_be_bytes(), vec![0; 1 << 20]);
        }
        if new == b"bad" { Err(SetupError { adapter: self.name, reason: "bad".into() }) } else { Ok(()) }
    }

    fn open(&mut self, tx: &mut Tx<'_>, block: &BlockEnv) {
        self.calls = 0;
        tx.put(&map(self.name, "opened"), block.first_seqno.0.to_be_bytes(), b"");
    }

    fn execute(&mut self, tx: &mut Tx<'_>, context: &CallContext<'_>, input: &[u8]) -> Reply {
        assert!(tx.has(&map(self.name, "opened"), &context.block.first_seqno.0.to_be_bytes()), "opened before");
        self.calls += 1;
        let data = map(self.name, "data");
        let mut reply = Reply::text(200, "").with_writes().with_claims(Digest([self.calls; 32]));
        for command in std::str::from_utf8(input).expect("test input is text").split_whitespace() {
            if let Some((key, value)) = command.split_once('=') {
                tx.put(&data, key.as_bytes(), value.as_bytes());
            } else if let Some(key) = command.strip_suffix('-') {
                tx.remove(&data, key.as_bytes());
            } else if let Some(size) = command.strip_prefix("size:") {
                let mut left: usize = size.parse().expect("a number");
                while left > 0 {
                    let part = left.min(4 << 20);
                    tx.put(&data, left.to_be_bytes(), vec![0; part]);
                    left -= part;
                }
            } else if let Some(size) = command.strip_prefix("answer:") {
                reply.body = vec![b'x'; size.parse().expect("a number")].into();
            } else {
                match command {
                    "refuse" => reply = Reply::text(409, "refused").with_claims(Digest([9; 32])),
                    "seqno" => reply.body = context.seqno.to_string().into(),
                    "foreign" => tx.put(&map("ab", "data"), b"k", b"v"),
                    _ => unreachable!("no such command: {command}"),
                }
            }
        }
        reply
    }

    fn close(&mut self, tx: &mut Tx<'_>, block: &BlockEnv) {
        tx.put(&map(self.name, "closed"), block.first_seqno.0.to_be_bytes(), [self.calls]);
    }
}

/// A frontend that the tests of the worker never ask.
struct Silent;

impl Frontend for Silent {
    fn plan(&self, _actor: &ActorFacts, request: &Request<'_>) -> Plan {
        Plan::Answer(Reply::text(200, request.path))
    }

    fn read(&self, _state: &State, _actor: &ActorFacts, _query: &[u8]) -> Reply {
        Reply::new(200, ContentType::Binary, Bytes::new())
    }
}

pub fn env(first_seqno: u64) -> BlockEnv {
    BlockEnv { view: View(2), first_seqno: Seqno(first_seqno), time: Time(1_000_000), seed: [3; 32] }
}

/// Executes calls as the next block.
pub fn execute(worker: &mut Worker, calls: &[(AdapterId, &str)]) -> Executed {
    let call = |(adapter, input): &(AdapterId, &str)| Call {
        adapter: *adapter,
        actor: ACTOR,
        input: Bytes::copy_from_slice(input.as_bytes()),
    };
    let env = env(worker.tip().next().0);
    let message = ToWorker::Execute(Execute { env, calls: calls.iter().map(call).collect() });
    worker.handle(message).expect("an execution is answered")
}

/// Applies on `worker` what another executed.
pub fn apply(worker: &mut Worker, executed: &Executed) {
    let write_sets: Vec<_> = executed.outcomes.iter().filter_map(|outcome| outcome.write_set.clone()).collect();
    if !write_sets.is_empty() {
        tell(
            worker,
            ToWorker::Apply(Apply::from_encoded(executed.env.first_seqno, &write_sets).expect("a worker wrote them")),
        );
    }
}

/// Gives a message that is not answered.
pub fn tell(worker: &mut Worker, message: ToWorker) {
    assert!(worker.handle(message).is_none());
}

pub fn commit(worker: &mut Worker, upto: u64) {
    tell(worker, ToWorker::Commit { upto: Seqno(upto) });
}

pub fn truncate(worker: &mut Worker, to: u64) {
    tell(worker, ToWorker::Truncate { to: Seqno(to) });
}

/// What each transaction of a block wrote, in words: `a.data/k`, a minus before what it removed.
pub fn written(executed: &Executed) -> Vec<Vec<String>> {
    let words = |bytes: &Bytes| {
        let writes = WriteSet::from_bytes(bytes).expect("the worker encodes");
        writes.iter().map(|(map, key, value)| word(map, key.as_slice(), value.is_some())).collect()
    };
    executed.outcomes.iter().filter_map(|outcome| outcome.write_set.as_ref()).map(words).collect()
}

fn word(map: &MapName, key: &[u8], put: bool) -> String {
    let key = if map.as_str().ends_with(".data") { String::from_utf8_lossy(key).into_owned() } else { "*".into() };
    format!("{}{map}/{key}", if put { "" } else { "-" })
}

pub fn statuses(executed: &Executed) -> Vec<u16> {
    executed.outcomes.iter().map(|outcome| outcome.reply.status).collect()
}
