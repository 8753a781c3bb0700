//! Chunk files: how log records lie on disk.
