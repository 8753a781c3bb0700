//! Chunk files: how log records lie on disk.
//!
//! A ledger directory holds files named by [`file_name`]; each begins with a [`FileHeader`] and goes on
//! with records, one for each log index, without gaps. Files are only ever appended to, never
//! preallocated, and truncated only when a newer leader replaces records.
//!
//! ```text
//! file    64 B header: "SYNODLOG", version u16, 6 zeros, first index u64, network 32 B, 4 zeros, CRC u32
//! record  48 B header: "SYNR", payload size u32, index u64, view u64, first seqno u64, count u32, kind u8,
//!                      3 zeros, payload CRC u32, header CRC u32
//!         the payload, then "END\n"
//! ```
//! Integers are little-endian; CRCs are CRC-32C over the bytes before them (the payload's over the payload).
//!
//! # Torn or damaged?
//! A crash may leave the last write incomplete: the file ends early, or in zeros where data had not reached
//! the disk. That is [`Tail::Torn`]: nothing was acknowledged on its strength, so it is cut off. Anything
//! else that does not fit is [`Damage`], and never cut off silently. The two CRCs and the end mark keep them
//! apart: a wrong length cannot pass for a short file, since the header has its own CRC; and one changed
//! byte cannot make a whole record look like a tail of zeros, since it cannot clear the end mark.
//! CRCs find accidents. Who changes bytes and CRC together is found by the ledger's signatures.

mod format;
mod scan;

pub use format::{FILE_HEADER_SIZE, FileHeader, RECORD_OVERHEAD, append_record, file_name, parse_file_name};
pub use scan::{Damage, DamageReason, Placed, Scan, Tail, read_record};
