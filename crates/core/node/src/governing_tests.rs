use synod_crypto::x509::{Validity, actor_certificate};
use synod_crypto::{ActorKey, AdminKey, ApplicationKey, Certificate, NodeKey, ServiceKey, SessionKeys};
use synod_governance::bounded::{Blob, List, Name, Note};
use synod_governance::entries::CertificateDer;
use synod_governance::statement::prepare;
use synod_governance::{
    Action as Asked, ActionReason, AddActor, BallotBody, Choice, Pins, ProposalBody, Reason, RotateServiceIdentity,
};
use synod_types::{ActorId, Epoch, NodeId, RequestId, Seqno, View};

use super::*;
use crate::audit::AuditRefused;
use crate::event::Proof;
use crate::genesis::Genesis;
use crate::sealing::{CheckRefused, Seals};

const NOW: Time = Time(1_800_000_000_000_000);

/// A network of one node and one member, its view open, and a proposal of the member.
struct World {
    seals: Seals,
    parent: Position,
    member: ActorId,
    founder: (ActorKey, Certificate),
    proposal: Bytes,
}

impl World {
    fn new() -> Self {
        let certificate = actor_certificate(&ActorKey::from_seed(&[4; 32]), "Shipping Line", VALIDITY);
        Self::with(Asked::AddParticipant(AddActor {
            name: Name::new("Shipping Line").unwrap(),
            certificate: CertificateDer::of(&certificate),
            pins: Pins::default(),
        }))
    }

    fn with(action: Asked) -> Self {
        Self::of_network(5, action)
    }

    /// All keys are the same in every network.
    fn of_network(salt: u8, action: Asked) -> Self {
        let (service_key, node_key) = (ServiceKey::from_seed(&[1; 32]), NodeKey::from_seed(&[2; 32]));
        let (application, admin) = (ApplicationKey::new([8; 32]), AdminKey::new([9; 32]));
        let session_keys = SessionKeys { epoch: Epoch(1), application, admin };
        let key = ActorKey::from_seed(&[3; 32]);
        let founder = actor_certificate(&key, "Port of Antwerp", VALIDITY);
        let member = founder.actor_id();
        let mut genesis = Genesis::new("network", Time(1)).unwrap();
        genesis.add_actor(Role::Member, "Port of Antwerp", &founder).unwrap();
        genesis.add_node(NodeId(1), "node 1", member, node_key.verifying_key(), "127.0.0.1:7001").unwrap();
        let record = genesis.seal(&[], &service_key, &session_keys, [salt; 32]).unwrap();
        let (seals, _, mut first) = Seals::new(NodeId(1), &record, (node_key, service_key, session_keys)).unwrap();
        first.tables.apply(&genesis.constitution.genesis_writes(Time(1)).unwrap(), Seqno(1));

        let body = ProposalBody {
            proposer: member,
            nonce: Blob::new(vec![6; 16]).unwrap(),
            actions: List::new(vec![action]).unwrap(),
            expires: None,
            note: Note::default(),
        };
        let unsigned = prepare(&body, first.tip.network, NOW, vec![founder.der().to_vec()]).unwrap();
        let signature = key.sign(&unsigned.to_be_signed());
        let proposal = Request::Propose(Blob::new(unsigned.assemble(&signature.0)).unwrap()).to_bytes().into();

        let elected = first.tip.after_engine_entry(first.tip.index.next(), View(2)).unwrap();
        let elected = Position::after(&first, elected, record, None);
        let parent = seals.seal_view_start(&elected, moment(), [7; 32]);
        Self { seals, parent, member, founder: (key, founder), proposal }
    }

    /// After the proposal, with the ballot that decides it as what is asked for next.
    fn at_decision(self) -> Self {
        let parent = self.check(|_, _, _| ()).unwrap();
        let digest = Tables::new(&parent.tables).proposal(1).unwrap().unwrap().digest;
        let ballot = BallotBody { proposal: 1, digest, choice: Choice::Accept, counter: 1 };
        let (key, founder) = &self.founder;
        let unsigned = prepare(&ballot, parent.tip.network, NOW, vec![founder.der().to_vec()]).unwrap();
        let signature = key.sign(&unsigned.to_be_signed());
        let proposal = Request::Vote(Blob::new(unsigned.assemble(&signature.0)).unwrap()).to_bytes().into();
        Self { parent, proposal, ..self }
    }

    /// Checks the block that a leader seals who has `change` what it writes down.
    fn check(&self, change: impl FnOnce(&mut AdminRecord, &mut RequestRecord, &mut SignerChange)) -> Checked {
        let tip = &self.parent.tip;
        let env = Env { network: tip.network, seqno: tip.seqno.next(), time: NOW };
        let request = ClientRequest {
            token: 1,
            actor: self.member,
            proof: Proof::default(),
            request_id: RequestId([8; 16]),
            adapter: AdapterId::GOVERNANCE,
            calls: vec![self.proposal.clone()],
        };
        let facts = ActorFacts { id: self.member, kind: ActorKind::Member };
        let outcome = carry_out(&self.parent.tables, &env, facts, &request).unwrap();
        let mut request = record(&request, facts, &answer(&outcome));
        let mut admin = AdminRecord { write_set: outcome.writes.to_bytes().into(), detail: Bytes::new() };
        let mut signers = SignerChange { nodes: None, service: None };
        change(&mut admin, &mut request, &mut signers);
        admin.detail = request.to_bytes().into();
        let nothing = Governance { tables: State::default(), events: Vec::new(), service: None };
        let block = self.seals.seal_governance(&self.parent, moment(), &admin, signers, nothing).unwrap();
        self.seals.check(&block.record, &self.parent)
    }
}

const VALIDITY: Validity = Validity { from: Time(0), until: Time(2 * NOW.0) };

type Checked = Result<Position, CheckRefused>;

const fn moment() -> synod_ledger::Moment {
    synod_ledger::Moment { view: View(2), time: NOW, committed: Seqno(1) }
}

#[test]
fn a_governance_block_that_says_what_came_of_its_request_leaves_the_tables_and_events_of_it() {
    let world = World::new();
    let position = world.check(|_, _, _| ()).unwrap();
    assert!(matches!(position.events.as_deref(), Some([Event::Proposed { id: 1, .. }])));
    assert_eq!(Tables::new(&position.tables).proposals_last(), Ok(1));
    assert_eq!(Tables::new(&world.parent.tables).proposals_last(), Ok(0));
}

#[test]
fn a_governance_block_that_says_that_anything_else_came_of_its_request_is_refused() {
    type Change = fn(&mut AdminRecord, &mut RequestRecord, &mut SignerChange);
    let changes: [(&str, Change); 8] = [
        ("it writes nothing", |admin, _, _| admin.write_set = nothing()),
        ("what it writes is no write set", |admin, _, _| admin.write_set = Bytes::from_static(b"\xff")),
        ("it is another's request", |_, request, _| request.actor.id = ActorId([9; 32])),
        ("the actor is of another kind", |_, request, _| request.actor.kind = ActorKind::Participant as u8),
        ("it is no request to governance", |_, request, _| request.adapter = AdapterId(0)),
        ("the request holds nothing", |_, request, _| request.calls[0].input = Bytes::new()),
        ("it changes who signs", |_, _, signers| {
            signers.nodes = Some([(NodeId(2), NodeKey::from_seed(&[9; 32]).verifying_key().clone())].into());
        }),
        ("it announces another key of the service", |_, _, signers| {
            signers.service = Some(ServiceKey::from_seed(&[9; 32]).verifying_key().clone());
        }),
    ];
    let world = World::new();
    for (what, change) in changes {
        let refused = world.check(change).unwrap_err();
        assert!(matches!(refused, CheckRefused::Governance(_)), "{what}: {refused}");
    }
}

#[test]
fn a_decided_rotation_gives_the_service_the_key_that_follows_there_and_no_other() {
    let rotation = |salt| World::of_network(salt, Asked::RotateServiceIdentity(RotateServiceIdentity {})).at_decision();
    let (world, elsewhere) = (rotation(5), rotation(6));
    let next = world.seals.next_service(&world.parent);
    let position = world.check(|_, _, signers| signers.service = Some(next.verifying_key().clone())).unwrap();
    assert_eq!(position.service.verifying_key(), next.verifying_key());
    assert_eq!(position.tip.signers.keys().service, *next.verifying_key());

    let silent = world.check(|_, _, _| ()).unwrap_err();
    assert_eq!(silent, CheckRefused::Governance(AuditRefused::ServiceDiffers));
    // A key that the leader chose, and the key that follows at the same place of another network with the same keys.
    let chosen = ServiceKey::from_seed(&[9; 32]).verifying_key().clone();
    let foreign = elsewhere.seals.next_service(&elsewhere.parent).verifying_key().clone();
    for other in [chosen, foreign] {
        let refused = world.check(|_, _, signers| signers.service = Some(other)).unwrap_err();
        assert_eq!(refused, CheckRefused::ServiceDiffers);
    }
}

#[test]
fn a_refused_proposal_is_answered_with_each_reason_its_action_and_its_hint() {
    let reason = |action, node| ActionReason { action, reason: Reason::NoSuchNode { node: NodeId(node) } };
    let reply = refusal(&Refused::Actions { reasons: vec![reason(Some(1), 7), reason(None, 8)] });
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let listed = |action: Option<u8>, node: u8| {
        let (message, hint) = (format!("there is no node {node}"), "list the nodes with `synod constitution show`");
        serde_json::json!({ "action": action, "code": "NoSuchNode", "message": message, "hint": hint })
    };
    let expected = serde_json::json!({ "error": {
        "code": "Actions",
        "message": "the proposal is refused: action 2: there is no node 7; there is no node 8",
        "hint": "each reason has a hint of its own",
        "reasons": [listed(Some(1), 7), listed(None, 8)],
    } });
    assert_eq!((reply.status, body), (422, expected));

    let reply = refusal(&Refused::NoActions);
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        (reply.status, body["error"]["code"].as_str(), body["error"].get("reasons")),
        (422, Some("NoActions"), None)
    );
}

#[test]
fn too_many_open_proposals_are_no_reason_to_send_the_same_again() {
    for refused in [Refused::TooManyOpen, Refused::TooManyOpenOfActor] {
        assert_eq!(refusal(&refused).status, 409, "clients retry what is refused with 429");
    }
}
