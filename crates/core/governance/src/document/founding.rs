//! What a founding document leaves to the files beside it: certificates, and keys that are made with the network.

use synod_types::NodeId;
use toml::Spanned;

use super::parse::Reader;
use crate::bounded::Blob;
use crate::entries::CertificateDer;
use crate::limits::PUBLIC_KEY_BYTES_MAX;

/// A public key, SPKI in DER.
type Key = Blob<PUBLIC_KEY_BYTES_MAX>;

/// What stands beside a founding document.
pub struct Beside<'a> {
    /// The certificate in the file of this name, or what is wrong with it.
    pub certificate: &'a dyn Fn(&str) -> Result<CertificateDer, String>,
    /// The public key that the node in this slot is given.
    pub node_key: &'a dyn Fn(NodeId) -> Blob<PUBLIC_KEY_BYTES_MAX>,
}

impl Reader<'_> {
    /// An actor's certificate, wherever it stands.
    pub(super) fn certificate(
        &mut self,
        at: usize,
        inline: Option<CertificateDer>,
        file: Option<Spanned<String>>,
    ) -> Option<CertificateDer> {
        let found = match (inline, file, self.beside) {
            (Some(certificate), None, _) => return Some(certificate),
            (None, Some(file), Some(beside)) => {
                (beside.certificate)(file.get_ref()).map_err(|reason| (file.span().start, reason))
            }
            (_, Some(file), None) => Err((file.span().start, "unknown field `certificate_file`".into())),
            (Some(_), Some(file), Some(_)) => {
                Err((file.span().start, "there is a certificate beside certificate_file".into()))
            }
            (None, None, None) => Err((at, "missing field `certificate`".into())),
            (None, None, Some(_)) => Err((at, "missing field `certificate`, or `certificate_file`".into())),
        };
        found.map_err(|(at, reason)| self.refuse(at, reason)).ok()
    }

    /// A node's key: the listed one, or in a founding document a new one.
    pub(super) fn public_key(&mut self, at: usize, slot: NodeId, listed: Option<Spanned<Key>>) -> Option<Key> {
        let (at, reason) = match (listed, self.beside) {
            (Some(key), None) => return Some(key.into_inner()),
            (None, Some(beside)) => return Some((beside.node_key)(slot)),
            (None, None) => (at, "missing field `public_key`".to_owned()),
            (Some(key), Some(_)) => {
                (key.span().start, format!("the key of node {slot} is made with the network: leave out public_key"))
            }
        };
        self.refuse(at, reason);
        None
    }
}
