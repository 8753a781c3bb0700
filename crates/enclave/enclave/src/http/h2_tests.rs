use h2::client::SendRequest;
use tokio::io::duplex;

use super::*;
use crate::testing::{ACTOR, World, error_code, settle};

async fn connect(world: &World) -> SendRequest<Bytes> {
    let (far, near) = duplex(1 << 20);
    let service = Arc::clone(&world.service);
    tokio::spawn(async move { serve(near, service, Speaker::known(ACTOR), Purpose::Applications).await });
    let (client, connection) = h2::client::handshake(far).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

type Pending = tokio::task::JoinHandle<(u16, Option<String>, String)>;

fn send(client: &mut SendRequest<Bytes>, method: &str, target: &str, body: &[u8]) -> Pending {
    let request = Request::builder().method(method).uri(format!("https://a{target}")).body(()).unwrap();
    let (response, mut stream) = client.send_request(request, body.is_empty()).unwrap();
    if !body.is_empty() {
        stream.send_data(Bytes::copy_from_slice(body), true).unwrap();
    }
    tokio::spawn(async move {
        let (head, mut stream) = response.await.unwrap().into_parts();
        let mut body = Vec::new();
        while let Some(data) = stream.data().await {
            body.extend_from_slice(&data.unwrap());
        }
        let txid = head.headers.get("synod-txid").map(|txid| txid.to_str().unwrap().to_owned());
        (head.status.as_u16(), txid, String::from_utf8(body).unwrap())
    })
}

#[tokio::test]
async fn answers_come_as_their_blocks_commit_not_in_the_order_of_requests() {
    let world = World::new();
    let mut client = connect(&world).await;
    let first = send(&mut client, "PUT", "/app/box/a", b"1");
    let second = send(&mut client, "PUT", "/app/box/b", b"2");
    let read = send(&mut client, "GET", "/app/box/a", b"");
    assert_eq!(read.await.unwrap(), (404, Some("2.1".into()), "nothing kept".into()));
    settle().await;
    let requests = world.submitted().concat();
    world.commit(&requests[1]);
    assert_eq!(second.await.unwrap(), (200, Some("2.2".into()), "kept b".into()));
    assert!(!first.is_finished());
    world.commit(&requests[0]);
    assert_eq!(first.await.unwrap().0, 200);
    let read = send(&mut client, "GET", "/app/box/a", b"");
    assert_eq!(read.await.unwrap(), (200, Some("2.3".into()), "1".into()));
}

#[tokio::test]
async fn bad_requests_have_their_errors_and_the_connection_goes_on() {
    let world = World::new();
    let mut client = connect(&world).await;
    let large = vec![b'x'; limits::REQUEST_BODY_BYTES_MAX + 1];
    for (method, target, body, status, code) in [
        ("BREW", "/app/box/a", &b""[..], 405, "MethodNotAllowed"),
        ("GET", "/nothing", b"", 404, "NoSuchPath"),
        ("PUT", "/app/box/a", &large, 413, "BodyTooLarge"),
        ("GET", "/app/nothing/a", b"", 404, "NoSuchAdapter"),
    ] {
        let (found, _, body) = send(&mut client, method, target, body).await.unwrap();
        assert_eq!((found, error_code(&body).as_str()), (status, code));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_takes_too_long_to_arrive_is_refused_however_busy_it_looks() {
    let world = World::new();
    let mut client = connect(&world).await;
    let request = Request::builder().method("PUT").uri("https://a/app/box/a").body(()).unwrap();
    let (response, mut stream) = client.send_request(request, false).unwrap();
    let response = tokio::spawn(response);
    for _ in 0..7 {
        // The last ones may come too late, which is what is wanted.
        let _ = stream.send_data(Bytes::from_static(b"x"), false);
        settle().await;
        tokio::time::advance(std::time::Duration::from_secs(10)).await;
    }
    assert_eq!(response.await.unwrap().unwrap().status().as_u16(), 408);
}

#[tokio::test]
async fn one_connection_has_room_for_so_many_bytes_of_bodies_and_gets_it_back_with_the_answers() {
    let world = World::new();
    let mut client = connect(&world).await;
    let largest = vec![b'x'; limits::REQUEST_BODY_BYTES_MAX];
    let count = BODIES_BYTES_MAX / largest.len();
    let served: Vec<_> = (0..count).map(|_| send(&mut client, "PUT", "/app/box/a", &largest)).collect();
    let mut requests = Vec::new();
    while requests.len() < count {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        requests.extend(world.submitted().concat());
    }
    let (status, _, body) = send(&mut client, "PUT", "/app/box/a", b"y").await.unwrap();
    assert_eq!((status, error_code(&body).as_str()), (503, "TooManyPending"));
    assert!(served.iter().all(|pending| !pending.is_finished()));
    for request in requests {
        world.commit(&request);
    }
    for pending in served {
        assert_eq!(pending.await.unwrap().0, 200);
    }
    let again = send(&mut client, "PUT", "/app/box/a", b"y");
    settle().await;
    world.commit(&world.submitted()[0][0]);
    assert_eq!(again.await.unwrap().0, 200);
}

#[tokio::test]
async fn heavy_reads_of_one_connection_take_but_a_few_places_in_the_pool() {
    let world = World::new();
    let mut client = connect(&world).await;
    let heavy: Vec<_> = (0..50).map(|_| send(&mut client, "GET", "/app/box/held", b"")).collect();
    let mut other = connect(&world).await;
    let write = send(&mut other, "PUT", "/app/box/a", &[b'x'; 10_000]);
    let mut requests = Vec::new();
    while requests.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        requests = world.submitted().concat();
    }
    world.commit(&requests[0]);
    assert_eq!(write.await.unwrap().0, 200);
    assert!(world.gate.came() <= POOL_READS_MAX);
    world.gate.open();
    for pending in heavy {
        assert_eq!(pending.await.unwrap().0, 404);
    }
}

#[tokio::test]
async fn no_read_is_begun_for_a_client_that_takes_no_answers_and_all_are_when_it_does() {
    let world = World::new();
    let mut client = connect(&world).await;
    let large = vec![b'x'; 200_000];
    let write = send(&mut client, "PUT", "/app/box/slow", &large);
    let mut requests = Vec::new();
    while requests.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        requests = world.submitted().concat();
    }
    world.commit(&requests[0]);
    assert_eq!(write.await.unwrap().0, 200);

    let most = crate::http::answers::ANSWERS_BYTES_MAX / large.len() + 1 + 2 * POOL_READS_MAX;
    let mut responses = Vec::new();
    for _ in 0..200 {
        let request = Request::builder().uri("https://a/app/box/slow").body(()).unwrap();
        responses.push(client.send_request(request, true).unwrap().0);
    }
    let begun = || world.gate.reads.load(std::sync::atomic::Ordering::SeqCst);
    while begun() <= most / 2 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        assert!(begun() <= most, "{} of at most {most}", begun());
    }
    let mut tasks = JoinSet::new();
    for response in responses {
        tasks.spawn(async move {
            let mut stream = response.await.unwrap().into_body();
            let mut size = 0;
            while let Some(data) = stream.data().await {
                let data = data.unwrap();
                size += data.len();
                stream.flow_control().release_capacity(data.len()).unwrap();
            }
            size
        });
    }
    while let Some(size) = tasks.join_next().await {
        assert_eq!(size.unwrap(), large.len());
    }
}

/// Sends a request and takes it back once the node's side has settled.
async fn send_and_reset(client: &mut SendRequest<Bytes>, method: &str, target: &str, headers: &[(&str, &str)]) {
    let mut request = Request::builder().method(method).uri(format!("https://a{target}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let is_put = method == "PUT";
    let (response, mut stream) = client.send_request(request.body(()).unwrap(), !is_put).unwrap();
    if is_put {
        stream.send_data(Bytes::from_static(b"x"), true).unwrap();
    }
    settle().await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    settle().await;
}

#[tokio::test]
async fn a_request_that_is_taken_back_is_not_worked_on_and_leaves_nothing_behind() {
    let world = World::new();
    let mut client = connect(&world).await;
    let reads = 3 * POOL_READS_MAX;
    for _ in 0..reads {
        send_and_reset(&mut client, "GET", "/app/box/held", &[]).await;
    }
    for _ in 0..20 {
        send_and_reset(&mut client, "GET", "/app/box/a", &[("synod-at-least", "2.9")]).await;
    }
    assert_eq!(world.service.office.len(), 0);
    let later = std::time::Instant::now() + crate::waits::WAIT_TIME_MAX;
    assert!(world.service.waits.take_expired(later).is_empty());
    world.gate.open();
    assert_eq!(send(&mut client, "GET", "/app/box/slow", b"").await.unwrap().0, 404);
    assert!(world.gate.came() <= POOL_READS_MAX, "{} of {reads} were done", world.gate.came());
}

#[tokio::test]
async fn what_the_node_has_been_handed_keeps_its_place_until_it_is_answered_though_it_was_taken_back() {
    let world = World::new();
    let mut client = connect(&world).await;
    for _ in 0..STREAMS_MAX {
        send_and_reset(&mut client, "PUT", "/app/box/a", &[]).await;
    }
    let handed = world.submitted().concat();
    assert_eq!(handed.len(), STREAMS_MAX as usize);
    let next = send(&mut client, "PUT", "/app/box/b", b"y");
    settle().await;
    assert!(world.submitted().is_empty(), "it waits for a place");
    world.commit(&handed[0]);
    settle().await;
    world.commit(&world.submitted().concat()[0]);
    assert_eq!(next.await.unwrap().0, 200);
    for request in &handed[1..] {
        world.commit(request);
    }
    settle().await;
    assert_eq!(world.service.office.len(), 0);
}
