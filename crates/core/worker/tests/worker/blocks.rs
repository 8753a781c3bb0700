//! What executing a block leaves: which call becomes which transaction, and what it writes.

use crate::common::{A, B, apply, execute, kits, map, statuses, written};
use proptest::prelude::*;
use synod_kv::Lookup;
use synod_types::{AdapterId, Digest, Seqno};
use synod_worker::{BLOCK_BYTES_FULL, CALL_BYTES_MAX, Executed, Worker};

fn worker() -> Worker {
    Worker::new(&kits())
}

#[test]
fn openings_writes_join_the_first_transaction_and_closings_the_last() {
    let executed = execute(&mut worker(), &[(A, "x=1"), (B, "y=1"), (A, "x=2"), (B, "y=2 z=3"), (B, "refuse")]);
    assert_eq!(
        written(&executed),
        [
            vec!["a.data/x", "a.opened/*"],
            vec!["b.data/y", "b.opened/*"],
            vec!["a.closed/*", "a.data/x"],
            vec!["b.closed/*", "b.data/y", "b.data/z"],
        ]
    );
}

#[test]
fn one_transaction_may_carry_both() {
    let executed = execute(&mut worker(), &[(A, "x=1 w-")]);
    assert_eq!(written(&executed), [["a.closed/*", "-a.data/w", "a.data/x", "a.opened/*"]]);
}

#[test]
fn a_refused_call_leaves_openings_writes_to_the_next_and_takes_no_seqno() {
    let mut worker = worker();
    let executed = execute(&mut worker, &[(A, "x=1 refuse"), (A, "seqno"), (A, "y=1 seqno"), (A, "z=1 seqno")]);
    assert_eq!(written(&executed), [vec!["a.data/y", "a.opened/*"], vec!["a.closed/*", "a.data/z"]]);
    assert_eq!(statuses(&executed), [409, 200, 200, 200]);
    let bodies: Vec<_> = executed.outcomes.iter().map(|outcome| &outcome.reply.body[..]).collect();
    assert_eq!(bodies, [&b"refused"[..], b"1", b"1", b"2"]);
    assert_eq!((executed.count(), worker.tip()), (2, Seqno(2)));
}

#[test]
fn only_a_transaction_has_claims() {
    let executed = execute(&mut worker(), &[(A, "x=1 refuse"), (A, "seqno"), (A, "y=1")]);
    let claims: Vec<_> = executed.outcomes.iter().map(|outcome| outcome.claims).collect();
    assert_eq!(claims, [None, None, Some(Digest([3; 32]))]);
}

#[test]
fn a_block_in_which_no_call_writes_leaves_nothing() {
    let mut worker = worker();
    execute(&mut worker, &[(A, "x=1")]);
    let before = (worker.layers().tip().digest(), worker.layers().uncommitted_count());
    let executed = execute(&mut worker, &[(A, "x=2 refuse"), (B, "seqno"), (B, "")]);
    assert_eq!((executed.count(), worker.tip()), (0, Seqno(1)));
    assert_eq!((worker.layers().tip().digest(), worker.layers().uncommitted_count()), before);
}

#[test]
fn calls_see_what_calls_before_them_wrote_and_versions_are_their_seqnos() {
    let mut worker = worker();
    execute(&mut worker, &[(A, "x=1 y=1"), (A, "x=2"), (A, "w=1 refuse"), (A, "y-")]);
    let state = worker.layers().tip();
    let data = map("a", "data");
    assert_eq!(state.get_value(&data, b"x"), Some(b"2".into()));
    assert_eq!(state.version(&data, b"x"), Some(Seqno(2)));
    assert!(!state.has(&data, b"y") && !state.has(&data, b"w"));
    let first = 1u64.to_be_bytes();
    assert_eq!(state.version(&map("a", "opened"), &first), Some(Seqno(1)));
    assert_eq!(state.version(&map("a", "closed"), &first), Some(Seqno(3)));
}

#[test]
fn adapters_do_not_see_each_others_maps_of_the_same_thing() {
    let mut worker = worker();
    execute(&mut worker, &[(A, "x=a"), (B, "x=b")]);
    let value = |name| worker.layers().tip().get_value(&map(name, "data"), b"x");
    assert_eq!((value("a"), value("b")), (Some(b"a".into()), Some(b"b".into())));
}

#[test]
fn a_call_that_writes_or_answers_too_much_is_refused_and_writes_nothing() {
    for command in [format!("size:{CALL_BYTES_MAX}"), format!("x=1 answer:{CALL_BYTES_MAX}")] {
        let mut worker = worker();
        let executed = execute(&mut worker, &[(A, &command), (A, "y=1")]);
        assert_eq!(statuses(&executed), [413, 200]);
        assert!(executed.outcomes[0].reply.body.starts_with(br#"{"error":{"code":"CallTooLarge""#));
        assert_eq!(written(&executed), [["a.closed/*", "a.data/y", "a.opened/*"]]);
    }
}

#[test]
fn a_full_block_refuses_further_calls_without_making_them() {
    let half = format!("size:{}", BLOCK_BYTES_FULL / 2);
    let executed = execute(&mut worker(), &[(A, &half), (A, &half), (A, "x=1"), (B, "x=1")]);
    assert_eq!(statuses(&executed), [200, 200, 503, 503]);
    assert!(executed.outcomes[3].reply.body.starts_with(br#"{"error":{"code":"BlockFull""#));
    assert_eq!(executed.count(), 2);
    assert!(written(&executed)[1].contains(&"a.closed/*".to_owned()));
}

#[test]
#[should_panic(expected = "adapter a wrote in ab.data, which does not begin with its name and a dot")]
fn an_adapter_that_writes_in_anothers_map_stops_the_node() {
    execute(&mut worker(), &[(A, "foreign")]);
}

fn commands() -> impl Strategy<Value = Vec<(AdapterId, String)>> {
    let command = prop_oneof![
        6 => (0u8..6, 0u8..9).prop_map(|(key, value)| format!("k{key}={value}")),
        3 => (0u8..6).prop_map(|key| format!("k{key}-")),
        1 => Just("refuse".to_owned()),
        1 => Just("seqno".to_owned()),
    ];
    let call = (0u8..2, prop::collection::vec(command, 0..4));
    prop::collection::vec(call.prop_map(|(adapter, commands)| (AdapterId(adapter), commands.join(" "))), 1..8)
}

#[derive(Clone, Debug)]
enum Step {
    Execute(Vec<(AdapterId, String)>),
    Commit,
    Truncate,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![5 => commands().prop_map(Step::Execute), 1 => Just(Step::Commit), 1 => Just(Step::Truncate)]
}

proptest! {
    /// A leader executes, commits and truncates; a follower applies what it executed, and a third
    /// worker only what was kept. All end in the same state, versions included.
    #[test]
    fn followers_hold_what_the_leader_holds(steps in prop::collection::vec(step(), 1..16)) {
        let (mut leader, mut follower) = (worker(), worker());
        let mut kept: Vec<Executed> = Vec::new();
        for step in steps {
            match step {
                Step::Execute(calls) => {
                    let calls: Vec<_> = calls.iter().map(|(adapter, input)| (*adapter, &input[..])).collect();
                    let executed = execute(&mut leader, &calls);
                    apply(&mut follower, &executed);
                    kept.push(executed);
                }
                Step::Commit => {
                    let upto = leader.tip().0;
                    crate::common::commit(&mut leader, upto);
                    crate::common::commit(&mut follower, upto);
                }
                Step::Truncate => {
                    let to = leader.layers().committed_seqno();
                    crate::common::truncate(&mut leader, to.0);
                    crate::common::truncate(&mut follower, to.0);
                    kept.retain(|executed| executed.env.first_seqno <= to);
                }
            }
            prop_assert_eq!(leader.tip(), follower.tip());
            prop_assert_eq!(leader.layers().tip().digest(), follower.layers().tip().digest());
        }
        let mut late = worker();
        kept.iter().for_each(|executed| apply(&mut late, executed));
        prop_assert_eq!(late.layers().tip().digest(), leader.layers().tip().digest());
    }
}
