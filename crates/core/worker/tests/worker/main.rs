//! The worker by its messages, with an adapter that does what its calls say.

mod blocks;
mod common;
mod messages;
mod settings;
