//! The limits of governance, each with its reason.

/// The longest name of an actor, a node, an adapter or a product, in bytes: room for a legal name.
pub const NAME_BYTES_MAX: usize = 256;

/// The longest note of a proposal, in bytes: a page of reasons.
pub const NOTE_BYTES_MAX: usize = 8 << 10;

/// The largest certificate, in bytes: an RSA-4096 certificate with a page of extensions fits.
pub const CERTIFICATE_BYTES_MAX: usize = 16 << 10;

/// The largest public key (SubjectPublicKeyInfo), in bytes: RSA-8192 fits.
pub const PUBLIC_KEY_BYTES_MAX: usize = 2 << 10;

/// The largest certificate revocation list, in bytes: some 6,000 revoked leaves. It is read whenever a leaf is checked.
pub const CRL_BYTES_MAX: usize = 256 << 10;

/// The most certificates that a signer presents: leaf, three of the organisation's own, and the actor's.
pub const CHAIN_CERTIFICATES_MAX: usize = 5;

/// The most members and participants together: ballots are counted one by one at each decision.
pub const ACTORS_MAX: usize = 1_000;

/// The most adapters: their ids are a byte, and each has a worker's maps.
pub const ADAPTERS_MAX: usize = 64;

/// The largest settings of an adapter, in bytes: an Ethereum genesis allocation of some thousand accounts.
pub const ADAPTER_SETTINGS_BYTES_MAX: usize = 1 << 20;

/// The most actions of one proposal: ten nodes of ten organisations at once.
pub const ACTIONS_MAX: usize = 100;

/// The largest proposal, in bytes: two adapters' settings, or a hundred certificates.
pub const PROPOSAL_BYTES_MAX: usize = 2 << 20;

/// The largest signed statement, in bytes: the largest proposal and the largest chain.
pub const STATEMENT_BYTES_MAX: usize = PROPOSAL_BYTES_MAX + SIGNED_BALLOT_BYTES_MAX;

/// The largest signed ballot, in bytes: the largest chain, and a few hundred bytes.
pub const SIGNED_BALLOT_BYTES_MAX: usize = 128 << 10;

/// The most proposals of members open at once: an organisation with a thousand pending votes has room for more.
pub const PROPOSALS_OPEN_MAX: u32 = 4_096;

/// The most proposals that one member may have open at once, so that one cannot use up everyone's room.
pub const PROPOSALS_OPEN_PER_ACTOR_MAX: u32 = 1_024;

/// The most proposals of participants open at once, apart from members': whatever they propose, members can govern.
pub const PROPOSALS_OPEN_OF_PARTICIPANTS_MAX: u32 = 1_024;

/// The most proposals that one participant may have open at once: its own nodes, several times over.
pub const PROPOSALS_OPEN_PER_PARTICIPANT_MAX: u32 = 32;

/// The most proposals of one participant on one day of ledger time: something stays in memory of each.
pub const PROPOSALS_A_DAY_MAX: u32 = 100;

/// The most expired and abandoned proposals that one transaction closes: what is left is closed by the next.
pub const EXPIRED_PER_TRANSACTION_MAX: usize = 64;

/// How deep policies and conditions may nest: deeper ones nobody reads.
pub const DEPTH_MAX: usize = 6;

/// The most parts of one policy or condition, counted over all its levels.
pub const PARTS_MAX: usize = 64;

/// The most standing rules of one member: each is looked at whenever somebody proposes.
pub const STANDING_RULES_MAX: usize = 16;

/// The most parts of conditions that are looked at for one member's rules on one proposal, over all its actions: a
/// rule of some ten parts on the largest proposal, and far less than an election's patience for all members together.
pub const RULE_STEPS_MAX: usize = 4_096;

/// The most approved and denied measurements: builds of some years.
pub const CODE_ENTRIES_MAX: usize = 1_000;

/// The most rules for signed releases: a few products of a few publishers.
pub const RELEASE_RULES_MAX: usize = 64;

/// The most auditors at once: each can read a part of the ledger.
pub const AUDITORS_MAX: usize = 100;

/// The longest measurement, in bytes: SHA-512.
pub const MEASUREMENT_BYTES_MAX: usize = 64;

/// The most components of a minimum TCB version: SEV-SNP has five, TDX sixteen.
pub const TCB_COMPONENTS_MAX: usize = 32;

/// The most entries of a list of names, pins, advisories or measurements within one entry.
pub const LIST_MAX: usize = 64;

/// The most blocks that a constitution may allow ahead of the committed one: bounds the layers in memory.
pub const BLOCKS_UNCOMMITTED_MAX: u32 = 64;

/// The longest delay before a block closes, in microseconds: ten seconds, the patience of a client.
pub const BLOCK_DELAY_US_MAX: u64 = 10_000_000;

/// The longest epoch, key lifetime, lease or expiry, in seconds: ten years.
pub const PERIOD_SECONDS_MAX: u64 = 10 * 366 * 86_400;

/// The most reasons that are kept of a proposal that failed.
pub const REASONS_MAX: usize = 200;
