//! Governance from outside: signed requests in, tables and events out.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod actions;
mod cost;
mod document;
mod identity;
mod model;
mod refusals;
mod robustness;
mod room;
mod rules;
mod story;
mod views;
mod world;
