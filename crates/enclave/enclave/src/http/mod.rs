//! HTTP: the small part of it that nodes speak.

pub mod answers;
pub mod chunked;
pub mod error;
pub mod events;
pub mod h1;
pub mod h2;
pub mod head;
pub mod response;
pub mod slow;
pub mod stranger;
