//! Which code may run, and on what: the code manifest and the TEE manifest.

use synod_types::Digest;

use crate::bounded::{Blob, List, Name};
use crate::limits::{LIST_MAX, MEASUREMENT_BYTES_MAX, TCB_COMPONENTS_MAX};
use crate::macros::{record, tagged};

/// What a platform measured of the code that it started.
pub type Measurement = Blob<MEASUREMENT_BYTES_MAX>;

tagged! {
    /// What members said of a measurement.
    #[derive(Copy)]
    pub enum CodeVerdict {
        /// It may run.
        0 => Approved,
        /// It must not, whatever a signed release says.
        1 => Denied,
    }
}

record! {
    /// One build, as members judged it.
    pub struct CodeEntry {
        /// What they said.
        pub verdict: CodeVerdict,
        /// The version of the framework.
        pub framework: Name,
        /// The adapter that is built in.
        pub adapter: Name,
        /// The adapter's version.
        pub adapter_version: Name,
        /// The commit of the source from which anybody can build the same.
        pub source_commit: Blob<32>,
    }
}

record! {
    /// Signed releases that need no vote each.
    pub struct ReleaseRule {
        /// SHA-256 of the publisher's public key (SubjectPublicKeyInfo).
        #[serde(with = "crate::shape::digest")]
        pub key: Digest,
        /// What the publisher calls the product.
        pub product: Name,
        /// The lowest security version number that is accepted.
        pub svn_min: u64,
    }
}

tagged! {
    /// What encloses a node's memory.
    #[derive(Copy)]
    pub enum Platform {
        /// Nothing but processes and their operator's word.
        0 => Virtual,
        /// AMD SEV-SNP.
        1 => SevSnp,
        /// Intel TDX.
        2 => Tdx,
        /// Intel SGX.
        3 => Sgx,
    }
}

impl Platform {
    /// All platforms.
    pub const ALL: &[Self] = &[Self::Virtual, Self::SevSnp, Self::Tdx, Self::Sgx];
}

record! {
    /// Whether, and from which version on, a platform is trusted. A platform without a rule is not.
    pub struct TeeRule {
        /// Whether nodes may run on it.
        pub allowed: bool,
        /// The lowest version of each component of its TCB.
        #[serde(default)]
        pub tcb_min: List<TcbComponent, TCB_COMPONENTS_MAX>,
        /// Advisories of the vendor under which it is refused.
        #[serde(default)]
        pub advisories_denied: List<Name, LIST_MAX>,
    }
}

record! {
    /// The lowest version of one component.
    pub struct TcbComponent {
        /// The vendor's word for it.
        pub component: Name,
        /// The lowest version.
        pub version_min: u32,
    }
}
