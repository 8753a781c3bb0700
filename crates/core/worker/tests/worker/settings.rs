//! Settings that change: handed to their adapter once each, as a block of their own, and recorded whatever comes of it.

use bytes::Bytes;
use synod_kv::{Lookup, State};
use synod_types::{AdapterId, Seqno};
use synod_worker::{AdapterSettings, Apply, Configure, DecidedSettings, Executed, SettingsRefused, ToWorker, Worker};

use crate::common::{A, B, apply, commit, env, execute, kits, map, tell, truncate, written};

fn worker() -> Worker {
    let mut worker = Worker::new(&kits());
    let genesis = Worker::genesis(&kits(), &[(A, b"first"), (B, b"")]).expect("no adapter refuses");
    tell(&mut worker, ToWorker::Apply(Apply { first_seqno: Seqno(1), write_sets: [genesis].into() }));
    commit(&mut worker, 1);
    worker
}

/// Hands over settings that were decided at seqno `at`.
fn configure(worker: &mut Worker, adapter: AdapterId, at: u64, settings: &str) -> Executed {
    let settings = Bytes::copy_from_slice(settings.as_bytes());
    let env = env(worker.tip().next().0);
    let decided = DecidedSettings { adapter, at: Seqno(at), settings };
    worker.handle(ToWorker::Configure(Configure { env, decided })).expect("it is answered")
}

fn stands(state: &State, adapter: &str) -> AdapterSettings {
    AdapterSettings::of(state, adapter).expect("this version wrote it").expect("it was there at genesis")
}

fn in_force(settings: &'static str, decided_at: u64) -> AdapterSettings {
    AdapterSettings { in_force: settings.into(), decided_at: Seqno(decided_at), refused: None }
}

#[test]
fn an_adapter_goes_over_to_new_settings_in_a_transaction_of_its_own_and_others_apply_it() {
    let (mut leader, mut follower) = (worker(), worker());
    let executed = configure(&mut leader, A, 7, "second");
    assert_eq!(executed.count(), 1);
    assert_eq!(executed.outcomes[0].reply.status, 200);
    assert_eq!(written(&executed), [["a.settings/*", "a.settings/*", "worker.settings/*"]]);
    apply(&mut follower, &executed);
    for worker in [&mut leader, &mut follower] {
        commit(worker, 2);
        let state = &worker.reader().latest().state;
        let setting = |key: &[u8]| state.get_value(&map("a", "settings"), key);
        assert_eq!((setting(b""), setting(b"before")), (Some(b"second".into()), Some(b"first".into())));
        assert_eq!(worker.reader().settings(), [("a", in_force("second", 7)), ("b", in_force("", 1))]);
    }
    assert_eq!(leader.layers().tip().digest(), follower.layers().tip().digest());
    execute(&mut leader, &[(A, "x=1")]);
}

#[test]
fn a_refusal_is_recorded_and_the_settings_before_stay_in_force() {
    let mut worker = worker();
    for (settings, reason) in [("bad", "bad"), ("size:10485760", "they would write more than a block can hold")] {
        let seqno = worker.tip().next();
        let executed = configure(&mut worker, A, 7, settings);
        assert_eq!((executed.count(), executed.outcomes[0].reply.status), (1, 422));
        assert_eq!(written(&executed), [["worker.settings/*"]]);
        assert_eq!(worker.tip(), seqno);
        let refused = Some(SettingsRefused { decided_at: Seqno(7), reason: reason.into() });
        assert_eq!(AdapterSettings::refused(worker.layers().tip(), "a"), refused);
        assert_eq!(stands(worker.layers().tip(), "a"), AdapterSettings { refused, ..in_force("first", 1) });
    }
    configure(&mut worker, A, 9, "second");
    let state = worker.layers().tip();
    assert_eq!(stands(state, "a"), in_force("second", 9));
    assert!(AdapterSettings::refused(state, "a").is_none() && AdapterSettings::refused(state, "c").is_none());
    assert_eq!(state.get_value(&map("a", "settings"), b"before"), Some(b"first".into()));
}

#[test]
fn to_decide_what_is_in_force_asks_nothing_of_the_adapter() {
    let mut worker = worker();
    configure(&mut worker, A, 7, "bad");
    let executed = configure(&mut worker, A, 8, "first");
    assert_eq!(written(&executed), [["worker.settings/*"]]);
    assert_eq!(stands(worker.layers().tip(), "a"), in_force("first", 8));
}

#[test]
fn what_is_truncated_was_not_handed_over() {
    let mut worker = worker();
    let before = worker.layers().tip().digest();
    let executed = configure(&mut worker, A, 7, "second");
    let after = worker.layers().tip().digest();
    truncate(&mut worker, 1);
    assert_eq!(worker.layers().tip().digest(), before);
    let again = configure(&mut worker, A, 7, "second");
    assert_eq!(written(&again), written(&executed));
    assert_eq!(worker.layers().tip().digest(), after);
}

#[test]
fn whether_settings_would_do_is_asked_without_anything_coming_of_it() {
    let mut worker = worker();
    configure(&mut worker, A, 7, "second");
    commit(&mut worker, 2);
    let (reader, before) = (worker.reader(), worker.layers().tip().digest());
    let asked = |settings: &[u8]| reader.try_settings("a", settings).map_err(|error| error.to_string());
    assert_eq!(asked(b"third"), Ok(()));
    assert_eq!(asked(b"second"), Ok(()));
    assert_eq!(asked(b"bad"), Err("settings of adapter a refused: bad".into()));
    let error = "settings of adapter a refused: they would write more than a block can hold";
    assert_eq!(asked(b"size:10485760"), Err(error.into()));
    assert_eq!(reader.try_settings("c", b"x"), Ok(()));
    assert_eq!(worker.layers().tip().digest(), before);
}

#[test]
#[should_panic(expected = "settings are those of this network's adapters")]
fn settings_of_an_unknown_adapter_are_a_broken_contract() {
    configure(&mut worker(), AdapterId(2), 7, "x");
}

#[test]
#[should_panic(expected = "no adapter bears the worker's name")]
fn an_adapter_does_not_bear_the_workers_name() {
    let mut kits = kits();
    kits[0].name = "worker";
    Worker::new(&kits);
}
