//! The time that one request may take to arrive over HTTP/1.1.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use super::head::REQUEST_TIME_MAX;

/// Notices a client that takes too long to send one request.
#[derive(Default)]
pub struct Slow {
    deadline: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Slow {
    /// Takes in whether a request is unfinished, and whether it is the same one as before.
    pub fn watch(&mut self, same: bool, unfinished: bool) {
        if !unfinished {
            self.deadline = None;
        } else if self.deadline.is_none() || !same {
            self.deadline = Some(Instant::now() + REQUEST_TIME_MAX);
        }
    }

    /// Ready when the time is over.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while alarm.as_mut().poll(cx).is_ready() {
            // The alarm is set again only when it goes off, because most requests finish long before.
            if Instant::now() >= deadline {
                self.deadline = None;
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
