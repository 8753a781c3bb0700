//! What a host hands over when its node reads its ledger: what was asked for, nothing, or something else.

use bytes::Bytes;
use synod_types::Seqno;
use synod_types::boundary::{EntryKind, LedgerRange, LogRecord};

use super::Disk;
use crate::falsify::place_to_change;

impl Disk {
    pub(super) fn read(&mut self, range: LedgerRange) -> Result<Vec<LogRecord>, String> {
        if self.prng.chance(self.faults.read_fails_ppm) {
            return Err("the disk could not be read".into());
        }
        let mut records = self.find(range);
        if self.prng.chance(self.faults.read_lies_ppm) {
            self.falsify(&mut records);
        }
        if records.is_empty() { Err("there is no such record".into()) } else { Ok(records) }
    }

    fn find(&self, range: LedgerRange) -> Vec<LogRecord> {
        let records = self.records().cloned();
        match range {
            LedgerRange::Indexes { from, to, bytes_max } => {
                let mut size = 0;
                let fits = |record: &LogRecord| {
                    size += record.payload.len();
                    record.index == from || size <= bytes_max
                };
                records.filter(|record| (from..=to).contains(&record.index)).take_while(fits).collect()
            }
            LedgerRange::Covering(seqno) => records.filter(|record| covers(record, seqno)).collect(),
        }
    }

    /// What a host hands over that means harm: another record, fewer, an entry without content, or one changed byte.
    fn falsify(&mut self, records: &mut Vec<LogRecord>) {
        match self.prng.below(4) {
            2 => {
                let Some(record) = records.last_mut() else { return };
                (record.kind, record.count, record.payload) = (EntryKind::Engine, 0, Bytes::new());
            }
            0 => {
                let all: Vec<_> = self.records().cloned().collect();
                *records = vec![self.prng.pick(&all).clone()];
            }
            1 => drop(records.pop()),
            _ => {
                let Some(record) = records.last_mut().filter(|record| !record.payload.is_empty()) else { return };
                let mut payload = record.payload.to_vec();
                let at = place_to_change(&mut self.prng, payload.len());
                payload[at] ^= 1 << self.prng.below(8);
                record.payload = payload.into();
            }
        }
    }
}

fn covers(record: &LogRecord, seqno: Seqno) -> bool {
    record.first_seqno <= seqno && seqno.0 < record.first_seqno.0 + u64::from(record.count)
}
