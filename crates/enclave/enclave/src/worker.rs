//! The worker's thread: owns the adapters and their maps.

use std::sync::mpsc::Receiver;

use synod_node::Event;
use synod_worker::{ToWorker, Worker};
use tokio::sync::mpsc::UnboundedSender;

use crate::hub::ToHub;
use crate::service::Service;

/// Works until the manager is gone.
pub fn run(mut worker: Worker, inbox: &Receiver<Vec<ToWorker>>, service: &Service, hub: &UnboundedSender<ToHub>) {
    while let Ok(messages) = inbox.recv() {
        for message in messages {
            let commits = matches!(message, ToWorker::Commit { .. });
            let settings = match &message {
                ToWorker::Configure(configure) => Some((configure.decided.adapter, configure.decided.at)),
                _ => None,
            };
            if let Some(executed) = worker.handle(message) {
                if let Some((adapter, decided)) = settings.filter(|_| executed.outcomes[0].reply.status != 200) {
                    // Why is content: whoever may know asks for the node's status.
                    tracing::warn!(adapter = adapter.0, %decided, "an adapter refused settings that members decided");
                }
                service.manager.event(Event::Executed(executed));
            }
            if commits && service.waits.any_reached(service.reader.latest().seqno) {
                // The sessions end only after the node has.
                let _ = hub.send(ToHub::Published);
            }
        }
    }
}
