//! How what is private prints: kinds and sizes, never content, seeds or names.
//!
//! Written by hand, so that no log, error or failed assertion can show what an enclave keeps private.

use std::fmt;

use synod_types::ByteCount;

use crate::{
    ActorFacts, AdapterSettings, Apply, BlockEnv, Call, DecidedSettings, Outcome, Plan, Reply, Request,
    SettingsRefused, Then,
};

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(reply) => f.debug_tuple("Answer").field(reply).finish(),
            Self::Read(query) => f.debug_tuple("Read").field(&ByteCount::of(query)).finish(),
            Self::Execute { calls, then } => {
                f.debug_struct("Execute").field("calls", &ByteCount::of_each(calls)).field("then", then).finish()
            }
        }
    }
}

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply => f.write_str("Reply"),
            Self::Finish(token) => f.debug_tuple("Finish").field(&ByteCount::of(token)).finish(),
        }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &ByteCount::of(self.path))
            .field("query", &ByteCount::of(self.query))
            .field("body", &ByteCount::of(self.body))
            .finish()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .field("body", &ByteCount::of(&self.body))
            .field("writes", &self.writes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BlockEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockEnv")
            .field("view", &self.view)
            .field("first_seqno", &self.first_seqno)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ActorFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorFacts").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("adapter", &self.adapter)
            .field("actor", &self.actor)
            .field("input", &ByteCount::of(&self.input))
            .finish()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("write_set", &self.write_set.as_ref().map(ByteCount::of))
            .field("reply", &self.reply)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Apply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apply")
            .field("first_seqno", &self.first_seqno)
            .field("write_sets", &self.write_sets.len())
            .finish()
    }
}

impl fmt::Debug for DecidedSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecidedSettings")
            .field("adapter", &self.adapter)
            .field("at", &self.at)
            .field("settings", &ByteCount::of(&self.settings))
            .finish()
    }
}

impl fmt::Debug for AdapterSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdapterSettings")
            .field("in_force", &ByteCount::of(&self.in_force))
            .field("decided_at", &self.decided_at)
            .field("refused", &self.refused)
            .finish()
    }
}

impl fmt::Debug for SettingsRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettingsRefused")
            .field("decided_at", &self.decided_at)
            .field("reason", &ByteCount::of(&self.reason))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use synod_types::{ActorId, AdapterId, Digest, Seqno, Time, View};

    use crate::{ActorKind, Execute, Executed, Method, ToWorker};

    use super::*;

    /// 32 bytes that are looked for as text, as numbers and in hexadecimal.
    const MARKER: &str = "the-planted-marker-of-this-test!";

    fn check(value: &dyn fmt::Debug) {
        let marker = MARKER.as_bytes();
        let numbers = format!("{:?}", &marker[..4]);
        let hex: String = marker[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        for text in [format!("{value:?}"), format!("{value:#?}").split_whitespace().collect()] {
            for found in [&MARKER[..8], &hex, numbers.trim_matches(['[', ']'])] {
                assert!(!text.contains(found) && !text.contains(&found.replace(' ', "")), "{text}");
            }
        }
    }

    #[test]
    fn what_manager_and_worker_say_to_each_other_prints_no_content() {
        let content = || Bytes::from_static(MARKER.as_bytes());
        let marker = *MARKER.as_bytes().first_chunk::<32>().unwrap();
        let actor = ActorFacts { id: ActorId(marker), kind: ActorKind::Member };
        let env = BlockEnv { view: View(1), first_seqno: Seqno(2), time: Time(3), seed: marker };
        let reply = Reply { claims: Some(Digest(marker)), ..Reply::text(200, MARKER) };
        let call = Call { adapter: AdapterId(0), actor, input: content() };
        let outcome = Outcome { write_set: Some(content()), claims: Some(Digest(marker)), reply: reply.clone() };
        let calls = vec![content()];
        let mut writes = synod_kv::WriteSet::default();
        writes.put(
            &synod_kv::MapName::from_static("marked"),
            *MARKER.as_bytes().first_chunk::<32>().unwrap(),
            MARKER.as_bytes(),
        );
        check(&Plan::Answer(reply.clone()));
        check(&Plan::Read(content()));
        check(&Plan::Execute { calls, then: Then::Finish(content()) });
        check(&Request { method: Method::Put, path: MARKER, query: MARKER, body: MARKER.as_bytes() });
        check(&ToWorker::Execute(Execute { env, calls: vec![call] }));
        check(&ToWorker::Apply(Apply { first_seqno: Seqno(1), write_sets: [writes].into() }));
        check(&Executed { env, outcomes: vec![outcome] });
        let decided = DecidedSettings { adapter: AdapterId(0), at: Seqno(2), settings: content() };
        check(&ToWorker::Configure(crate::Configure { env, decided }));
        let refused = Some(SettingsRefused { decided_at: Seqno(2), reason: MARKER.into() });
        check(&AdapterSettings { in_force: content(), decided_at: Seqno(1), refused });
        assert_eq!(format!("{:?}", Then::Finish(content())), "Finish(<32 bytes>)");
    }
}
