use std::time::Duration;

use bytes::Bytes;
use synod_governance::{Pins, Role};
use synod_node::{Event as NodeEvent, QueryAnswer, Refusal};
use synod_types::{ActorId, Seqno};
use synod_worker::{ActorFacts, ActorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::house::make;
use crate::testing::{ACTOR, Tables, World, error_code, settle};

struct Client {
    far: DuplexStream,
    session: JoinHandle<io::Result<()>>,
    received: Vec<u8>,
}

fn connect(world: &World, actor: ActorId, pipe: usize) -> Client {
    let (far, near) = duplex(pipe);
    let session = Session::new(near, Arc::clone(&world.service), Speaker::known(actor), Purpose::Applications);
    Client { far, session: tokio::spawn(session.run()), received: Vec::new() }
}

fn client(world: &World) -> Client {
    connect(world, ACTOR, 1 << 20)
}

impl Client {
    async fn send(&mut self, text: &str) {
        self.far.write_all(text.as_bytes()).await.unwrap();
        settle().await;
    }

    /// All that has come by now, as (status, body); heads are checked for what every answer has.
    async fn answers(&mut self) -> Vec<(u16, String)> {
        settle().await;
        let mut part = vec![0; 1 << 20];
        while let Ok(Ok(size @ 1..)) = tokio::time::timeout(Duration::ZERO, self.far.read(&mut part)).await {
            self.received.extend_from_slice(&part[..size]);
            settle().await;
        }
        let mut answers = Vec::new();
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 8];
            let mut head = httparse::Response::new(&mut headers);
            let Ok(httparse::Status::Complete(size)) = head.parse(&self.received) else { return answers };
            let status = head.code.unwrap();
            let length = head.headers.iter().find(|header| header.name == "content-length");
            let length = length.map_or(0, |header| str::from_utf8(header.value).unwrap().parse().unwrap());
            let body = String::from_utf8(self.received[size..size + length].to_vec()).unwrap();
            answers.push((status, body));
            self.received.drain(..size + length);
        }
    }

    async fn statuses(&mut self) -> Vec<u16> {
        self.answers().await.into_iter().map(|(status, _)| status).collect()
    }

    /// Whether the session has said goodbye.
    async fn is_closed(&mut self) -> bool {
        settle().await;
        self.session.is_finished()
    }
}

fn put(key: &str, body: &str) -> String {
    format!("PUT /app/box/{key} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn get(key: &str) -> String {
    get_with(key, "")
}

fn get_with(key: &str, headers: &str) -> String {
    format!("GET /app/box/{key} HTTP/1.1\r\nhost: a\r\n{headers}\r\n")
}

fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

#[tokio::test]
async fn answers_come_in_the_order_of_requests_whatever_the_order_of_commits() {
    let world = World::new();
    let mut client = client(&world);
    client.send(&[put("a", "1"), get("a"), put("b", "2"), put("c", "3")].concat()).await;
    let submitted = world.submitted();
    assert_eq!(submitted.iter().map(Vec::len).collect::<Vec<_>>(), [3], "one message for the burst");
    for place in [2, 1] {
        world.commit(&submitted[0][place]);
        assert_eq!(client.answers().await, []);
    }
    world.commit(&submitted[0][0]);
    let nothing = (404, "nothing kept".to_owned());
    assert_eq!(client.answers().await, [ok("kept a"), nothing, ok("kept b"), ok("kept c")]);
    client.send(&get("c")).await;
    assert_eq!(client.answers().await, [ok("3")]);
}

#[tokio::test]
async fn requests_are_found_however_their_bytes_arrive() {
    let world = World::new();
    for step in [1, 2, 7, 50] {
        let mut client = client(&world);
        let text = [put("a", "123"), get("a"), put("b", "")].concat();
        for part in text.as_bytes().chunks(step) {
            client.far.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
        settle().await;
        for request in world.submitted().concat() {
            world.commit(&request);
        }
        assert_eq!(client.answers().await.len(), 3, "{step}");
    }
}

#[tokio::test]
async fn a_write_gets_its_transaction_id_and_the_request_id_it_asked_for() {
    let world = World::new();
    let mut client = client(&world);
    let id = "000102030405060708090a0b0c0d0e0f";
    client.send(&format!("PUT /app/box/a HTTP/1.1\r\nhost: a\r\nsynod-request-id: {id}\r\n\r\n")).await;
    client.send(&[put("b", ""), put("c", "")].concat()).await;
    let requests = world.submitted().concat();
    assert_eq!(requests[0].request_id.to_hex(), id);
    assert_ne!(requests[1].request_id, requests[2].request_id);
    world.commit(&requests[0]);
    settle().await;
    let mut text = vec![0; 4096];
    let size = client.far.read(&mut text).await.unwrap();
    let text = String::from_utf8_lossy(&text[..size]);
    assert!(text.contains("synod-txid: 2.2\r\n"), "{text}");
}

#[tokio::test]
async fn malformed_input_is_answered_in_its_turn_and_ends_the_connection() {
    let world = World::new();
    let mut client = client(&world);
    client.send(&format!("{}NONSENSE\r\n\r\n{}", put("a", "1"), get("a"))).await;
    assert_eq!(client.answers().await, []);
    world.commit(&world.submitted()[0][0]);
    let answers = client.answers().await;
    assert_eq!(answers.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 400]);
    assert_eq!(error_code(&answers[1].1), "MalformedRequest");
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn every_kind_of_bad_request_has_its_error_and_others_are_served_on() {
    let world = World::new();
    let mut good = client(&world);
    for (text, status, code) in [
        ("GET /x HTTP/1.1\r\n\r\n".to_owned(), 400, "MalformedRequest"),
        ("PUT /app/box/a HTTP/1.1\r\nhost: a\r\ncontent-length: 8388609\r\n\r\n".to_owned(), 413, "BodyTooLarge"),
        (format!("GET /{} HTTP/1.1\r\n", "a".repeat(20_000)), 431, "HeadTooLarge"),
        (
            "PUT /app/box/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
            400,
            "MalformedRequest",
        ),
        (
            "PUT /app/box/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(),
            501,
            "TransferEncodingNotServed",
        ),
    ] {
        let mut bad = client(&world);
        bad.send(&text).await;
        let answers = bad.answers().await;
        assert_eq!((answers[0].0, error_code(&answers[0].1).as_str()), (status, code), "{text}");
        assert!(bad.is_closed().await, "{text}");
        good.send(&get("a")).await;
        assert_eq!(good.statuses().await, [404]);
    }
    for (text, status, code) in [
        ("BREW /x HTTP/1.1\r\nhost: a\r\n\r\n", 405, "MethodNotAllowed"),
        ("GET /x HTTP/1.1\r\nhost: a\r\n\r\n", 404, "NoSuchPath"),
        ("GET /app/nothing/x HTTP/1.1\r\nhost: a\r\n\r\n", 404, "NoSuchAdapter"),
        ("GET /app/box/x HTTP/1.1\r\nhost: a\r\nsynod-at-least: 1\r\n\r\n", 400, "HeaderNotValid"),
    ] {
        good.send(text).await;
        let answers = good.answers().await;
        assert_eq!((answers[0].0, error_code(&answers[0].1).as_str()), (status, code), "{text}");
        assert!(!good.is_closed().await);
    }
}

#[tokio::test]
async fn a_chunked_body_is_put_together() {
    let world = World::new();
    let mut client = client(&world);
    let head = "PUT /app/box/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    for part in [head, "3\r\nabc\r\n", "2\r\nde\r\n0\r\n", &format!("\r\n{}", get("a"))] {
        client.send(part).await;
    }
    let requests = world.submitted().concat();
    assert_eq!(requests[0].calls, [Bytes::from_static(b"a=abcde")]);
    world.commit(&requests[0]);
    assert_eq!(client.statuses().await, [200, 404]);
}

#[tokio::test]
async fn a_client_that_waits_for_our_word_hears_it_in_its_turn() {
    let world = World::new();
    let mut client = client(&world);
    client.send(&put("a", "1")).await;
    client.send("PUT /app/box/b HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    assert_eq!(client.answers().await, [], "not before the answer to the first request");
    world.commit(&world.submitted()[0][0]);
    assert_eq!(client.statuses().await, [200, 100]);
    client.send("xy").await;
    world.commit(&world.submitted()[0][0]);
    assert_eq!(client.answers().await, [ok("kept b")]);
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_the_limit_and_the_rest_follow() {
    let world = World::new();
    let mut client = connect(&world, ACTOR, 4 << 20);
    client.send(&(0..IN_FLIGHT_MAX + 100).map(|i| put(&i.to_string(), "x")).collect::<String>()).await;
    let submitted = world.submitted().concat();
    assert_eq!(submitted.len(), IN_FLIGHT_MAX);
    for request in &submitted[..60] {
        world.commit(request);
    }
    assert_eq!(client.answers().await.len(), 60);
    assert_eq!(world.submitted().concat().len(), 60);
}

#[tokio::test]
async fn more_requests_than_the_limit_in_one_write_are_all_answered_also_if_the_client_ends_with_them() {
    let world = World::new();
    let text = "GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(10_000);
    for ends in [false, true] {
        let mut client = connect(&world, ACTOR, 4 << 20);
        client.far.write_all(text.as_bytes()).await.unwrap();
        if ends {
            client.far.shutdown().await.unwrap();
        }
        assert_eq!(client.statuses().await, vec![404; 10_000]);
        assert_eq!(client.is_closed().await, ends);
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_costs_bounded_memory_and_is_served_when_it_reads() {
    let world = World::new();
    let mut client = connect(&world, ACTOR, 1 << 16);
    let body = "x".repeat(60_000);
    client.send(&put("a", &body)).await;
    // Bodies above a few KiB are planned in the pool, whose threads are not the test's.
    let request = wait_for(|| world.submitted().pop()).await.remove(0);
    world.commit(&request);
    assert_eq!(client.statuses().await, [200]);
    let count = 200;
    for _ in 0..count {
        client.far.write_all(get("a").as_bytes()).await.unwrap();
    }
    settle().await;
    // Then it reads.
    let mut served = 0;
    while served < count {
        let answers = client.answers().await;
        assert!(answers.iter().all(|(status, found)| *status == 200 && found.len() == body.len()));
        served += answers.len();
    }
}

/// A world in which `a` and `slow` have large values, and how many answers with them are within the bound.
async fn large_world() -> (World, usize, usize) {
    let world = World::new();
    let mut client = client(&world);
    let body = "x".repeat(60_000);
    for key in ["a", "slow"] {
        client.send(&put(key, &body)).await;
        let request = wait_for(|| world.submitted().pop()).await.remove(0);
        world.commit(&request);
    }
    assert_eq!(client.statuses().await, [200, 200]);
    // The pool's are counted when they come out, while as many may be begun; the connection itself holds two.
    let most = ANSWERS_BYTES_MAX / body.len() + 1 + 2 * POOL_READS_MAX + 2;
    (world, body.len(), most)
}

impl Client {
    /// Reads `count` answers with `size` bytes each.
    async fn read_large(&mut self, count: usize, size: usize) {
        let mut served = 0;
        while served < count {
            let answers = self.answers().await;
            assert!(answers.iter().all(|(status, found)| *status == 200 && found.len() == size));
            served += answers.len();
        }
        assert_eq!(served, count);
    }
}

#[tokio::test]
async fn no_read_is_begun_for_a_client_that_takes_no_answers_and_all_are_when_it_does() {
    let (world, size, most) = large_world().await;
    let wait = |key| get_with(key, "synod-at-least: 2.4\r\n");
    // Reads at once, in the pool, and after a wait; then all of them behind one that takes its time.
    for (text, waits) in [
        (get("a").repeat(400), false),
        (get("slow").repeat(400), false),
        ([wait("a"), get("a"), wait("slow"), get("slow")].concat().repeat(100), true),
    ] {
        let before = world.gate.reads.load(std::sync::atomic::Ordering::SeqCst);
        let reads = || world.gate.reads.load(std::sync::atomic::Ordering::SeqCst) - before;
        let mut client = connect(&world, ACTOR, 1 << 17);
        client.send(&text).await;
        if waits {
            assert!(client.answers().await.is_empty());
            let request = ClientRequest {
                token: 0,
                actor: ACTOR,
                proof: Default::default(),
                request_id: Default::default(),
                adapter: synod_types::AdapterId(0),
                calls: vec![Bytes::from_static(b"b=1")],
            };
            let (_, last) = world.execute(&request);
            world.publish(last);
        }
        // As many as the bound allows are begun, and never more however long one looks.
        wait_for(|| (reads() > most / 2).then_some(())).await;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(reads() <= most, "{} of at most {most}", reads());
        }
        client.read_large(400, size).await;
        assert_eq!(reads(), 400);
    }
}

#[tokio::test]
async fn answers_that_wait_for_an_earlier_read_do_not_keep_it_from_being_done() {
    let (world, size, _) = large_world().await;
    let mut client = client(&world);
    client.send(&[get_with("slow", "synod-at-least: 2.4\r\n"), get("a").repeat(500), get("slow")].concat()).await;
    assert!(client.answers().await.is_empty());
    let mut other = self::client(&world);
    other.send(&put("b", "1")).await;
    world.commit(&world.submitted()[0][0]);
    client.read_large(502, size).await;
}

async fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        match look() {
            Some(found) => return found,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

#[tokio::test]
async fn writes_keep_their_order_when_the_first_takes_long_to_plan() {
    let world = World::new();
    let mut client = client(&world);
    let long = "x".repeat(100_000);
    client.send(&[put("a", &long), put("b", "1"), get("c"), put("d", "2")].concat()).await;
    let mut requests = Vec::new();
    while requests.len() < 3 {
        requests.extend(wait_for(|| Some(world.submitted().concat()).filter(|all| !all.is_empty())).await);
    }
    let keys: Vec<_> = requests.iter().map(|request| request.calls[0][0]).collect();
    assert_eq!(keys, *b"abd");
    for request in &requests {
        world.commit(request);
    }
    assert_eq!(client.statuses().await, [200, 200, 404, 200]);
}

#[tokio::test]
async fn a_read_that_takes_long_runs_in_the_pool_and_a_panic_there_is_an_error() {
    let world = World::new();
    let mut client = client(&world);
    client.send(&[get("slow"), get("panic"), get("a")].concat()).await;
    let mut statuses = Vec::new();
    while statuses.len() < 3 {
        statuses.extend(client.statuses().await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(statuses, [404, 500, 404]);
}

#[tokio::test]
async fn heavy_reads_neither_keep_a_write_from_being_planned_nor_take_every_place_for_reads() {
    let world = World::new();
    let (mut heavy, mut light) = (client(&world), client(&world));
    heavy.send(&get("held").repeat(100)).await;
    wait_for(|| (world.gate.came() > 0).then_some(())).await;
    light.send(&[put("a", &"x".repeat(100_000)), get("slow")].concat()).await;
    let request = wait_for(|| world.submitted().pop()).await.remove(0);
    world.commit(&request);
    assert_eq!(light.statuses().await, [200]);
    // The one connection has but a few jobs in the pool, and they are not done once it has ended.
    heavy.session.abort();
    settle().await;
    world.gate.open();
    let mut statuses = Vec::new();
    while statuses.is_empty() {
        statuses = light.statuses().await;
    }
    assert_eq!(statuses, [404]);
    assert!(world.gate.came() <= POOL_READS_MAX, "{}", world.gate.came());
}

#[tokio::test]
async fn jobs_beyond_the_places_of_a_connection_follow_as_places_become_free() {
    let world = World::new();
    let mut client = client(&world);
    client.send(&[get("held").repeat(3 * POOL_READS_MAX), put("a", &"x".repeat(10_000)).repeat(3)].concat()).await;
    world.gate.open();
    let mut requests = Vec::new();
    while requests.len() < 3 {
        requests.extend(wait_for(|| Some(world.submitted().concat()).filter(|all| !all.is_empty())).await);
    }
    requests.iter().for_each(|request| world.commit(request));
    let mut statuses = Vec::new();
    while statuses.len() < 3 * POOL_READS_MAX + 3 {
        statuses.extend(client.statuses().await);
    }
    assert_eq!(statuses[..3 * POOL_READS_MAX], [404; 3 * POOL_READS_MAX]);
    assert_eq!(world.gate.came(), 3 * POOL_READS_MAX);
}

#[tokio::test]
async fn a_read_waits_until_the_node_has_applied_enough() {
    let world = World::new();
    let mut client = client(&world);
    client.send(&put("a", "1")).await;
    let request = world.submitted()[0][0].clone();
    client.send(&get_with("a", "synod-at-least: 2.2\r\n")).await;
    let (answer, last) = world.execute(&request);
    world.service.office.deliver(request.token, Event::Response(Ok(answer)));
    assert_eq!(client.answers().await, [ok("kept a")], "the read waits");
    world.publish(last);
    assert_eq!(client.answers().await, [ok("1")]);
}

#[tokio::test]
async fn a_read_that_waits_in_vain_is_told() {
    let world = World::new();
    let mut client = client(&world);
    client.send(&get_with("a", "synod-at-least: 2.9\r\n")).await;
    let later = std::time::Instant::now() + crate::waits::WAIT_TIME_MAX;
    for token in world.service.waits.take_expired(later) {
        world.service.office.deliver(token, Event::Expired);
    }
    let answers = client.answers().await;
    assert_eq!((answers[0].0, error_code(&answers[0].1).as_str()), (503, "NotYetApplied"));
}

#[tokio::test]
async fn linearizable_reads_share_a_question_that_is_younger_than_they_are() {
    let world = World::new();
    let mut client = client(&world);
    let read = get_with("a", "synod-consistency: linearizable\r\n");
    client.send(&read).await;
    client.send(&read.repeat(5)).await;
    let queries = world.queries();
    assert_eq!(queries.len(), 1, "the five wait for the next question");
    world.answer(queries[0].0, Ok(QueryAnswer::ReadIndex("2.1".parse().unwrap())));
    assert_eq!(client.statuses().await, [404]);
    let queries = world.queries();
    assert_eq!(queries.len(), 1);
    world.answer(queries[0].0, Ok(QueryAnswer::ReadIndex("2.2".parse().unwrap())));
    assert_eq!(client.answers().await, [], "2.2 is not applied here yet");
    let request = ClientRequest {
        token: 0,
        actor: ACTOR,
        proof: Default::default(),
        request_id: Default::default(),
        adapter: synod_types::AdapterId(0),
        calls: vec![Bytes::from_static(b"a=1")],
    };
    let (_, last) = world.execute(&request);
    world.publish(last);
    assert_eq!(client.answers().await, vec![ok("1"); 5]);
}

#[tokio::test]
async fn many_calls_make_one_answer_from_a_snapshot_that_holds_their_writes() {
    let world = World::new();
    for count in [3, 100] {
        let mut client = client(&world);
        client.send(&format!("POST /app/box/{count} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let request = world.submitted()[0][0].clone();
        let (answer, last) = world.execute(&request);
        world.service.office.deliver(request.token, Event::Response(Ok(answer)));
        assert_eq!(client.answers().await, []);
        world.publish(last);
        let mut answers = Vec::new();
        while answers.is_empty() {
            answers = client.answers().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(answers, [ok(&format!("{count} replies, {count} kept"))]);
    }
}

#[tokio::test]
async fn a_refusal_of_the_node_has_its_status_and_code() {
    let world = World::new();
    let mut client = client(&world);
    for (refusal, status, code) in [
        (Refusal::TooManyPending, 503, "TooManyPending"),
        (Refusal::NoLeader, 503, "NoLeader"),
        (Refusal::NotAuthorized, 403, "NotAuthorized"),
        (Refusal::NodeRemoved, 503, "NodeRemoved"),
        (Refusal::Starting, 503, "Starting"),
        (Refusal::RequestIdReused, 422, "RequestIdReused"),
    ] {
        client.send(&put("a", "1")).await;
        let token = world.submitted()[0][0].token;
        world.service.office.deliver(token, Event::Response(Err(refusal)));
        let answers = client.answers().await;
        assert_eq!((answers[0].0, error_code(&answers[0].1).as_str()), (status, code));
    }
}

#[tokio::test]
async fn who_is_no_actor_is_told_so_at_every_path() {
    let world = World::new();
    let mut client = connect(&world, ActorId([9; 32]), 1 << 16);
    client.send(&[put("a", "1"), get("a"), "GET /node/status HTTP/1.1\r\nhost: a\r\n\r\n".into()].concat()).await;
    let answers = client.answers().await;
    assert!(answers.iter().all(|(status, body)| *status == 403 && error_code(body) == "NotAuthorized"), "{answers:?}");
    assert_eq!(answers.len(), 3);
}

#[tokio::test]
async fn the_node_is_asked_for_what_it_alone_knows() {
    let world = World::new();
    let mut client = client(&world);
    let ask = |path: &str| format!("GET /node/{path} HTTP/1.1\r\nhost: a\r\n\r\n");
    client.send(&[ask("tx/2.5"), ask("receipt/2.1"), ask("commit")].concat()).await;
    let queries = world.queries();
    world.answer(queries[1].0, Err(Refusal::NotCommitted));
    world.answer(queries[0].0, Ok(QueryAnswer::Transaction(synod_node::TxStatus::Pending)));
    let answers = client.answers().await;
    assert_eq!(answers[0].1, r#"{"status":"Pending","txid":"2.5"}"#);
    assert_eq!((answers[1].0, error_code(&answers[1].1).as_str()), (404, "NotCommitted"));
    assert_eq!(answers[2].1, r#"{"committed":"2.1"}"#);
    client.send(&ask("metrics")).await;
    assert!(client.answers().await[0].1.contains("\nsynod_failures_total 1\n"));
}

#[tokio::test]
async fn a_client_that_asks_to_end_or_ends_is_answered_first() {
    let world = World::new();
    let mut asking = client(&world);
    asking.send(&format!("{}{}", get_with("a", "connection: close\r\n"), get("b"))).await;
    assert_eq!(asking.statuses().await, [404], "nothing behind it is served");
    assert!(asking.is_closed().await);

    let mut ending = client(&world);
    ending.send(&put("a", "1")).await;
    ending.far.shutdown().await.unwrap();
    assert!(!ending.is_closed().await);
    world.commit(&world.submitted()[0][0]);
    assert_eq!(ending.statuses().await, [200]);
    assert!(ending.is_closed().await);
}

#[tokio::test]
async fn an_end_in_the_middle_of_a_request_just_ends() {
    let world = World::new();
    let mut client = client(&world);
    client.send("PUT /app/box/a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab").await;
    client.far.shutdown().await.unwrap();
    assert!(client.is_closed().await);
    assert!(world.submitted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_to_arrive_ends_the_connection() {
    let world = World::new();
    let mut slow = client(&world);
    slow.send("GET /app/box/a HTTP/1.1\r\n").await;
    let mut busy = client(&world);
    busy.send("GET").await;
    for _ in 0..7 {
        tokio::time::advance(Duration::from_secs(10)).await;
        // Never whole at the end of a burst, yet each request comes in time.
        busy.send(" /app/box/a HTTP/1.1\r\nhost: a\r\n\r\nGET").await;
    }
    let answers = slow.answers().await;
    assert_eq!((answers[0].0, error_code(&answers[0].1).as_str()), (408, "RequestTimeout"));
    assert!(slow.is_closed().await);
    assert!(!busy.is_closed().await);
}

#[tokio::test]
async fn a_session_that_has_ended_gets_no_answers_and_leaves_nothing_behind() {
    let world = World::new();
    let mut client = client(&world);
    client.send(&put("a", "1")).await;
    drop(client.far);
    let request = world.submitted()[0][0].clone();
    world.commit(&request);
    // Writing the answer fails, and with it the session ends.
    settle().await;
    assert!(client.session.is_finished());
    world.service.manager.event(NodeEvent::Timeout);
}

#[tokio::test]
async fn random_and_changed_bytes_are_answered_or_refused_and_never_more() {
    let world = World::new();
    let valid = [
        put("a", "12345"),
        get_with("b", "synod-at-least: 2.1\r\nexpect: 100-continue\r\n"),
        "PUT /app/box/c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nt: 1\r\n\r\n"
            .into(),
    ]
    .concat();
    // A small generator of our own, so that a failure comes again with the same numbers.
    let mut state = 1u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for round in 0..2_000 {
        let mut bytes = valid.clone().into_bytes();
        for _ in 0..draw() % 6 {
            let at = draw() % bytes.len();
            bytes[at] = draw() as u8;
        }
        bytes.truncate(draw() % (bytes.len() + 1));
        if round % 4 == 0 {
            bytes.iter_mut().for_each(|byte| *byte = draw() as u8);
        }
        let (mut far, near) = duplex(1 << 16);
        let session = tokio::spawn(
            Session::new(near, Arc::clone(&world.service), Speaker::known(ACTOR), Purpose::Applications).run(),
        );
        far.write_all(&bytes).await.unwrap();
        far.shutdown().await.unwrap();
        settle().await;
        for request in world.submitted().concat() {
            world.commit(&request);
        }
        settle().await;
        for token in world.service.waits.take_expired(std::time::Instant::now() + crate::waits::WAIT_TIME_MAX) {
            world.service.office.deliver(token, Event::Expired);
        }
        let mut answers = Vec::new();
        far.read_to_end(&mut answers).await.unwrap();
        assert!(answers.is_empty() || answers.starts_with(b"HTTP/1.1 "), "round {round}");
        session.await.expect("no input makes a session panic").unwrap();
    }
}

#[tokio::test]
async fn a_write_in_doubt_is_proved_by_tables_that_hold_all_that_is_committed_and_later_ones_wait_for_it() {
    let world = World::new();
    let mut client = client(&world);
    client.send(&[put("a", "1"), put("b", "2")].concat()).await;
    let requests = world.submitted().concat();
    // In whatever order they are told.
    requests.iter().rev().for_each(|request| world.doubt(request));
    client.send(&put("c", "3")).await;
    for _ in &requests {
        let queries = world.queries();
        assert_eq!(queries.len(), 1, "nothing is sent before it is known how recent the tables must be");
        world.answer(queries[0].0, Ok(QueryAnswer::ReadIndex("2.2".parse().unwrap())));
        settle().await;
    }
    assert!(world.submitted().is_empty(), "2.2 is not applied here yet");
    let change = make("other", None, |_| ()).certificate;
    let tables = Tables::default().with(Role::Participant, &change, Pins::default());
    world.govern(&tables.without(&change));
    world.service.actors.replace([ActorFacts { id: ACTOR, kind: ActorKind::Participant }]);
    world.publish_nothing(Seqno(2));
    settle().await;
    let again = world.submitted().concat();
    let sent: Vec<_> = again.iter().map(|request| &request.calls[0][..]).collect();
    assert_eq!(sent, [b"a=1", b"b=2", b"c=3"]);
    for (first, again) in requests.iter().zip(&again) {
        assert_eq!((again.request_id, again.token), (first.request_id, first.token));
        assert_eq!((first.proof.seqno, again.proof.seqno), (Seqno(0), Seqno(2)));
    }
    again.iter().for_each(|request| world.commit(request));
    assert_eq!(client.answers().await, [ok("kept a"), ok("kept b"), ok("kept c")]);
}

#[tokio::test]
async fn a_write_that_cannot_be_proved_in_time_is_to_be_sent_again() {
    let world = World::new();
    let mut client = client(&world);
    client.send(&put("a", "1")).await;
    let request = world.submitted().concat().remove(0);
    world.doubt(&request);
    settle().await;
    world.answer(world.queries()[0].0, Err(Refusal::NoLeader));
    let answers = client.answers().await;
    assert_eq!((answers[0].0, error_code(&answers[0].1)), (503, "ProveAnew".into()));
    // The same if each time something else was decided meanwhile.
    client.send(&put("a", "1")).await;
    for _ in 0..3 {
        let request = world.submitted().concat().remove(0);
        world.doubt(&request);
        settle().await;
        world.answer(world.queries()[0].0, Ok(QueryAnswer::ReadIndex("2.1".parse().unwrap())));
        settle().await;
    }
    let request = world.submitted().concat().remove(0);
    world.doubt(&request);
    let answers = client.answers().await;
    assert_eq!((answers[0].0, error_code(&answers[0].1)), (503, "ProveAnew".into()));
}
