//! What governance costs with 200 members and 1,000 open proposals, and reading when these are large: `cargo run --release -p synod-governance --example cost`.
#![expect(clippy::unwrap_used, reason = "an example ends where something is missing")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use synod_crypto::ActorKey;
use synod_crypto::x509::{Validity, actor_certificate};
use synod_governance::bounded::{Blob, List, Name, Note, Set, TextBlob};
use synod_governance::entries::{AdapterEntry, Address, AutoVote, CertificateDer};
use synod_governance::statement::{Body, prepare};
use synod_governance::view::{AsOf, EventPlace, Wanted, Which, missed, proposal, proposals};
use synod_governance::*;
use synod_kv::State;
use synod_types::{ActorId, Digest, NodeId, Seqno, Time, TxId, View};

const NETWORK: Digest = Digest([1; 32]);
const NOW: Time = Time(1_800_000_000_000_000);
const MEMBERS: usize = 200;
const PROPOSALS: u64 = 1_000;

struct Member {
    key: ActorKey,
    der: Vec<u8>,
    caller: Caller,
}

impl Member {
    fn new(place: usize) -> (Self, AddActor) {
        let name = format!("member {place}");
        let key = ActorKey::from_seed(&synod_crypto::sha256(&[name.as_bytes()]).0);
        let certificate = actor_certificate(&key, &name, Validity::days(NOW, 365));
        let (actor, digest) = (certificate.actor_id(), certificate.spki_digest());
        let caller = Caller { actor, role: Role::Member, key: digest, valid_until: certificate.valid_until() };
        let add = AddActor {
            name: Name::new(name).unwrap(),
            certificate: CertificateDer::of(&certificate),
            pins: Pins::default(),
        };
        (Self { key, der: certificate.der().to_vec(), caller }, add)
    }

    fn sign(&self, body: &impl Body) -> Statement {
        let unsigned = prepare(body, NETWORK, NOW, vec![self.der.clone()]).unwrap();
        Blob::new(unsigned.assemble(&self.key.sign(&unsigned.to_be_signed()).0)).unwrap()
    }
}

fn request(state: &mut State, seqno: &mut Seqno, member: &Member, request: &Request) -> (Outcome, Duration) {
    *seqno = seqno.next();
    let env = Env { network: NETWORK, seqno: *seqno, time: NOW };
    let begin = Instant::now();
    let outcome = execute(state, &env, &member.caller, request).unwrap();
    let took = begin.elapsed();
    state.apply(&outcome.writes, *seqno);
    (outcome, took)
}

/// Two members, the second of whom has a rule that accepts the first one's open proposals of half a MiB.
fn large() -> (State, Seqno, ActorId) {
    let (members, actors): (Vec<_>, Vec<_>) = (0..3).map(Member::new).unzip();
    let mut constitution = Constitution::named(Name::new("cost").unwrap());
    constitution.actors = actors.into_iter().map(|add| (Role::Member, add)).collect();
    constitution.nodes = BTreeMap::from([(NodeId(1), node(&members[0]))]);
    constitution.adapters = vec![AdapterEntry { name: Name::new("log").unwrap(), settings: Default::default() }];
    constitution.auto_votes = [(ActionKind::SetAdapter, AutoVote::default())].into();
    let mut state = State::default();
    state.apply(&constitution.genesis_writes(NOW).unwrap(), Seqno(1));
    let mut seqno = Seqno(1);
    let rule = StandingRule {
        kinds: Set::new([ActionKind::SetAdapter]).unwrap(),
        condition: Condition::Is(Predicate::ProposerIsMember),
    };
    let rule = Request::SetStandingRule(members[1].sign(&RuleBody { rule, counter: 1 }));
    request(&mut state, &mut seqno, &members[1], &rule);
    for place in 0..200_u64 {
        let settings = TextBlob::new(format!("{place:08}").repeat(64 << 10)).unwrap();
        let actions = vec![Action::SetAdapter(AdapterEntry { name: Name::new("log").unwrap(), settings })];
        let member = &members[0];
        let body = ProposalBody {
            proposer: member.caller.actor,
            nonce: Blob::new([place.to_le_bytes(), [0; 8]].concat()).unwrap(),
            actions: List::new(actions).unwrap(),
            expires: None,
            note: Note::default(),
        };
        request(&mut state, &mut seqno, member, &Request::Propose(member.sign(&body)));
    }
    (state, seqno, members[1].caller.actor)
}

fn node(owner: &Member) -> NodeEntry {
    NodeEntry {
        name: Name::new("vn1").unwrap(),
        owner: owner.caller.actor,
        public_key: Blob::new(owner.key.verifying_key().to_spki_der()).unwrap(),
        address: Address::new("localhost:7001").unwrap(),
        code: None,
        platform: None,
    }
}

fn main() {
    let (members, actors): (Vec<_>, Vec<_>) = (0..MEMBERS).map(Member::new).unzip();
    let mut constitution = Constitution::named(Name::new("cost").unwrap());
    constitution.actors = actors.into_iter().map(|add| (Role::Member, add)).collect();
    constitution.nodes = BTreeMap::from([(NodeId(1), node(&members[0]))]);
    let mut state = State::default();
    state.apply(&constitution.genesis_writes(NOW).unwrap(), Seqno(1));
    let mut seqno = Seqno(1);

    let mut slowest = BTreeMap::new();
    let mut note = |what: &'static str, took: Duration| {
        let slowest: &mut Duration = slowest.entry(what).or_default();
        *slowest = took.max(*slowest);
    };
    for place in 0..PROPOSALS {
        let member = &members[place as usize % MEMBERS];
        let body = ProposalBody {
            proposer: member.caller.actor,
            nonce: Blob::new([place.to_le_bytes(), [0; 8]].concat()).unwrap(),
            actions: List::new(vec![Action::SetLease(SetLease { seconds: Some(60 + place) })]).unwrap(),
            expires: None,
            note: Note::default(),
        };
        note("propose", request(&mut state, &mut seqno, member, &Request::Propose(member.sign(&body))).1);
    }
    // The first ten are voted on up to their decision, by the fewest members who can.
    for id in 1..=10 {
        let digest = Tables(&state).proposal(id).unwrap().unwrap().digest;
        for member in &members[..=MEMBERS / 2] {
            let ballot = BallotBody { proposal: id, digest, choice: Choice::Accept, counter: 1 };
            let (outcome, took) = request(&mut state, &mut seqno, member, &Request::Vote(member.sign(&ballot)));
            note(if outcome.status == Some(Status::Open) { "vote" } else { "decide" }, took);
        }
    }
    // All others have ballots of every tenth member.
    for id in 11..=PROPOSALS {
        let digest = Tables(&state).proposal(id).unwrap().unwrap().digest;
        for member in &members[..MEMBERS / 10] {
            let ballot = BallotBody { proposal: id, digest, choice: Choice::Accept, counter: 1 };
            note("vote", request(&mut state, &mut seqno, member, &Request::Vote(member.sign(&ballot))).1);
        }
    }
    let tables = Tables(&state);
    let txid_of = |seqno| Some(TxId::new(View(2), seqno));
    let as_of = AsOf { network: NETWORK, txid: TxId::new(View(2), seqno), time: NOW, txid_of: &txid_of };
    let wanted = Wanted { which: Which::Open, awaiting: None, after: 0, count_max: 1_000 };
    for (what, awaiting) in [("list all open", None), ("list awaiting", Some(&members[MEMBERS - 1].caller.actor))] {
        let begin = Instant::now();
        let listed = proposals(tables, &as_of, &Wanted { awaiting, ..wanted }, awaiting).unwrap();
        let size = serde_json::to_string(&listed).unwrap().len();
        note(what, begin.elapsed());
        println!("{what}: {} proposals, {} KiB", listed.proposals.len(), size >> 10);
    }
    let begin = Instant::now();
    serde_json::to_string(&proposal(tables, &as_of, 500, None).unwrap().unwrap()).unwrap();
    note("show one", begin.elapsed());
    let begin = Instant::now();
    serde_json::to_string(&view::constitution(tables, &as_of).unwrap().unwrap()).unwrap();
    note("show the constitution", begin.elapsed());
    let begin = Instant::now();
    assert!(!missed(&state, EventPlace::default(), seqno, 1_000).unwrap().is_empty());
    note("find what was missed", begin.elapsed());
    let (state, seqno, reader) = large();
    let as_of = AsOf { txid: TxId::new(View(2), seqno), ..as_of };
    // Its rule has voted on all of them: none is shown.
    let begin = Instant::now();
    let mut after = Some(0);
    let mut pages = 0;
    while let Some(from) = after {
        let begin = Instant::now();
        let wanted = Wanted { awaiting: Some(&reader), after: from, ..wanted };
        after = proposals(Tables(&state), &as_of, &wanted, None).unwrap().next;
        note("large: list awaiting, a page", begin.elapsed());
        pages += 1;
    }
    note("large: list awaiting, all", begin.elapsed());
    println!("large: list awaiting: {pages} pages");
    let begin = Instant::now();
    let mut at = EventPlace::default();
    let mut pages = 0;
    loop {
        let begin = Instant::now();
        let found = missed(&state, at, seqno.next(), 1_000).unwrap();
        note("large: find what was missed, a page", begin.elapsed());
        pages += 1;
        match found.last() {
            Some((last, _)) => at = *last,
            None => break,
        }
    }
    note("large: find what was missed, all", begin.elapsed());
    println!("large: what was missed: {pages} pages");
    for (what, took) in slowest {
        println!("{what}: {:.2} ms at most", took.as_secs_f64() * 1_000.0);
    }
}
