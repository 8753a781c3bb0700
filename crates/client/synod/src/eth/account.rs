//! Accounts whose keys everybody knows, for sandboxes and benchmarks.

use alloy_primitives::{Address, B256, keccak256};
use secp256k1::{PublicKey, SECP256K1, SecretKey};

/// An Ethereum account with its key.
#[derive(Clone, Debug)]
pub struct Account {
    /// The key. Not kept secret: every account here is a published one.
    pub secret: SecretKey,
    /// The address.
    pub address: Address,
}

impl Account {
    fn new(secret: [u8; 32]) -> Self {
        let secret = SecretKey::from_byte_array(secret).expect("published keys and digests are in the curve's range");
        let point = PublicKey::from_secret_key(SECP256K1, &secret).serialize_uncompressed();
        Self { secret, address: Address::from_slice(&keccak256(&point[1..])[12..]) }
    }

    /// The key as tools take it.
    pub fn secret_hex(&self) -> String {
        format!("0x{}", alloy_primitives::hex::encode(self.secret.secret_bytes()))
    }
}

/// The ten accounts that Hardhat and Anvil fund too ("test test test test test test test test test
/// test test junk"), so that tools and tutorials work as they are. Their keys are public: worth
/// nothing outside a sandbox.
pub fn dev_accounts() -> Vec<Account> {
    let key = |hex: &str| Account::new(hex.parse::<B256>().expect("a constant of 64 digits").0);
    DEV_KEYS.into_iter().map(key).collect()
}

/// The senders of `synod bench`: key `i` is keccak256("synod bench account i").
pub fn bench_accounts() -> Vec<Account> {
    (0..BENCH_ACCOUNTS).map(bench_account).collect()
}

/// Bench account `number`.
pub fn bench_account(number: usize) -> Account {
    Account::new(keccak256(format!("synod bench account {number}")).0)
}

/// How many bench accounts a sandbox funds: as many senders as a batch may hold transactions.
pub const BENCH_ACCOUNTS: usize = 1_000;

const DEV_KEYS: [&str; 10] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_development_accounts_are_the_ones_that_tools_know() {
        let addresses: Vec<_> = dev_accounts().iter().map(|account| account.address.to_checksum(None)).collect();
        assert_eq!(
            addresses,
            [
                "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
                "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
                "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
                "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
                "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
                "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc",
                "0x976EA74026E726554dB657fA54763abd0C3a0aa9",
                "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955",
                "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f",
                "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720",
            ]
        );
    }
}
