//! Request ids for requests that bring none.

use synod_types::RequestId;

/// Makes request ids that no other session makes: eight random bytes for the session, then a count.
pub struct RequestIds {
    session: [u8; 8],
    last: u64,
}

impl RequestIds {
    /// Starts a new series.
    pub fn new() -> Self {
        Self { session: synod_crypto::random_bytes(), last: 0 }
    }

    /// The next id.
    pub fn next_id(&mut self) -> RequestId {
        self.last += 1;
        let mut id = [0; RequestId::SIZE];
        id[..8].copy_from_slice(&self.session);
        id[8..].copy_from_slice(&self.last.to_be_bytes());
        RequestId(id)
    }
}
