//! The filters that are installed: bounded, and forgotten when nobody asks for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use synod_client::RequestIds;
use tokio::sync::Mutex as AsyncMutex;

/// All filters of a gateway. Whoever reaches the gateway may read everything that it reads, so an id is
/// a name and no secret.
#[derive(Debug, Default)]
pub struct Filters {
    table: Mutex<Table>,
}

/// One filter.
#[derive(Debug)]
pub struct Filter {
    /// The instance whose blocks it looks at.
    pub instance: String,
    /// What it looks for.
    pub kind: Kind,
    /// The last block whose changes were told. Held while they are asked for, so that two who ask at the
    /// same time are told each change once between them.
    pub told: AsyncMutex<u64>,
}

/// What a filter looks for.
#[derive(Debug)]
pub enum Kind {
    /// Logs.
    Logs(Criteria),
    /// Hashes of new blocks.
    Blocks,
    /// Hashes of pending transactions: there are none to tell, because what is answered is committed.
    Pending,
}

/// Which logs a filter looks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Criteria {
    /// The filter as it was given, without its range.
    pub conditions: Map<String, Value>,
    /// The first block, if it is given by number.
    pub from: Option<u64>,
    /// The last block, if it is given by number.
    pub to: Option<u64>,
}

#[derive(Debug, Default)]
struct Table {
    names: RequestIds,
    filters: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    filter: Arc<Filter>,
    size: usize,
    used: Instant,
}

impl Entry {
    fn is_alive(&self, now: Instant) -> bool {
        now.duration_since(self.used) < LIFETIME
    }
}

/// The filter would be one too many.
#[derive(Debug, PartialEq, Eq)]
pub struct TableFull;

impl Filters {
    /// Installs a filter that was given with `size` bytes, and names it.
    ///
    /// # Errors
    /// If there are too many, or they are too large together.
    pub fn install(&self, now: Instant, filter: Filter, size: usize) -> Result<String, TableFull> {
        let mut table = self.lock();
        table.filters.retain(|_, entry| entry.is_alive(now));
        let taken: usize = table.filters.values().map(|entry| entry.size).sum();
        if table.filters.len() >= FILTERS_MAX || taken + size > FILTERS_BYTES_MAX {
            return Err(TableFull);
        }
        let name = format!("0x{}", alloy_primitives::hex::encode(table.names.next_id().0));
        table.filters.insert(name.clone(), Entry { filter: Arc::new(filter), size, used: now });
        Ok(name)
    }

    /// The filter of this instance with this name, which is alive from now on for as long as a new one.
    pub fn find(&self, now: Instant, instance: &str, name: &str) -> Option<Arc<Filter>> {
        let mut table = self.lock();
        let entry = table.filters.get_mut(name).filter(|entry| entry.is_alive(now))?;
        if entry.filter.instance != instance {
            return None;
        }
        entry.used = now;
        Some(Arc::clone(&entry.filter))
    }

    /// Removes a filter. Returns whether it was there.
    pub fn uninstall(&self, now: Instant, instance: &str, name: &str) -> bool {
        let found = self.find(now, instance, name).is_some();
        found && self.lock().filters.remove(name).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing under this lock can panic half-way through a change.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a filter is kept that nobody asks for: what geth keeps it.
const LIFETIME: Duration = Duration::from_secs(300);

/// The most filters at a time: a page has a handful.
const FILTERS_MAX: usize = 10_000;

/// The most bytes that all filters take together as they were given: one with every place full takes 320 KB, a usual one 200 bytes.
const FILTERS_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(instance: &str) -> Filter {
        Filter { instance: instance.into(), kind: Kind::Blocks, told: AsyncMutex::new(0) }
    }

    #[test]
    fn a_filter_lives_as_long_as_somebody_asks_for_it() {
        let (filters, start) = (Filters::default(), Instant::now());
        let name = filters.install(start, blocks("main"), 0).unwrap();
        let almost = LIFETIME - Duration::from_millis(1);
        assert!(filters.find(start + almost, "main", &name).is_some());
        assert!(filters.find(start + almost * 2, "main", &name).is_some(), "it was asked for in between");
        assert!(filters.find(start + almost * 2 + LIFETIME, "main", &name).is_none());
        assert!(!filters.uninstall(start + almost * 2 + LIFETIME, "main", &name));
    }

    #[test]
    fn a_filter_belongs_to_its_instance_and_is_removed_once() {
        let (filters, now) = (Filters::default(), Instant::now());
        let name = filters.install(now, blocks("main"), 0).unwrap();
        assert!(filters.find(now, "other", &name).is_none());
        assert!(!filters.uninstall(now, "other", &name));
        assert!(filters.uninstall(now, "main", &name));
        assert!(!filters.uninstall(now, "main", &name));
    }

    #[test]
    fn filters_are_bounded_by_number_and_size_and_the_forgotten_make_room() {
        let (filters, now) = (Filters::default(), Instant::now());
        for _ in 0..FILTERS_MAX {
            filters.install(now, blocks("main"), 1).unwrap();
        }
        assert_eq!(filters.install(now, blocks("main"), 1), Err(TableFull));
        filters.install(now + LIFETIME, blocks("main"), FILTERS_BYTES_MAX).unwrap();
        assert_eq!(filters.install(now + LIFETIME, blocks("main"), 1), Err(TableFull));
    }
}
