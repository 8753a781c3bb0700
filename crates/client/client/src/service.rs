//! The service's certificate after members had it take another key: what a client may pin from then on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use synod_crypto::rotated::{check_service, is_endorsed};
use synod_crypto::{Certificate, VerifyingKey};
use synod_ledger::ServiceHistory;
use synod_types::{NodeId, Time, TxId};

use crate::{Client, ClientError, LinkError, Request, Response};

/// What nodes tell of the service's keys, as it follows from the pinned one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePapers {
    /// The certificate in force, signed by itself.
    pub certificate: Certificate,
    /// Certificates of the same key, each signed by an earlier key of the service; one of them by the pinned key, unless
    /// that is the one in force.
    pub endorsements: Vec<Certificate>,
    /// Which keys the service has had, and for which transactions each signed.
    pub history: ServiceHistory,
    /// Whether the pinned key is no longer in force.
    pub is_new: bool,
    text: String,
}

/// The papers of the node that knows the latest key, and what each node said.
#[derive(Debug)]
pub struct ServiceInForce {
    /// The latest papers.
    pub papers: ServicePapers,
    /// What each node said, in the order of the network file.
    pub nodes: Vec<NodeKnows>,
}

/// What one node said of the service's key.
#[derive(Debug)]
pub struct NodeKnows {
    /// The node.
    pub node: NodeId,
    /// As what it knows the key in force, and at which transaction; or why it does not tell.
    pub answer: Result<KnownKey, ClientError>,
}

/// A key that a node takes for the one in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// The key.
    pub key: VerifyingKey,
    /// The last transaction that the node knew to be committed.
    pub at: TxId,
}

impl ServicePapers {
    /// All of it in PEM. As a file, the first certificate is what a client pins, and receipts under earlier keys are judged by
    /// the rest.
    pub fn to_pem(&self) -> &str {
        &self.text
    }

    /// Reads what a node tells, and checks at `now` that it follows from the key `pinned`.
    ///
    /// That the pinned key signed something is not enough: it signs nodes' certificates too, and whoever holds a node's key
    /// would become the service.
    fn read(text: &[u8], pinned: &VerifyingKey, now: Time) -> Result<Self, &'static str> {
        let unreadable = "certificates that cannot be read";
        let certificates =
            CertificateDer::pem_slice_iter(text).map(|der| Certificate::from_der(der.ok()?.to_vec()).ok());
        let mut certificates = certificates.collect::<Option<Vec<_>>>().ok_or(unreadable)?.into_iter();
        let certificate = certificates.next().ok_or("no certificate of the service")?;
        let key = certificate.verifying_key().map_err(|_| unreadable)?;
        let endorsements: Vec<_> = certificates.collect();
        let is_of_key = |endorsement: &Certificate| endorsement.verifying_key().as_ref() == Ok(&key);
        if !is_endorsed(&certificate, &key) || !endorsements.iter().all(is_of_key) {
            return Err("certificates of the service that do not belong together");
        }
        if std::iter::once(&certificate).chain(&endorsements).any(|one| check_service(one, now).is_err()) {
            return Err("certificates that are none of the service's, or not valid now");
        }
        let is_new = key != *pinned;
        if is_new && !endorsements.iter().any(|endorsement| is_endorsed(endorsement, pinned)) {
            return Err("a certificate of the service that the pinned one does not endorse");
        }
        let no_history = "no history of the service's keys that the one in force signed";
        let text = String::from_utf8(text.to_vec()).map_err(|_| unreadable)?;
        let history = ServiceHistory::from_pem(&text, &key).ok().flatten().ok_or(no_history)?;
        Ok(Self { certificate, endorsements, history, is_new, text })
    }
}

impl Client {
    /// Asks all nodes for the service's certificate in force, since one may lag behind; checked from the one that this client
    /// pins. What no node that answers has heard of is not told.
    ///
    /// # Errors
    /// If no node answers, what it tells does not follow from the pinned certificate, or two contradict each other.
    ///
    /// # Panics
    /// If it is not called within a tokio runtime.
    pub async fn service(&self) -> Result<ServiceInForce, ClientError> {
        let pinned = Certificate::from_der(self.pinned().to_vec()).and_then(|certificate| certificate.verifying_key());
        let pinned =
            pinned.map_err(|_| ClientError::CertificatesRefused(rustls::Error::General("not on P-256".into())))?;
        let request = Request { at_least: self.mark(), ..Request::get("/node/service") };
        let asked: Vec<_> = self.nodes().iter().map(|node| (node.id, self.clone(), request.clone())).collect();
        let asked = asked
            .into_iter()
            .map(|(node, client, request)| (node, tokio::spawn(async move { client.send_to(node, &request).await })));
        let mut answers = Vec::new();
        for (node, asked) in asked.collect::<Vec<_>>() {
            let answer = asked.await.unwrap_or(Err(LinkError::TimedOut));
            let none = |source| ClientError::NoNodeAnswered { within: Duration::ZERO, node, source };
            answers.push((node, answer.map_err(none).and_then(|response| read(node, &response, &pinned))));
        }
        if answers.iter().all(|(_, answer)| matches!(answer, Err(ClientError::NoNodeAnswered { .. }))) {
            // They may be starting.
            let response = self.send(request).await?;
            let node = self.preferred();
            answers.retain(|(asked, _)| *asked != node);
            answers.push((node, read(node, &response, &pinned)));
        }
        latest(answers)
    }
}

/// What a node said: its papers, and at which transaction.
type Said = (NodeId, Result<(ServicePapers, TxId), ClientError>);

/// The papers that all others lead to.
fn latest(answers: Vec<Said>) -> Result<ServiceInForce, ClientError> {
    let known = |(node, answer): &Said| answer.as_ref().ok().map(|(papers, _)| (*node, papers.clone()));
    let told: Vec<_> = answers.iter().filter_map(known).collect();
    let leads = |one: &ServicePapers| told.iter().find(|(_, other)| !one.history.follows(&other.history));
    let Some(papers) = told.iter().find(|(_, one)| leads(one).is_none()).map(|(_, papers)| papers.clone()) else {
        return Err(match told.first().and_then(|(_, one)| leads(one)) {
            Some((node, _)) => {
                let what =
                    "keys of the service that contradict those of another node: trust neither before you know why";
                ClientError::AnswerNotUnderstood { node: *node, what: what.into() }
            }
            None => answers.into_iter().find_map(|(_, answer)| answer.err()).unwrap_or(ClientError::NoNodes),
        });
    };
    let knows = |(node, answer): Said| {
        let answer = answer.map(|(papers, at)| KnownKey { key: papers.history.in_force().key.clone(), at });
        NodeKnows { node, answer }
    };
    Ok(ServiceInForce { papers, nodes: answers.into_iter().map(knows).collect() })
}

fn read(node: NodeId, response: &Response, pinned: &VerifyingKey) -> Result<(ServicePapers, TxId), ClientError> {
    if !response.is_success() {
        let hint = response.error().and_then(|error| error.hint);
        return Err(ClientError::Refused { node, status: response.status, message: response.summary(), hint });
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Time(u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
    let papers = ServicePapers::read(&response.body, pinned, now);
    let read = papers.and_then(|papers| Ok((papers, response.txid.ok_or("no transaction id")?)));
    read.map_err(|what| ClientError::AnswerNotUnderstood { node, what: what.into() })
}

#[cfg(test)]
mod tests {
    use synod_crypto::rotated::endorsement;
    use synod_crypto::x509::{Validity, node_certificate, service_certificate};
    use synod_crypto::{ServiceKey, VerifyingKey};
    use synod_ledger::ServiceIdentity;
    use synod_types::{Seqno, View};

    use super::*;

    const NOW: Time = Time(1_700_000_000_000_000);

    fn key(seed: u8) -> ServiceKey {
        ServiceKey::from_seed(&[seed; 32])
    }

    /// What a node tells of a service with the key `key`, which had the keys `by` before, the latest first.
    fn text(key: &ServiceKey, by: &[ServiceKey]) -> String {
        certificates(key, by) + &history(key, by).to_pem(&ServiceIdentity::new(key.clone()))
    }

    fn certificates(key: &ServiceKey, by: &[ServiceKey]) -> String {
        let validity = Validity::days(NOW, 30);
        let endorsements = by.iter().map(|by| endorsement(by, key.verifying_key(), validity));
        std::iter::once(service_certificate(key, validity)).chain(endorsements).map(|one| one.to_pem()).collect()
    }

    fn history(key: &ServiceKey, by: &[ServiceKey]) -> ServiceHistory {
        let mut keys = by.iter().rev().chain([key]).map(|key| key.verifying_key().clone());
        let mut history = ServiceHistory::new(keys.next().unwrap());
        (1..).zip(keys).for_each(|(nth, key)| history.push(key, txid(10 * nth)));
        history
    }

    fn txid(seqno: u64) -> TxId {
        TxId::new(View(2), Seqno(seqno))
    }

    fn read(text: &str, pinned: &ServiceKey) -> Result<(VerifyingKey, bool), &'static str> {
        let read = ServicePapers::read(text.as_bytes(), pinned.verifying_key(), NOW)?;
        assert_eq!(read.to_pem(), text);
        Ok((read.certificate.verifying_key().unwrap(), read.is_new))
    }

    #[test]
    fn the_certificate_in_force_follows_from_the_pinned_key_or_is_refused() {
        let in_force = key(3);
        let (public, told) = (in_force.verifying_key().clone(), text(&in_force, &[key(2), key(1)]));
        assert_eq!(read(&told, &key(1)), Ok((public.clone(), true)));
        assert_eq!(read(&told, &key(2)), Ok((public.clone(), true)));
        assert_eq!(read(&told, &in_force), Ok((public, false)));
        assert_eq!(read(&told, &key(9)), Err("a certificate of the service that the pinned one does not endorse"));
        assert_eq!(read("", &key(1)), Err("no certificate of the service"));
        let broken = told.replacen("MII", "AII", 1);
        assert_eq!(read(&broken, &key(1)), Err("certificates that cannot be read"));
        let mixed = text(&key(4), &[]) + &told;
        assert_eq!(read(&mixed, &key(1)), Err("certificates of the service that do not belong together"));
    }

    #[test]
    fn who_holds_a_nodes_key_does_not_become_the_service() {
        const NONE: &str = "certificates that are none of the service's, or not valid now";
        let (service, thief) = (key(1), key(9));
        let validity = Validity::days(NOW, 30);
        let slot = node_certificate(&service, NodeId(2), thief.verifying_key(), &[], validity).unwrap().to_pem();
        let own = service_certificate(&thief, validity).to_pem();
        assert_eq!(read(&format!("{own}{slot}"), &service), Err(NONE));
        assert_eq!(read(&slot, &service), Err("certificates of the service that do not belong together"));

        let told = text(&key(2), std::slice::from_ref(&service));
        let late = NOW.after(std::time::Duration::from_secs(31 * 86_400));
        assert_eq!(ServicePapers::read(told.as_bytes(), service.verifying_key(), late).unwrap_err(), NONE);
    }

    #[test]
    fn papers_without_a_history_that_the_key_in_force_signed_are_refused() {
        const NONE: &str = "no history of the service's keys that the one in force signed";
        let by = [key(1)];
        assert_eq!(read(&certificates(&key(2), &by), &key(1)), Err(NONE));
        let of_another = history(&key(3), &by).to_pem(&ServiceIdentity::new(key(3)));
        assert_eq!(read(&(certificates(&key(2), &by) + &of_another), &key(1)), Err(NONE));
    }

    #[test]
    fn the_latest_key_that_a_node_knows_is_in_force_whatever_those_say_that_lag_or_do_not_answer() {
        let pinned = key(1);
        let told = |node, key: &ServiceKey, by: &[ServiceKey], at| {
            let papers = ServicePapers::read(text(key, by).as_bytes(), pinned.verifying_key(), NOW).unwrap();
            (NodeId(node), Ok((papers, txid(at))))
        };
        let silent = |node| {
            let node = NodeId(node);
            (node, Err(ClientError::NoNodeAnswered { within: Duration::ZERO, node, source: LinkError::TimedOut }))
        };
        let first = || told(1, &key(1), &[], 9);
        let second = || told(2, &key(2), &[key(1)], 15);
        let third = || told(3, &key(3), &[key(2), key(1)], 21);
        let found = latest(vec![first(), second(), third(), silent(4)]).unwrap();
        assert_eq!(found.papers.certificate.verifying_key().as_ref(), Ok(key(3).verifying_key()));
        let knows: Vec<_> = found.nodes.iter().map(|one| one.answer.as_ref().ok().map(|known| known.at)).collect();
        assert_eq!(knows, [Some(txid(9)), Some(txid(15)), Some(txid(21)), None]);
        assert!(!latest(vec![first(), silent(2)]).unwrap().papers.is_new);

        // Who holds the first key makes another second one.
        let forged = told(3, &key(9), &[key(1)], 99);
        let refused = latest(vec![first(), second(), forged]).unwrap_err();
        assert!(matches!(refused, ClientError::AnswerNotUnderstood { .. }), "{refused}");
        assert!(matches!(latest(vec![silent(1), silent(2)]), Err(ClientError::NoNodeAnswered { .. })));
    }
}
