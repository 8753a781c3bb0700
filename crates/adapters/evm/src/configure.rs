//! Other settings than those in force: new instances, other limits, a later fork.

use std::collections::BTreeMap;

use synod_kv::{Lookup, Tx};

use crate::code_cache::CodeCache;
use crate::historic::put_instance;
use crate::instance::Instance;
use crate::maps::Maps;
use crate::settings::{LiveInstance, Settings};
use crate::store::{self, Store};

/// Goes over from the settings `old` to `new`; an error says all that stands against it.
///
/// Blocks that exist keep the rules under which they were made: a fork takes effect with the next one.
pub(crate) fn configure(tx: &mut Tx<'_>, old: &[u8], new: &[u8]) -> Result<(), String> {
    let old = Settings::parse(old).map_err(|why| format!("the settings in force cannot be read: {why}"))?;
    let new = Settings::parse(new)?;
    let mut known: BTreeMap<_, _> = old.instances.into_iter().map(|live| (live.name.clone(), live)).collect();
    let mut reasons = Vec::new();
    for live in new.instances {
        let done = match known.remove(&live.name) {
            Some(before) => follow(tx, &before, &live),
            None => live.write(tx),
        };
        reasons.extend(done.err());
    }
    reasons.extend(known.into_keys().map(|name| format!("instance {name} is left out, and instances stay")));
    if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
}

/// Changes what may change of an instance that exists.
fn follow(tx: &mut Tx<'_>, before: &LiveInstance, after: &LiveInstance) -> Result<(), String> {
    let name = &after.name;
    let changed: Vec<_> = after.beginning(before).collect();
    if !changed.is_empty() {
        return Err(format!("instance {name} exists, so that {} cannot change", changed.join(", ")));
    }
    let (old_fork, fork) = (before.fork()?, after.fork()?);
    if fork < old_fork {
        return Err(format!("instance {name} cannot go back from fork {} to {}", before.fork, after.fork));
    }
    let damaged = || format!("the records of instance {name} cannot be read");
    let instance = store::instance(&*tx, name).ok().flatten().filter(Instance::is_live).ok_or_else(damaged)?;
    let mut next = Instance { limits: after.limits()?, ..instance.clone() };
    if fork > old_fork {
        let head = head(&*tx, name).ok_or_else(damaged)?;
        next.forks = next.forks.raised(head + 1, fork);
    }
    if next != instance {
        put_instance(tx, name, &next);
    }
    Ok(())
}

fn head(view: &impl Lookup, name: &str) -> Option<u64> {
    let (maps, codes) = (Maps::of(name), CodeCache::default());
    Store { view, maps: &maps, codes: &codes }.head().ok()?
}
