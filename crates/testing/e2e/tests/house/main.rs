//! The rules of the house that no compiler checks: which crate may know which, what the core may
//! name, and that the documents say what the code does.

mod dependencies;
mod documents;
mod limits;
mod repository;
mod sources;
