//! Authorizations in call objects (EIP-7702): what estimating and simulating such a transaction needs.

use alloy_eips::eip7702::{Authorization, RecoveredAuthorization, SignedAuthorization};
use revm::context::either::Either;
use serde::Deserialize;

use super::error::RpcError;
use super::params::{AddressParam, Quantity, Quantity64};
use crate::signed;

/// An authorization as tools put it into a call object.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuthorizationObject {
    chain_id: Quantity,
    address: AddressParam,
    nonce: Quantity64,
    y_parity: Option<Quantity64>,
    /// What some tools give beside or in place of `yParity`.
    v: Option<Quantity64>,
    r: Quantity,
    s: Quantity,
}

/// The authorizations with the accounts that gave them; those whose signatures are invalid are the EVM's to skip.
pub(crate) fn recovered(
    objects: Vec<AuthorizationObject>,
    gas_limit: u64,
) -> Result<Vec<Either<SignedAuthorization, RecoveredAuthorization>>, RpcError> {
    // Recovery takes time before any gas is counted, so more of them than the gas pays for are not begun.
    let least = (objects.len() as u64).saturating_mul(AUTHORIZATION_GAS);
    if least > gas_limit {
        return Err(RpcError::server(format!("intrinsic gas too low: have {gas_limit}, want at least {least}")));
    }
    let recovered = |object: AuthorizationObject| Either::Right(signed::recovered(object.signed()));
    Ok(objects.into_iter().map(recovered).collect())
}

impl AuthorizationObject {
    fn signed(self) -> SignedAuthorization {
        let Quantity64(parity) = self.y_parity.or(self.v).unwrap_or_default();
        // Above one, it is the older form of 27 and 28; what is neither is an invalid signature.
        let parity = u8::try_from(parity.checked_sub(27).unwrap_or(parity)).unwrap_or(u8::MAX);
        let authorization = Authorization { chain_id: self.chain_id.0, address: self.address.0, nonce: self.nonce.0 };
        SignedAuthorization::new_unchecked(authorization, parity, self.r.0, self.s.0)
    }
}

/// What one authorization takes at least (EIP-7702, PER_EMPTY_ACCOUNT_COST).
const AUTHORIZATION_GAS: u64 = 25_000;
