//! The key and the certificate of a node.

use std::fmt;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::error::{TransportError, reason};
use super::fingerprint::Fingerprint;

/// The key and the self-signed certificate of a node. A node generates them when it starts and never stores them.
#[derive(Clone)]
pub(crate) struct Identity {
    key: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
}

impl Identity {
    /// Generates a new key (ECDSA over P-256) and its certificate.
    ///
    /// # Errors
    ///
    /// If the operating system returns no random numbers.
    pub(crate) fn generate() -> Result<Self, TransportError> {
        let failed = |error: rcgen::Error| failed_to_generate(error);
        let pair = KeyPair::generate().map_err(failed)?;
        let certificate = params().self_signed(&pair).map_err(failed)?;
        let certificate = certificate.der().clone();
        let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let key = any_supported_type(&secret).map_err(failed_to_generate)?;
        let fingerprint = Fingerprint::of(&certificate);
        let key = Arc::new(CertifiedKey::new(vec![certificate], key));
        Ok(Self { key, fingerprint })
    }

    /// Returns the fingerprint of the certificate, by which other nodes recognize this node.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(super) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.key)))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: _, fingerprint } = self;
        f.debug_struct("Identity")
            .field("fingerprint", fingerprint)
            .finish_non_exhaustive()
    }
}

fn params() -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "node of a hub");
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params
}

fn failed_to_generate(error: impl std::error::Error + Send + Sync + 'static) -> TransportError {
    let message = format!(
        "cannot generate the certificate of this node: {}; check that the system provides random numbers",
        reason(&error)
    );
    TransportError::with_source(message, error)
}
