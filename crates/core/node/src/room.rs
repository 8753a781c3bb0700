//! Room for requests, counted by number and by bytes.

/// So many requests of so many bytes, and what of it is taken.
#[derive(Debug)]
pub struct Room {
    requests_max: usize,
    bytes_max: usize,
    requests: usize,
    bytes: usize,
}

impl Room {
    /// Room that nobody has taken.
    pub const fn new(requests_max: usize, bytes_max: usize) -> Self {
        Self { requests_max, bytes_max, requests: 0, bytes: 0 }
    }

    /// Whether there is room for a request of `size` bytes.
    pub const fn has(&self, size: usize) -> bool {
        self.requests < self.requests_max && self.bytes + size <= self.bytes_max
    }

    /// Takes room for a request of `size` bytes, if there is any.
    #[must_use]
    pub fn take(&mut self, size: usize) -> Option<()> {
        self.has(size).then(|| {
            self.requests += 1;
            self.bytes += size;
        })
    }

    /// Gives back the room of a request.
    pub const fn give_back(&mut self, size: usize) {
        self.requests -= 1;
        self.bytes -= size;
    }

    /// Whether nothing of it is taken.
    pub const fn is_free(&self) -> bool {
        self.requests == 0
    }
}
