use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose, date_time_ymd};
use synod_governance::bounded::{Name, Set};
use synod_governance::{Pins, Role};
use synod_types::{Seqno, TxId, View};

use super::*;
use crate::house::{Holder, House, ca, leaf, leaf_but, make, until};
use crate::testing::{Tables, World, settle};

/// Leaves of this unit only.
fn pins(unit: &str) -> Pins {
    Pins { organizational_unit: Set::new([Name::new(unit).unwrap()]).unwrap(), ..Pins::default() }
}

fn tables(house: &House) -> Tables {
    Tables::default().with(Role::Member, &house.actor.certificate, pins("gov"))
}

fn prove(world: &World, chain: Vec<Vec<u8>>) -> Result<ActorId, (u16, &'static str)> {
    let proved = Identity::prove(&world.service, chain);
    proved.map(|identity| identity.speaker().actor()).map_err(|failure| (failure.status, failure.code))
}

#[test]
fn a_leaf_under_an_actors_certificate_and_the_certificate_itself_speak_for_it_and_others_hear_why_not() {
    let (world, house) = (World::new(), House::new("house"));
    let single = make("single", None, |_| ());
    world.govern(&tables(&house).with(Role::Participant, &single.certificate, Pins::default()));
    let clerk = leaf("clerk", &house.treasury, "gov");
    let id = |holder: &Holder| Ok(holder.certificate.actor_id());
    assert_eq!(prove(&world, house.chain(&clerk, &house.treasury)), id(&house.actor));
    assert_eq!(prove(&world, vec![single.der()]), id(&single));

    let under = |change: fn(&mut rcgen::CertificateParams)| {
        house.chain(&leaf_but("odd", &house.treasury, "gov", change), &house.treasury)
    };
    let elsewhere = ca("elsewhere", None);
    let refused = [
        ("NotAuthorized", vec![make("stranger", None, |_| ()).der()]),
        ("NotAuthorized", Vec::new()),
        ("NotAuthorized", vec![clerk.der(), house.treasury.der()]),
        ("CertificateExpired", under(|params| params.not_after = date_time_ymd(2024, 1, 1))),
        ("CertificateNotValidYet", under(|params| params.not_before = date_time_ymd(2089, 1, 1))),
        ("NotAuthorized", vec![leaf("clerk", &elsewhere, "gov").der(), elsewhere.der(), house.actor.der()]),
        ("CertificatePinned", house.chain(&leaf("cook", &house.kitchen, "cooks"), &house.kitchen)),
        ("CertificateUsage", under(|params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment])),
        ("CertificateUsage", under(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])),
        ("CertificateRefused", vec![clerk.der(); 9]),
        ("CertificateRefused", vec![b"no certificate".to_vec()]),
    ];
    for (code, chain) in refused {
        assert_eq!(prove(&world, chain), Err((403, code)));
    }
    world.govern(&tables(&house).with_crl(&house.actor.certificate, 1, house.actor.crl(1, &[&house.treasury])));
    assert_eq!(prove(&world, house.chain(&clerk, &house.treasury)), Err((403, "CertificateRevoked")));
}

#[test]
fn who_presents_anothers_certificate_hears_the_same_whether_that_is_an_actors_or_not() {
    let (house, stranger) = (House::new("house"), ca("stranger", None));
    let own = |change: fn(&mut rcgen::CertificateParams)| leaf_but("own", &stranger, "gov", change);
    let clerk = leaf("clerk", &house.treasury, "gov");
    let chains = [
        vec![own(|_| ()).der(), house.actor.der()],
        vec![own(|_| ()).der(), stranger.der(), house.actor.der()],
        vec![own(|params| params.not_after = date_time_ymd(2024, 1, 1)).der(), house.actor.der()],
        vec![own(|params| params.not_before = date_time_ymd(2089, 1, 1)).der(), house.actor.der()],
        vec![own(|params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]).der(), house.actor.der()],
        vec![own(|_| ()).der(), clerk.der(), house.treasury.der(), house.actor.der()],
        vec![own(|_| ()).der(), house.actor.der(), b"no certificate".to_vec()],
        vec![house.treasury.der(), house.kitchen.der()],
    ];
    let told = |tables: &Tables| {
        let world = World::new();
        world.govern(tables);
        let hears = |chain: &Vec<Vec<u8>>| {
            let failure = Identity::prove(&world.service, chain.clone()).err().unwrap();
            (failure.status, failure.code, failure.message, failure.hint)
        };
        chains.iter().map(hears).collect::<Vec<_>>()
    };
    let other = make("other", None, |_| ());
    let without = Tables::default().with(Role::Member, &other.certificate, Pins::default());
    let with = [tables(&house), tables(&house).with_crl(&house.actor.certificate, 1, house.actor.crl(1, &[&clerk]))];
    for with in with {
        assert_eq!(told(&with), told(&without));
    }
}

/// Whether a session of a clerk of the treasury goes on when the tables change so.
async fn goes_on(change: impl FnOnce(&House, Tables) -> Tables) -> bool {
    let (world, house) = (World::new(), House::new("house"));
    world.govern(&tables(&house));
    let clerk = leaf("clerk", &house.treasury, "gov");
    let identity = Identity::prove(&world.service, house.chain(&clerk, &house.treasury)).unwrap();
    let service = Arc::clone(&world.service);
    let ended = tokio::spawn(async move { identity.ended(&service).await });
    settle().await;
    assert!(!ended.is_finished());
    world.govern(&change(&house, tables(&house)));
    settle().await;
    let goes_on = !ended.is_finished();
    ended.abort();
    goes_on
}

#[tokio::test]
async fn a_session_ends_when_a_change_leaves_its_chain_speaking_for_its_actor_no_longer() {
    assert!(!goes_on(|house, tables| tables.without(&house.actor.certificate)).await);
    assert!(!goes_on(|house, tables| tables.with(Role::Member, &house.actor.certificate, pins("board"))).await);
    let revoked = |house: &House, tables: Tables| {
        let crl = house.actor.crl(1, &[&house.treasury]);
        tables.with_crl(&house.actor.certificate, 1, crl)
    };
    assert!(!goes_on(revoked).await);
    // The same key under a name and issuer of its own: its leaves are others.
    let replaced = |house: &House, tables: Tables| {
        let other = ca("house", None);
        assert_eq!(other.certificate.actor_id(), house.actor.certificate.actor_id());
        tables.with(
            Role::Member,
            &make("house", None, |params| params.not_after = date_time_ymd(2089, 1, 1)).certificate,
            pins("gov"),
        )
    };
    assert!(!goes_on(replaced).await);
    let department =
        |house: &House, tables: Tables| tables.with(Role::Participant, &house.treasury.certificate, Pins::default());
    assert!(!goes_on(department).await, "the nearer actor speaks");
}

#[tokio::test]
async fn a_session_goes_on_when_a_change_is_none_of_its_actors_or_leaves_its_chain_as_good() {
    let stranger = |_: &House, tables: Tables| {
        tables.with(Role::Participant, &make("other", None, |_| ()).certificate, Pins::default())
    };
    assert!(goes_on(stranger).await);
    assert!(goes_on(|house, tables| tables.with(Role::Participant, &house.actor.certificate, Pins::default())).await);
    let others_revoked = |house: &House, tables: Tables| {
        let crl = house.actor.crl(1, &[&house.kitchen]);
        tables.with_crl(&house.actor.certificate, 1, crl)
    };
    assert!(goes_on(others_revoked).await);
}

#[test]
fn a_session_is_proved_anew_by_the_tables_of_now_as_long_as_its_chain_speaks_for_its_actor() {
    let (world, house) = (World::new(), House::new("house"));
    let first = tables(&house);
    world.govern(&first);
    let clerk = leaf("clerk", &house.treasury, "gov");
    let identity = Identity::prove(&world.service, house.chain(&clerk, &house.treasury)).unwrap();
    let speaker = identity.speaker();
    assert_eq!(speaker.proof().seqno.0, 1);
    assert!(speaker.proof().valid_until > world.service.calendar.now());

    let other = first.with(Role::Participant, &make("other", None, |_| ()).certificate, Pins::default());
    world.govern(&other);
    assert_eq!(speaker.proof().seqno.0, 1, "as it was looked at");
    assert_eq!(speaker.prove_anew(&world.service).unwrap().seqno.0, 2);
    assert_eq!(speaker.proof().seqno.0, 2);

    world.govern(&other.with_crl(&house.actor.certificate, 1, house.actor.crl(1, &[&house.treasury])));
    assert_eq!(speaker.prove_anew(&world.service).unwrap_err().code, "CertificateRevoked");
    assert_eq!(speaker.proof().seqno.0, 2, "a leader refuses that");
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_its_leaf_expires() {
    let (world, house) = (World::new(), House::new("house"));
    world.govern(&tables(&house));
    let end = world.service.calendar.now().after(Duration::from_secs(3 * 86_400));
    let clerk = leaf_but("clerk", &house.treasury, "gov", |params| until(params, end));
    let identity = Identity::prove(&world.service, house.chain(&clerk, &house.treasury)).unwrap();
    let begun = Instant::now();
    assert_eq!(identity.ended(&world.service).await, "its certificates have expired");
    let took = begun.elapsed().as_secs();
    assert!((3 * 86_400 - 2..=3 * 86_400 + 1).contains(&took), "after {took} s");
}

/// The clock is behind: the blocks of others tell.
#[tokio::test(start_paused = true)]
async fn what_has_expired_by_the_time_of_the_ledger_speaks_for_nobody_though_the_clock_is_behind() {
    let noted: [fn(&World, Time); 2] = [
        |world, time| world.service.committed(TxId::new(View(2), Seqno(1)), time),
        |world, time| world.govern_at(&tables(&House::new("house")), time),
    ];
    for note in noted {
        let (world, house) = (World::new(), House::new("house"));
        let soon = world.service.calendar.now().after(Duration::from_secs(3_600));
        let clerk = leaf_but("clerk", &house.treasury, "gov", |params| until(params, soon));
        let chain = house.chain(&clerk, &house.treasury);
        world.govern(&tables(&house));
        let identity = Identity::prove(&world.service, chain.clone()).unwrap();
        let speaker = Arc::clone(identity.speaker());
        assert!(speaker.prove_anew(&world.service).is_ok());
        let (service, begun) = (Arc::clone(&world.service), Instant::now());
        let ended = tokio::spawn(async move { identity.ended(&service).await });
        settle().await;
        note(&world, soon.after(Duration::from_secs(1)));
        assert_eq!(speaker.prove_anew(&world.service).unwrap_err().code, "CertificateExpired");
        ended.await.unwrap();
        assert!(begun.elapsed() <= LOOK_AGAIN_AFTER, "after {:?}", begun.elapsed());
        assert_eq!(prove(&world, chain), Err((403, "CertificateExpired")));
    }
}
