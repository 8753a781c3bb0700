//! Being told to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until this process is told to stop: by SIGTERM, by Ctrl-C, or because its terminal is gone.
pub async fn stop() {
    let listen = |kind| signal(kind).expect("the kinds named here can be listened for");
    let (mut terminate, mut interrupt, mut hangup) =
        (listen(SignalKind::terminate()), listen(SignalKind::interrupt()), listen(SignalKind::hangup()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
}
