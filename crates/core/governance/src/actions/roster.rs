//! Who acts, by id and by name: read once for all actions of a proposal, since each that adds somebody asks for all.

use std::collections::BTreeMap;

use synod_types::ActorId;

use crate::bounded::Name;
use crate::tables::{Read, Tables};

/// The actors' names.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    names: BTreeMap<ActorId, Name>,
    ids: BTreeMap<Name, ActorId>,
}

impl Roster {
    /// The actors as the tables have them.
    pub fn read(tables: Tables<'_>) -> Read<Self> {
        let names: BTreeMap<_, _> = tables.actors()?.into_iter().map(|(id, actor)| (id, actor.name)).collect();
        let ids = names.iter().map(|(id, name)| (name.clone(), *id)).collect();
        Ok(Self { names, ids })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// What an actor is called.
    pub fn name_of(&self, id: &ActorId) -> Option<&Name> {
        self.names.get(id)
    }

    /// Who is called so.
    pub fn named(&self, name: &Name) -> Option<&ActorId> {
        self.ids.get(name)
    }

    /// Looks up what an action did to these.
    pub fn follow(&mut self, ids: &[ActorId], tables: Tables<'_>) -> Read<()> {
        for id in ids {
            if let Some(name) = self.names.remove(id) {
                self.ids.remove(&name);
            }
        }
        for id in ids {
            if let Some(actor) = tables.actor(id)? {
                self.ids.insert(actor.name.clone(), *id);
                self.names.insert(*id, actor.name);
            }
        }
        Ok(())
    }
}
