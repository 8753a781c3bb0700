//! What the log answers when it does not do what was asked.

use synod_worker::Reply;

use crate::MESSAGE_BYTES_MAX;

/// Why a request was refused. Each is answered as `{"error":{"code","message","hint"}}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing is written at the key.
    KeyNotFound,
    /// The path's first segment is not a decimal number of 64 bits.
    KeyInvalid,
    /// The path has segments that the log does not know.
    PathUnknown,
    /// The path exists, but not for this method.
    MethodNotAllowed,
    /// The message is above [`MESSAGE_BYTES_MAX`].
    MessageTooLarge,
    /// The call's bytes are not a call: another version of the program made them.
    CallMalformed,
}

impl Refusal {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::KeyInvalid | Self::CallMalformed => 400,
            Self::KeyNotFound | Self::PathUnknown => 404,
            Self::MethodNotAllowed => 405,
            Self::MessageTooLarge => 413,
        }
    }

    /// The answer. None of its words comes from the request, so nothing needs escaping.
    pub fn reply(self) -> Reply {
        let (message, hint) = self.words();
        Reply::json(
            self.status(),
            format!(r#"{{"error":{{"code":"{self:?}","message":"{message}","hint":"{hint}"}}}}"#),
        )
    }

    fn words(self) -> (&'static str, String) {
        match self {
            Self::KeyNotFound => ("nothing is written at this key", "PUT a message at it first".into()),
            Self::KeyInvalid => ("the key is not a decimal number of 64 bits", "use a path such as /app/log/42".into()),
            Self::PathUnknown => ("the log has no such path", "use /app/log/<key> or /app/log/<key>/random".into()),
            Self::MethodNotAllowed => {
                ("this path does not take this method", "PUT or GET a key; POST to its /random".into())
            }
            Self::MessageTooLarge => {
                ("the message is too large", format!("send at most {MESSAGE_BYTES_MAX} bytes; split larger messages"))
            }
            Self::CallMalformed => ("the call is not one of the log's", "run the same release on all nodes".into()),
        }
    }
}
