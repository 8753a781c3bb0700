//! All reasons against a proposal.

use serde::Serialize;

use crate::limits::REASONS_MAX;
use crate::reason::ActionReason;

/// One reason.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ReasonView {
    /// The place of the action in the proposal, from 0; none if it is about what all of them would leave behind.
    pub action: Option<usize>,
    /// The stable code.
    pub code: &'static str,
    /// What is wrong, for people.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// The reasons in the order in which they were found, as many as are kept of a proposal that failed.
pub fn reasons(reasons: &[ActionReason]) -> Vec<ReasonView> {
    let view = |ActionReason { action, reason }: &ActionReason| ReasonView {
        action: *action,
        code: reason.code(),
        message: reason.to_string(),
        hint: reason.hint(),
    };
    reasons.iter().take(REASONS_MAX).map(view).collect()
}
