//! Random lives of a network, beside a model that is as simple as possible.
//!
//! The model shares no code with the crate: it judges a policy by asking who would have to accept, keeps everything in
//! plain maps, and knows nothing of encodings, signatures or counters. After every request both must agree on
//! whether it was accepted (or on the code with which it was refused), on every proposal's status, on the members, the
//! policies and the nodes. At the end all accepted requests are executed again from genesis.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use synod_governance::bounded::Set;
use synod_governance::*;
use synod_kv::State;
use synod_types::{NodeId, Seqno, Time};

use crate::world::{NETWORK, Org, START, World, constitution, node};

const ORGS: usize = 6;
const NAMES: [&str; ORGS] = ["Alpha", "Beta", "Gamma", "Delta", "Epsilon", "Zeta"];

#[derive(Clone, Debug, PartialEq)]
enum MPolicy {
    All,
    Most,
    Count(usize),
    TwoThirds,
    Needs(usize),
    Both(Box<MPolicy>, Box<MPolicy>),
    Either(Box<MPolicy>, Box<MPolicy>),
}

impl MPolicy {
    /// Whether these members' acceptance is enough.
    fn satisfied(&self, members: &BTreeSet<usize>, yes: &BTreeSet<usize>) -> bool {
        match self {
            Self::All => yes == members,
            Self::Most => yes.len() > members.len() - yes.len(),
            Self::Count(count) => yes.len() >= *count,
            Self::TwoThirds => 3 * yes.len() >= 2 * members.len(),
            Self::Needs(who) => yes.contains(who),
            Self::Both(a, b) => a.satisfied(members, yes) && b.satisfied(members, yes),
            Self::Either(a, b) => a.satisfied(members, yes) || b.satisfied(members, yes),
        }
    }

    fn real(&self, orgs: &[Org]) -> Policy {
        let two = |a: &Self, b: &Self| bounded::List::new(vec![a.real(orgs), b.real(orgs)]).unwrap();
        match self {
            Self::All => Policy::Unanimous,
            Self::Most => Policy::Majority,
            Self::Count(count) => Policy::MOfN(*count as u32),
            Self::TwoThirds => Policy::Fraction { num: 2, den: 3 },
            Self::Needs(who) => Policy::Required(Members(Set::new([orgs[*who].id()]).unwrap())),
            Self::Both(a, b) => Policy::AllOf(two(a, b)),
            Self::Either(a, b) => Policy::AnyOf(two(a, b)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    AddMember,
    RemoveMember,
    AddParticipant,
    RemoveParticipant,
    AddNode,
    RemoveNode,
    SetPolicy,
}

const KINDS: [(Kind, ActionKind); 7] = [
    (Kind::AddMember, ActionKind::AddMember),
    (Kind::RemoveMember, ActionKind::RemoveMember),
    (Kind::AddParticipant, ActionKind::AddParticipant),
    (Kind::RemoveParticipant, ActionKind::RemoveParticipant),
    (Kind::AddNode, ActionKind::AddNode),
    (Kind::RemoveNode, ActionKind::RemoveNode),
    (Kind::SetPolicy, ActionKind::SetPolicy),
];

#[derive(Clone, Debug)]
enum MAction {
    AddMember(usize),
    RemoveMember(usize),
    AddParticipant(usize),
    RemoveParticipant(usize),
    AddNode(usize),
    RemoveNode(u64),
    SetPolicy(Option<Kind>, Option<MPolicy>),
}

impl MAction {
    fn kind(&self) -> Kind {
        match self {
            Self::AddMember(_) => Kind::AddMember,
            Self::RemoveMember(_) => Kind::RemoveMember,
            Self::AddParticipant(_) => Kind::AddParticipant,
            Self::RemoveParticipant(_) => Kind::RemoveParticipant,
            Self::AddNode(_) => Kind::AddNode,
            Self::RemoveNode(_) => Kind::RemoveNode,
            Self::SetPolicy(..) => Kind::SetPolicy,
        }
    }

    /// The action; `label` names a node that nobody has seen before.
    fn real(&self, orgs: &[Org], label: &str) -> Action {
        let remove = |who: &usize| RemoveActor { id: orgs[*who].id() };
        match self {
            Self::AddMember(who) => Action::AddMember(orgs[*who].add()),
            Self::RemoveMember(who) => Action::RemoveMember(remove(who)),
            Self::AddParticipant(who) => Action::AddParticipant(orgs[*who].add()),
            Self::RemoveParticipant(who) => Action::RemoveParticipant(remove(who)),
            Self::AddNode(owner) => Action::AddNode(node(label, orgs[*owner].id())),
            Self::RemoveNode(slot) => Action::RemoveNode(RemoveNode { node: NodeId(*slot) }),
            Self::SetPolicy(kind, policy) => {
                let kind = kind.map(|kind| KINDS.iter().find(|(model, _)| *model == kind).unwrap().1);
                Action::SetPolicy(SetPolicy { kind, value: policy.as_ref().map(|policy| policy.real(orgs)) })
            }
        }
    }
}

/// What the constitution says.
#[derive(Clone, Debug)]
struct Rules {
    /// Who acts; whether it is a member; since which request.
    actors: BTreeMap<usize, (bool, u64)>,
    nodes: BTreeMap<u64, usize>,
    slots: u64,
    policies: BTreeMap<Option<Kind>, MPolicy>,
}

impl Rules {
    fn members(&self) -> BTreeSet<usize> {
        self.actors.iter().filter(|(_, (is_member, _))| *is_member).map(|(who, _)| *who).collect()
    }

    fn policy(&self, kind: Option<Kind>) -> MPolicy {
        let default = self.policies.get(&None).cloned().unwrap_or(MPolicy::Most);
        self.policies.get(&kind).cloned().unwrap_or(default)
    }

    /// What they say after these actions; `None` if one of them is impossible, or what they leave behind.
    fn after(&self, actions: &[MAction], now: u64) -> Option<Self> {
        let mut rules = self.clone();
        for action in actions {
            let possible = match action {
                MAction::AddMember(who) => rules.actors.insert(*who, (true, now)).is_none(),
                MAction::AddParticipant(who) => rules.actors.insert(*who, (false, now)).is_none(),
                MAction::RemoveMember(who) => rules.actors.remove(who).is_some_and(|(is_member, _)| is_member),
                MAction::RemoveParticipant(who) => rules.actors.remove(who).is_some_and(|(is_member, _)| !is_member),
                MAction::AddNode(owner) => {
                    rules.slots += 1;
                    rules.nodes.insert(rules.slots, *owner);
                    rules.actors.contains_key(owner)
                }
                MAction::RemoveNode(slot) => rules.nodes.remove(slot).is_some(),
                MAction::SetPolicy(kind, policy) => match policy {
                    Some(policy) => rules.policies.insert(*kind, policy.clone()).as_ref() != Some(policy),
                    None => rules.policies.remove(kind).is_some(),
                },
            };
            if !possible {
                return None;
            }
        }
        let members = rules.members();
        let reachable = rules.policies.values().all(|policy| policy.satisfied(&members, &members));
        let owned = rules.nodes.values().all(|owner| rules.actors.contains_key(owner));
        let (before, kept) =
            (self.nodes.len(), self.nodes.keys().filter(|slot| rules.nodes.contains_key(slot)).count());
        let enough_stay = if before == 2 { kept >= 1 } else { kept > before / 2 };
        (!members.is_empty() && reachable && owned && enough_stay).then_some(rules)
    }
}

#[derive(Clone, Debug)]
struct MProposal {
    proposer: usize,
    actions: Vec<MAction>,
    votes: BTreeMap<usize, (bool, u64)>,
    status: Status,
    expires: Option<u64>,
}

#[derive(Clone, Debug)]
struct Model {
    rules: Rules,
    proposals: Vec<MProposal>,
    now: u64,
    time: u64,
}

impl Model {
    fn status(&self, place: usize) -> Status {
        let proposal = &self.proposals[place];
        let is_over = proposal.expires.is_some_and(|expires| expires <= self.time);
        if proposal.status == Status::Open && is_over { Status::Expired } else { proposal.status }
    }

    fn propose(&mut self, who: usize, actions: &[MAction], expires: Option<u64>) -> Result<(), &'static str> {
        let Some((is_member, _)) = self.rules.actors.get(&who) else { return Err("NotAnActor") };
        let is_own = |action: &MAction| match action {
            MAction::AddNode(owner) => *owner == who,
            MAction::RemoveNode(slot) => self.rules.nodes.get(slot) == Some(&who),
            _ => false,
        };
        if !is_member && !actions.iter().all(is_own) {
            return Err("MayNotPropose");
        }
        self.rules.after(actions, self.now).ok_or("Actions")?;
        let actions = actions.to_vec();
        self.proposals.push(MProposal {
            proposer: who,
            actions,
            votes: BTreeMap::new(),
            status: Status::Open,
            expires,
        });
        Ok(())
    }

    fn vote(&mut self, who: usize, place: usize, yes: bool) -> Result<(), &'static str> {
        if !self.rules.members().contains(&who) {
            return Err("NotAMember");
        }
        if self.status(place) != Status::Open {
            return Err("ProposalClosed");
        }
        let since = self.rules.actors[&who].1;
        let before = self.proposals[place].votes.insert(who, (yes, self.now));
        let same = before.is_some_and(|(said, when)| said == yes && when > since);
        self.decide(place);
        if same && self.proposals[place].status == Status::Open {
            self.proposals[place].votes.insert(who, before.unwrap());
            return Err("AlreadyVoted");
        }
        Ok(())
    }

    fn decide(&mut self, place: usize) {
        let proposal = &self.proposals[place];
        let members = self.rules.members();
        let said = |choice| -> BTreeSet<usize> {
            let counts = |who: &usize, when: u64| members.contains(who) && when > self.rules.actors[who].1;
            let votes = proposal.votes.iter();
            votes.filter(|(who, (yes, when))| *yes == choice && counts(who, *when)).map(|(who, _)| *who).collect()
        };
        let (yes, no) = (said(true), said(false));
        let possible: BTreeSet<usize> = members.difference(&no).copied().collect();
        let mut deciders = Vec::new();
        for action in &proposal.actions {
            deciders.push(self.rules.policy(Some(action.kind())));
            if let MAction::SetPolicy(kind, _) = action {
                deciders.push(self.rules.policy(*kind));
            }
        }
        let status = if !deciders.iter().all(|policy| policy.satisfied(&members, &possible)) {
            Status::Rejected
        } else if deciders.iter().all(|policy| policy.satisfied(&members, &yes)) {
            match self.rules.after(&proposal.actions, self.now) {
                Some(after) => {
                    self.abandon(place, &after);
                    self.rules = after;
                    Status::Accepted
                }
                None => Status::Failed,
            }
        } else {
            Status::Open
        };
        self.proposals[place].status = status;
    }

    /// Who leaves, even if to come back at once, leaves its proposals behind.
    fn abandon(&mut self, deciding: usize, after: &Rules) {
        for place in (0..self.proposals.len()).filter(|place| *place != deciding) {
            let proposer = self.proposals[place].proposer;
            let stays = after.actors.get(&proposer) == self.rules.actors.get(&proposer);
            if !stays && self.status(place) == Status::Open {
                self.proposals[place].status = Status::Abandoned;
            }
        }
    }

    fn withdraw(&mut self, who: usize, place: usize) -> Result<(), &'static str> {
        if !self.rules.actors.contains_key(&who) {
            return Err("NotAnActor");
        }
        if self.status(place) != Status::Open {
            return Err("ProposalClosed");
        }
        if self.proposals[place].proposer != who {
            return Err("NotTheProposer");
        }
        self.proposals[place].status = Status::Withdrawn;
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Who {
    Actor(usize),
    Anybody(usize),
}

/// One thing that somebody does; places count from the newest proposal.
#[derive(Clone, Debug)]
enum Step {
    Propose(Who, Vec<MAction>, Option<u64>),
    Vote(Who, usize, bool),
    Withdraw(Who, usize),
    Wait(u64),
}

fn policy() -> impl Strategy<Value = MPolicy> {
    let leaf = prop_oneof![
        Just(MPolicy::All),
        Just(MPolicy::Most),
        Just(MPolicy::TwoThirds),
        (1..4usize).prop_map(MPolicy::Count),
        (0..ORGS).prop_map(MPolicy::Needs),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| MPolicy::Both(a.into(), b.into())),
            (inner.clone(), inner).prop_map(|(a, b)| MPolicy::Either(a.into(), b.into())),
        ]
    })
}

fn action() -> impl Strategy<Value = MAction> {
    let kind = prop::option::of(prop::sample::select(KINDS.map(|(kind, _)| kind).to_vec()));
    prop_oneof![
        3 => (0..ORGS).prop_map(MAction::AddMember),
        3 => (0..ORGS).prop_map(MAction::RemoveMember),
        1 => (0..ORGS).prop_map(MAction::AddParticipant),
        1 => (0..ORGS).prop_map(MAction::RemoveParticipant),
        2 => (0..ORGS).prop_map(MAction::AddNode),
        2 => (1..6u64).prop_map(MAction::RemoveNode),
        3 => (kind, prop::option::weighted(0.8, policy())).prop_map(|(kind, policy)| MAction::SetPolicy(kind, policy)),
    ]
}

/// Mostly somebody who acts in the network, as a place in the list of those; now and then anybody.
fn who() -> impl Strategy<Value = Who> {
    prop_oneof![8 => (0..ORGS).prop_map(Who::Actor), 1 => (0..ORGS).prop_map(Who::Anybody)]
}

fn step() -> impl Strategy<Value = Step> {
    let expires = prop::option::weighted(0.2, 1..40u64);
    let actions = prop_oneof![4 => prop::collection::vec(action(), 1), 1 => prop::collection::vec(action(), 2..4)];
    prop_oneof![
        6 => (who(), actions, expires).prop_map(|(who, actions, expires)| Step::Propose(who, actions, expires)),
        12 => (who(), 0..4usize, prop::bool::weighted(0.85)).prop_map(|(who, back, yes)| Step::Vote(who, back, yes)),
        1 => (who(), 0..3usize).prop_map(|(who, back)| Step::Withdraw(who, back)),
        1 => (1..20u64).prop_map(Step::Wait),
    ]
}

struct Life {
    orgs: Vec<Org>,
    world: World,
    model: Model,
    genesis: State,
    accepted: Vec<(Seqno, Time, Caller, Request)>,
    labels: usize,
}

impl Life {
    fn begin() -> Self {
        let orgs: Vec<_> = NAMES.iter().map(|name| Org::new(name)).collect();
        let world = World::of(&constitution(&[&orgs[0], &orgs[1], &orgs[2]]));
        let rules = Rules {
            actors: (0..3).map(|who| (who, (true, 0))).collect(),
            nodes: BTreeMap::from([(1, 0)]),
            slots: 1,
            policies: BTreeMap::new(),
        };
        let model = Model { rules, proposals: Vec::new(), now: 1, time: START.0 };
        let genesis = world.state.clone();
        Self { orgs, world, model, genesis, accepted: Vec::new(), labels: 0 }
    }

    fn who(&self, who: Who) -> usize {
        match who {
            Who::Anybody(who) => who,
            Who::Actor(place) => *self.model.rules.actors.keys().cycle().nth(place).unwrap(),
        }
    }

    fn take(&mut self, step: &Step) {
        self.model.now = self.world.seqno.0 + 1;
        let newest = self.model.proposals.len();
        match step {
            Step::Wait(seconds) => {
                self.model.time += seconds * 1_000_000;
                self.world.time = Time(self.model.time);
            }
            Step::Propose(who, actions, expires) => {
                let who = self.who(*who);
                let expires = expires.map(|seconds| self.model.time + seconds * 1_000_000);
                let real = actions.iter().map(|action| {
                    self.labels += 1;
                    action.real(&self.orgs, &format!("vn-{}", self.labels))
                });
                let real = real.collect();
                let org = self.orgs[who].clone();
                let body = ProposalBody { expires, ..self.world.body(&org, real) };
                let expected = self.model.propose(who, actions, expires);
                self.request(&org, Request::Propose(org.sign(NETWORK, &body)), expected);
            }
            Step::Vote(who, back, yes) if *back < newest => {
                let who = self.who(*who);
                let (place, org) = (newest - 1 - back, self.orgs[who].clone());
                let choice = if *yes { Choice::Accept } else { Choice::Reject };
                let ballot = self.world.ballot(&org, place as u64 + 1, choice);
                let expected = self.model.vote(who, place, *yes);
                self.request(&org, Request::Vote(org.sign(NETWORK, &ballot)), expected);
            }
            Step::Withdraw(who, back) if *back < newest => {
                let who = self.who(*who);
                let (place, org) = (newest - 1 - back, self.orgs[who].clone());
                let digest = self.world.ballot(&org, place as u64 + 1, Choice::Accept).digest;
                let body = WithdrawalBody { proposal: place as u64 + 1, digest };
                let expected = self.model.withdraw(who, place);
                self.request(&org, Request::Withdraw(org.sign(NETWORK, &body)), expected);
            }
            _ => {}
        }
        self.compare();
    }

    fn request(&mut self, org: &Org, request: Request, expected: Result<(), &'static str>) {
        let role = self.world.tables().actor(&org.id()).unwrap().map_or(Role::Participant, |actor| actor.role);
        let result = self.world.request(org, &request);
        assert_eq!(result.as_ref().map(|_| ()).map_err(Refused::code), expected, "{result:?}");
        if result.is_ok() {
            self.accepted.push((self.world.seqno, self.world.time, org.caller(role), request));
        }
    }

    fn compare(&self) {
        let tables = self.world.tables();
        let who = |id| NAMES.get(self.orgs.iter().position(|org| org.id() == id).unwrap()).unwrap();
        let actors: BTreeMap<_, _> =
            tables.actors().unwrap().iter().map(|(id, actor)| (*who(*id), actor.role == Role::Member)).collect();
        let expected: BTreeMap<_, _> =
            self.model.rules.actors.iter().map(|(who, (is_member, _))| (NAMES[*who], *is_member)).collect();
        assert_eq!(actors, expected);
        let nodes: BTreeMap<_, _> =
            tables.nodes().unwrap().iter().map(|(slot, node)| (slot.0, *who(node.owner))).collect();
        let expected: BTreeMap<_, _> =
            self.model.rules.nodes.iter().map(|(slot, owner)| (*slot, NAMES[*owner])).collect();
        assert_eq!(nodes, expected);
        let real = |policy: MPolicy| policy.real(&self.orgs);
        assert_eq!(tables.policy_default().unwrap(), real(self.model.rules.policy(None)));
        for (model, kind) in KINDS {
            let set = self.model.rules.policies.get(&Some(model)).cloned().map(real);
            assert_eq!(tables.policy_of(kind).unwrap(), set);
        }
        for place in 0..self.model.proposals.len() {
            assert_eq!(self.world.status(place as u64 + 1), self.model.status(place), "proposal {}", place + 1);
        }
    }

    /// What an audit does.
    fn execute_again(&self) {
        let mut state = self.genesis.clone();
        for (seqno, time, caller, request) in &self.accepted {
            let env = Env { network: NETWORK, seqno: *seqno, time: *time };
            let outcome = execute(&state, &env, caller, request).unwrap();
            state.apply(&outcome.writes, *seqno);
        }
        assert_eq!(state.digest(), self.world.state.digest());
        self.world.check_missed();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_random_life_is_as_the_simple_model_says_and_executes_again_to_the_same_state(
        steps in prop::collection::vec(step(), 20..120),
    ) {
        let mut life = Life::begin();
        for step in &steps {
            life.take(step);
        }
        life.execute_again();
    }
}

/// Without this a model and a crate that refuse everything would agree.
#[test]
fn random_lives_meet_every_ending() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..30 {
        let steps = prop::collection::vec(step(), 100).new_tree(&mut runner).unwrap().current();
        let mut life = Life::begin();
        steps.iter().for_each(|step| life.take(step));
        for place in 0..life.model.proposals.len() {
            *met.entry(format!("{:?}", life.model.status(place))).or_default() += 1;
        }
    }
    for status in ["Open", "Accepted", "Rejected", "Withdrawn", "Expired", "Failed", "Abandoned"] {
        assert!(met.get(status).is_some_and(|count| *count >= 3), "{met:?}");
    }
}
