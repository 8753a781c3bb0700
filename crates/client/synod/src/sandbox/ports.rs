//! Ports for nodes: free, and likely to stay so while a node is down.
//!
//! The range from which the system gives ports to outgoing connections is left out: there, a
//! connection could take the port of a node that is just being started again, or a dialler could
//! even connect to itself.

use std::net::{Ipv4Addr, TcpListener};

use crate::failure::Failure;

/// Finds `count` free ports of 127.0.0.1.
///
/// # Errors
/// If there are not as many.
pub fn free(count: usize) -> Result<Vec<u16>, Failure> {
    let top = outgoing_from().clamp(LOWEST + SPAN_MIN, u16::MAX);
    let span = top - LOWEST;
    let start = scatter() % u64::from(span);
    let mut found: Vec<(u16, TcpListener)> = Vec::new();
    for step in 0..u64::from(span) {
        if found.len() == count {
            break;
        }
        let port = LOWEST + u16::try_from((start + step * STRIDE) % u64::from(span)).expect("below span");
        // Held until all are found, so that none is found twice.
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            found.push((port, listener));
        }
    }
    if found.len() < count {
        return Err(Failure::new(
            format!("127.0.0.1 has no {count} free ports"),
            "stop what holds them, or wait a minute",
        ));
    }
    Ok(found.into_iter().map(|(port, _)| port).collect())
}

/// Whether nobody listens at this port.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Where the system's range for outgoing connections begins.
fn outgoing_from() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(LINUX_DEFAULT)
}

/// Something that differs from one call to the next, so that two sandboxes look in different places.
fn scatter() -> u64 {
    u64::from_be_bytes(synod_crypto::random_bytes::<8>())
}

const LOWEST: u16 = 10_000;

/// Even on a system that gives outgoing connections nearly every port.
const SPAN_MIN: u16 = 10_000;

/// Prime, so that every port of the span is visited.
const STRIDE: u64 = 7_919;

const LINUX_DEFAULT: u16 = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_different_and_not_those_of_outgoing_connections() {
        let ports = free(20).unwrap();
        let different: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(different.len(), 20);
        assert!(ports.iter().all(|port| *port < outgoing_from().max(LOWEST + SPAN_MIN)));
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        assert!(is_free(taken));
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(held.local_addr().unwrap().port()));
    }
}
