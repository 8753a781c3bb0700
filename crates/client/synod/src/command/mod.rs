//! The short commands.

pub mod audit;
pub mod gateway;
pub mod governance;
pub mod identity;
pub mod join;
pub mod ledger;
pub mod log;
pub mod node;
pub mod receipt;
pub mod run_node;
pub mod service;
