//! No bytes make governance panic, and none that were changed are taken for what was signed.

use proptest::prelude::*;
use synod_governance::bounded::Blob;
use synod_governance::document::Document;
use synod_governance::*;
use synod_types::{Decode, Encode};

use crate::world::{NETWORK, Org, World};

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_request_with_one_encoding_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(request) = Request::from_bytes(&bytes) {
            prop_assert_eq!(request.to_bytes(), bytes.clone());
        }
        if let Ok(action) = Action::from_bytes(&bytes) {
            prop_assert_eq!(action.to_bytes(), bytes.clone());
        }
        let a = Org::new("Alpha");
        let mut world = World::genesis(&[&a]);
        let statement = Blob::new(bytes.clone()).unwrap();
        for request in [Request::Propose(statement.clone()), Request::Vote(statement), Request::Revoke(Blob::new(bytes).unwrap())] {
            let may_propose = synod_governance::statement::may_propose(&request.to_bytes());
            prop_assert_eq!(may_propose, matches!(request, Request::Propose(_)));
            prop_assert!(world.request(&a, &request).is_err());
        }
    }

    #[test]
    fn a_changed_byte_of_a_signed_proposal_is_refused(at in 0..10_000usize, change in 1..=255u8) {
        let a = Org::new("Alpha");
        let mut world = World::genesis(&[&a]);
        let body = world.body(&a, vec![Action::AddMember(Org::new("Beta").add())]);
        let mut bytes = a.sign(NETWORK, &body).to_vec();
        let at = at % bytes.len();
        bytes[at] ^= change;
        prop_assert!(world.request(&a, &Request::Propose(Blob::new(bytes).unwrap())).is_err());
    }

    #[test]
    fn any_text_is_a_document_or_a_problem_with_its_place(text in "[\\[\\]a-z=\"'{}\n0-9. #é]{0,120}") {
        if let Err(problems) = Document::parse(&text) {
            prop_assert!(!problems.is_empty() && problems.iter().all(|problem| problem.line >= 1 && problem.column >= 1));
        }
    }
}
