//! The key-value store: ordered maps in memory, with snapshots that cost nothing.
//!
//! [`State`] is a set of named ordered maps, persistent in the sense of Driscoll et al. (1989):
//! a clone is O(1) and later writes to either copy do not touch the other. Everything else rests
//! on that. A reader keeps a clone and never blocks the writer; [`Layers`] keeps a clone from
//! after each uncommitted block and goes back to one when consensus drops the blocks above it.
//!
//! Code never writes a `State` directly. It works in a [`Tx`], which sees its own writes and
//! collects them as a [`WriteSet`]; the write set is what the ledger records and what other nodes
//! apply, and it has exactly one encoding. [`Map`] is a typed door to one map.
//!
//! Nothing here can fail for lack of a key or because of another writer. Keys and values that are
//! too large are a caller's mistake (an assertion); bytes from elsewhere come in through
//! [`WriteSet`]'s decoder, which refuses whatever is not canonical.

mod inline;
mod key;
mod layers;
mod map;
mod name;
mod range;
mod read_set;
mod state;
mod tx;
mod value;
mod write_set;

pub use key::{FixedKey, Key, KeyBuffer, KeyCodec};
pub use layers::Layers;
pub use map::{Entries, EntryRefused, Map};
pub use name::{MapName, MapNameRefused};
pub use range::{Bounds, Order, Range};
pub use read_set::ReadSet;
pub use state::{Lookup, State};
pub use tx::Tx;
pub use value::{Value, ValueCodec};
pub use write_set::WriteSet;
