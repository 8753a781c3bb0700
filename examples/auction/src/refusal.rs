//! Why a request is not done. A refused call writes nothing and takes no seqno.

use synod_worker::Reply;

/// Why a request is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such path.
    PathUnknown,
    /// An id, a time or an amount is not a decimal number.
    NumberNotValid,
    /// There is no auction of this id.
    AuctionUnknown,
    /// There is an auction of this id already.
    AuctionExists,
    /// The auction takes no more bids.
    AuctionIsOver,
    /// The auction's time has not come.
    AuctionIsNotOver,
    /// Sellers do not bid in their own auctions.
    SellerMayNotBid,
    /// The caller has not bid.
    NoBid,
    /// The call's bytes are not one of this adapter's calls.
    CallMalformed,
}

impl Refusal {
    /// The answer: a code for programs, a message and a hint for people.
    pub fn reply(self) -> Reply {
        let (status, message, hint) = match self {
            Self::PathUnknown => (404, "there is nothing at this path", "see the table in the README"),
            Self::NumberNotValid => (400, "not a decimal number of 64 bits", "use digits only"),
            Self::AuctionUnknown => (404, "there is no such auction", "PUT one at this path first"),
            Self::AuctionExists => (409, "there is an auction of this id", "choose another id"),
            Self::AuctionIsOver => (409, "the auction takes no more bids", "look at its result"),
            Self::AuctionIsNotOver => (409, "the auction's time has not come", "close it later"),
            Self::SellerMayNotBid => (403, "the seller may not bid", "let somebody else bid"),
            Self::NoBid => (404, "you have not bid in this auction", "POST an amount to its /bids"),
            Self::CallMalformed => (400, "the call is not one of the auction's", "run one release on all nodes"),
        };
        let body = format!(r#"{{"error":{{"code":"{self:?}","message":"{message}","hint":"{hint}"}}}}"#);
        Reply::json(status, body)
    }
}
