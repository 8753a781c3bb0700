//! Members govern a network of real processes, by the commands of `synod` alone.

#![allow(clippy::unwrap_used)]

mod actions;
mod certificates;
mod decided_once;
mod founding;
mod identities;
mod ledger;
mod refusals;
mod replays;
mod settings;
mod story;
mod watch;
mod webhook;
mod world;
