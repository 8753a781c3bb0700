//! The bytes of everything that the tables and requests hold.
//!
//! Each value is written with the bounded codec of [`synod_types::codec`], its fields in the order in which its type
//! declares them; an enum is a byte that names the variant, then the variant's fields. Tags are never reused, fields
//! never reordered: a change of any of these bytes is a new version of what holds them. The tables are part of the
//! ledger's write sets, statements begin with a version byte of their own, and [`VERSION`] says which these are.
//!
//! Numbers of kinds of actions, which are keys of three tables, stand in the registry of the `actions` folder.

/// The version of all formats of this crate.
pub const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use synod_types::{ActorId, Decode, Digest, Encode, NodeId};

    use crate::bounded::{Blob, List, Name, Note, Set, TextBlob};
    use crate::entries::*;
    use crate::tables::{OpenEntry, PendingNodes, Proposed};
    use crate::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn hex(bytes: &[u8]) -> String {
        Blob::<4096>::new(bytes.to_vec()).unwrap().to_hex()
    }

    /// `value` has these bytes, reads back from them, and from no beginning of them.
    fn check<T: Encode + Decode + PartialEq + std::fmt::Debug>(value: T, expected: &str) {
        let bytes = value.to_bytes();
        let short =
            if bytes.len() > 40 { synod_crypto::sha256(&[&bytes]).to_hex()[..32].to_owned() } else { hex(&bytes) };
        assert_eq!(short, expected, "{value:?}: {}", hex(&bytes));
        for end in 0..bytes.len() {
            assert!(T::from_bytes(&bytes[..end]).is_err(), "{value:?} cut to {end} bytes");
        }
        assert!(T::from_bytes(&[&bytes[..], &[0]].concat()).is_err(), "{value:?} and a byte");
        assert_eq!(T::from_bytes(&bytes), Ok(value));
    }

    fn certificate() -> CertificateDer {
        CertificateDer::from_bytes(&[3, 0, 0, 0, b'd', b'e', b'r']).unwrap()
    }

    fn actor(byte: u8) -> ActorId {
        ActorId([byte; 32])
    }

    fn members(bytes: &[u8]) -> Members {
        Members(Set::new(bytes.iter().map(|byte| actor(*byte))).unwrap())
    }

    fn node() -> NodeEntry {
        NodeEntry {
            name: name("vn1"),
            owner: actor(1),
            public_key: Blob::new(&b"key"[..]).unwrap(),
            address: Address::new("vn1.example.org:7001").unwrap(),
            code: Some(Blob::new(vec![9; 3]).unwrap()),
            platform: Some(Platform::SevSnp),
        }
    }

    fn rule() -> StandingRule {
        let of = vec![Condition::Is(Predicate::OwnerIsActor), Condition::Is(Predicate::ActorNodesFewerThan(3))];
        StandingRule {
            kinds: Set::new([ActionKind::AddNode, ActionKind::ApproveCode]).unwrap(),
            condition: Condition::AllOf(List::new(of).unwrap()),
        }
    }

    #[test]
    fn each_entry_of_the_tables_is_written_as_its_vector_and_read_back() {
        let pins = Pins { san: Set::new([name("dns:a")]).unwrap(), ..Pins::default() };
        check(
            ActorEntry { role: Role::Participant, name: name("A"), certificate: certificate(), pins, since: 7 },
            "c36132e06fa034c4d1d9b57acaf449b9",
        );
        check(CrlEntry { number: 5, der: Blob::new(&b"crl"[..]).unwrap() }, "05000000000000000300000063726c");
        check(
            AuditorEntry { name: name("E"), certificate: certificate(), part: Part::Both },
            "01000000450300000064657202",
        );
        check(node(), "fb7a0ee717345c461cb5aa182ec43989");
        check(AdapterEntry { name: name("log"), settings: TextBlob::new("{}").unwrap() }, "030000006c6f67020000007b7d");
        let code = CodeEntry {
            verdict: CodeVerdict::Denied,
            framework: name("1"),
            adapter: name("log"),
            adapter_version: name("2"),
            source_commit: Blob::new(vec![7; 2]).unwrap(),
        };
        check(code, "010100000031030000006c6f670100000032020000000707");
        check(ReleaseRule { key: Digest([4; 32]), product: name("p"), svn_min: 3 }, "57dbeb6f5b394047767637b82e636f07");
        let tcb_min = List::new(vec![TcbComponent { component: name("snp"), version_min: 23 }]).unwrap();
        check(
            TeeRule { allowed: true, tcb_min, advisories_denied: List::new(vec![name("x")]).unwrap() },
            "010100000003000000736e7017000000010000000100000078",
        );
        check(Rules::default(), "e8030000d00700000000000008000000");
        check(Epochs::default(), "8051010000000000803a090000000000");
        check(Quorums::Majority, "00");
        check(Quorums::Sizes { commit: 2, election: 3 }, "010200000003000000");
        check(Durability::Replicated, "01");
        check(NetworkEntry { name: name("n"), admin: AdminPart::Public }, "010000006e01");
        check(ServiceEntry { rotations: 2 }, "0200000000000000");
        check(Proposers::Actors, "01");
        check(Status::Abandoned, "06");
        let policies = vec![Policy::Unanimous, Policy::Fraction { num: 2, den: 3 }, Policy::Required(members(&[1, 2]))];
        check(Policy::AtLeast { k: 2, of: List::new(policies).unwrap() }, "dd9146b93e278f4f2501854810df7943");
        check(Policy::AllOf(List::new(vec![Policy::Majority, Policy::MOfN(2)]).unwrap()), "0602000000010202000000");
        check(Policy::AnyOf(List::new(vec![Policy::OneOfN]).unwrap()), "070100000003");
        let require = vec![
            Predicate::ProposerIs(members(&[1])),
            Predicate::NameEndsWith(name("z")),
            Predicate::HostWithin(name("h")),
        ];
        check(AutoVote { require: List::new(require).unwrap() }, "fdf7f5d9ea2357cd9875ec078fea819d");
        check(
            RuleRecord { rule: rule(), seqno: 4, statement: Blob::new(vec![7; 32]).unwrap() },
            "551ba18beaca69de6afd655e2ebd48da",
        );
        let pending = PendingNodes { owner: actor(2), count: 3 };
        let nodes_pending = List::new(vec![pending]).unwrap();
        let open = OpenEntry { proposer: actor(1), role: Role::Participant, expires: Some(5), nodes_pending };
        check(open, "839d5ee5290ccc0cb2806c83b133f5d0");
        check(Proposed { day: 5, count: 6 }, "050000000000000006000000");
    }

    #[test]
    fn proposals_ballots_and_decisions_are_written_as_their_vectors_and_read_back() {
        let proposal = Proposal {
            proposer: actor(1),
            proposer_name: name("A"),
            digest: Digest([2; 32]),
            actions: List::new(vec![Action::RemoveNode(RemoveNode { node: NodeId(3) })]).unwrap(),
            outline: None,
            note: Note::new("why").unwrap(),
            nonce: Blob::new(vec![8; 16]).unwrap(),
            expires_signed: None,
            seqno: 9,
            time: 10,
            expires: Some(11),
            statement: Blob::new(vec![7; 32]).unwrap(),
        };
        check(proposal.closed(), "0db23f2d61f707a3c9eb5b8f9e9dadfb");
        check(proposal, "04e904f28f8090d3fcdfe55517893f5b");
        let policies =
            vec![entries::PolicyCount { of: name("default"), policy: Policy::Majority, verdict: Verdict::Open }];
        let decision = Decision {
            status: Status::Failed,
            seqno: 9,
            time: 10,
            count: Count { members: 3, accepting: 2, rejecting: 1 },
            policies: List::new(policies).unwrap(),
            reasons: List::new(vec![Note::new("because").unwrap()]).unwrap(),
        };
        check(decision, "3b37ee9f3230974d2a362d4ea5c4e15c");
        let signed = Source::Signed(Blob::new(vec![7; 32]).unwrap());
        check(
            BallotRecord { choice: Choice::Reject, counter: 2, seqno: 9, source: signed },
            "9945194141e7cd1f67f821fd5d185305",
        );
        let standing = Source::Standing(Blob::new(vec![3; 32]).unwrap());
        check(
            BallotRecord { choice: Choice::Accept, counter: 0, seqno: 9, source: standing },
            "92e790ce0d9f6748d7e97ee1625024b4",
        );
    }

    #[test]
    fn requests_and_what_is_signed_are_written_as_their_vectors_and_read_back() {
        let statement = || Blob::new(&b"signed"[..]).unwrap();
        let rows = [
            (Request::Propose(statement()), "00060000007369676e6564"),
            (Request::Withdraw(statement()), "01060000007369676e6564"),
            (Request::Vote(statement()), "02060000007369676e6564"),
            (Request::SetStandingRule(statement()), "03060000007369676e6564"),
            (Request::RemoveStandingRule(statement()), "04060000007369676e6564"),
            (Request::Revoke(Blob::new(&b"crl"[..]).unwrap()), "050300000063726c"),
            (Request::CloseExpired, "06"),
        ];
        for (request, expected) in rows {
            check(request, expected);
        }
        let body = ProposalBody {
            proposer: actor(1),
            nonce: Blob::new(vec![2; 16]).unwrap(),
            actions: List::new(vec![Action::AddNode(node())]).unwrap(),
            expires: None,
            note: Note::default(),
        };
        let digest = statement::proposal_digest(&Digest([5; 32]), &body);
        assert_eq!(digest.to_hex(), "67cf11f1182c392ccd58ba8688bbc15a37a576234a92955b479312a0fbbd6a2b");
        check(body, "dbcda5a0f827d04a4f19b42d8db53ded");
        check(
            WithdrawalBody { proposal: 3, digest: Digest([2; 32]) },
            "03000000000000000202020202020202020202020202020202020202020202020202020202020202",
        );
        check(
            BallotBody { proposal: 3, digest: Digest([2; 32]), choice: Choice::Accept, counter: 1 },
            "5caa2652d5138ed804943f3277baefc9",
        );
        assert_eq!(
            statement::rule_digest(&rule()).to_hex(),
            "e9fc77983e05cbbf601089f5adec75005ca649882ca70cf4a7309d97388f9ae3"
        );
        check(RuleBody { rule: rule(), counter: 1 }, "02000000070a010200000000030004030000000100000000000000");
        check(
            RuleRemovalBody { rule: Digest([2; 32]), counter: 2 },
            "02020202020202020202020202020202020202020202020202020202020202020200000000000000",
        );
    }

    #[test]
    fn actions_are_written_as_their_vectors_and_read_back() {
        let add = || AddActor { name: name("A"), certificate: certificate(), pins: Pins::default() };
        let remove = RemoveActor { id: actor(1) };
        let replace = ReplaceActor { id: actor(1), name: Some(name("B")), certificate: None, pins: None };
        let owner = Some(Owner(actor(2)));
        let replace_node = ReplaceNode {
            node: NodeId(1),
            owner,
            name: None,
            public_key: None,
            address: None,
            code: None,
            platform: None,
        };
        let measurement = || Blob::new(vec![1; 32]).unwrap();
        let approve = ApproveCode {
            measurement: measurement(),
            framework: name("1"),
            adapter: name("log"),
            adapter_version: name("2"),
            source_commit: Blob::default(),
        };
        let key = Digest([4; 32]);
        let release = SetReleaseRule { key, product: name("p"), value: Some(ReleaseValue { svn_min: 3 }) };
        let auditor = AuditorEntry { name: name("E"), certificate: certificate(), part: Part::Application };
        let actions = vec![
            Action::AddMember(add()),
            Action::RemoveMember(remove.clone()),
            Action::ReplaceMember(replace.clone()),
            Action::AddParticipant(add()),
            Action::RemoveParticipant(remove),
            Action::ReplaceParticipant(replace),
            Action::AddNode(node()),
            Action::RemoveNode(RemoveNode { node: NodeId(3) }),
            Action::ReplaceNode(replace_node),
            Action::ApproveCode(approve),
            Action::DenyCode(DenyCode { measurement: measurement(), name: None }),
            Action::ForgetCode(ForgetCode { measurement: measurement() }),
            Action::SetReleaseRule(release),
            Action::SetTeeRule(SetTeeRule { platform: Platform::Sgx, value: None }),
            Action::SetPolicy(SetPolicy { kind: Some(ActionKind::AddNode), value: Some(Policy::OneOfN) }),
            Action::SetProposers(SetProposers { kind: ActionKind::AddNode, value: Some(Proposers::Members) }),
            Action::SetAutoVote(SetAutoVote { kind: ActionKind::AddNode, value: Some(AutoVote::default()) }),
            Action::SetBlocks(SetBlocks { value: Some(Rules::default()) }),
            Action::SetEpochs(SetEpochs { value: None }),
            Action::SetQuorums(SetQuorums { value: Some(Quorums::Majority) }),
            Action::SetDurability(SetDurability { value: Some(Durability::Synced) }),
            Action::SetLease(SetLease { seconds: Some(60) }),
            Action::SetProposalExpiry(SetProposalExpiry { seconds: None }),
            Action::SetAdapter(AdapterEntry { name: name("log"), settings: TextBlob::default() }),
            Action::GrantAuditor(auditor),
            Action::RevokeAuditor(RevokeAuditor { key }),
            Action::RotateServiceIdentity(RotateServiceIdentity {}),
        ];
        assert_eq!(actions.len(), ActionKind::ALL.len(), "one of each kind");
        let mut all = Vec::new();
        for (place, action) in (1u8..).zip(&actions) {
            let bytes = action.to_bytes();
            assert_eq!((bytes[0], ActionKind::from_tag(place)), (place, Some(action.kind())));
            assert!((0..bytes.len()).all(|end| Action::from_bytes(&bytes[..end]).is_err()), "{action:?}");
            assert_eq!(Action::from_bytes(&bytes).as_ref(), Ok(action));
            all.extend(bytes);
        }
        assert_eq!(
            synod_crypto::sha256(&[&all]).to_hex(),
            "e4ce858e77db21c3be7e9e9b0e2eab5d2d7b281a5c1300b20716ebdaaf9c7f35",
            "{}",
            hex(&all)
        );
        assert!(Action::from_bytes(&[0]).is_err() && Action::from_bytes(&[28]).is_err());
    }

    #[test]
    fn numbers_of_variants_that_are_keys_are_their_tags() {
        for platform in Platform::ALL {
            assert_eq!(platform.to_bytes(), [*platform as u8]);
        }
        for kind in ActionKind::ALL {
            assert_eq!(kind.to_bytes(), [kind.tag()]);
        }
    }
}
