//! What must hold, and who watches over it.
//!
//! | checker | sees | claims |
//! |---|---|---|
//! | [`truth`] | every append, role and commit of every node | one leader per view; one content per entry; commits only of what a quorum's disks hold, never back |
//! | [`history`] | every request, answer and read of every client | nothing answered before it is committed, nothing answered in two ways, real time kept |
//! | [`audit`] | all disks, at the end | nothing acknowledged lost or done twice, states equal a replay, files verify, receipts and reads tell the truth |
//! | [`membership`] | the committed entries, at the end | whoever takes part at a transaction, or signs it, is listed at it |
//! | [`services`] | the keys that blocks are signed with, at the end | each is the one that nodes told |
//! | [`secrecy`] | every byte that a host sees | none of the planted words |

pub mod audit;
pub mod history;
pub mod membership;
pub mod secrecy;
pub mod services;
pub mod truth;
mod violation;

pub use violation::{Checked, Violation, violated};
