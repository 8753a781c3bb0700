//! No byte that a host sees may hold what is private.

use bytes::Bytes;
use synod_types::NodeId;
use synod_types::boundary::{Append, LogRecord};

use super::{Checked, violated};

/// Stands in every message, every actor's name and every node's name.
pub const MARKER: &str = "PLANTED-IN-PLAIN";

/// Checks what a node gives its host to file.
///
/// # Errors
/// If a record or the vote holds a planted word.
pub fn check_append(node: NodeId, append: &Append) -> Checked {
    append.records.iter().try_for_each(|record| check_record(node, record))?;
    append.vote.as_ref().map_or(Ok(()), |vote| check(node, "the vote record", vote))
}

/// Checks one record.
///
/// # Errors
/// If it holds a planted word.
pub fn check_record(node: NodeId, record: &LogRecord) -> Checked {
    check(node, "a record", &record.payload)
}

fn check(node: NodeId, what: &str, bytes: &Bytes) -> Checked {
    if holds_marker(bytes) {
        return violated("nothing private is in what a host sees", format!("{what} of node {node} holds {MARKER}"));
    }
    Ok(())
}

/// Whether the marker stands anywhere in `bytes`.
pub fn holds_marker(bytes: &[u8]) -> bool {
    let marker = MARKER.as_bytes();
    // Every eighth byte is enough to meet a word of sixteen at its first or second half.
    let stride = marker.len() / 2;
    bytes.chunks_exact(stride).enumerate().any(|(place, chunk)| {
        (0..=marker.len() - stride).any(|shift| {
            let start = (place * stride).checked_sub(shift);
            chunk == &marker[shift..shift + stride] && start.is_some_and(|start| bytes[start..].starts_with(marker))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_found_wherever_it_stands() {
        for before in 0..40 {
            for after in 0..10 {
                let text = format!("{}{MARKER}{}", "x".repeat(before), "y".repeat(after));
                assert!(holds_marker(text.as_bytes()), "{before} {after}");
                assert!(!holds_marker(&text.as_bytes()[..before + MARKER.len() - 1]), "{before} {after}");
            }
        }
    }
}
