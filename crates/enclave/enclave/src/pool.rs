//! Work that may take long, beside the thread that serves the sessions.

use std::sync::Arc;

use crate::exchange::Job;
use crate::mailbox::{Event, PostOffice};

/// Runs `job` on the runtime's blocking threads and delivers what it makes to `token`.
pub fn run(office: Arc<PostOffice>, token: u64, job: Job) {
    let mut reply = Reply { office, token, event: Some(Event::Failed) };
    // Nobody waits for the task: its reply goes out however it ends.
    drop(tokio::task::spawn_blocking(move || {
        reply.event = Some(job());
        drop(reply);
    }));
}

/// Delivers its event when dropped, also if the job panics or never runs.
struct Reply {
    office: Arc<PostOffice>,
    token: u64,
    event: Option<Event>,
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            self.office.deliver(self.token, event);
        }
    }
}
