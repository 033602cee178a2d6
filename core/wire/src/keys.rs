//! The server's keys: a certificate for TLS, an RSA pair for passwords on connections without it.
//!
//! No files here: see [`crate::key_files`].

use std::sync::Arc;

use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts;
use rsa::{Oaep, RsaPrivateKey};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha1::Sha1;

use crate::error::{WireError, WireResult};

/// Bits of a new RSA key, as MySQL makes them.
const RSA_BITS: usize = 2048;

/// Keys of a server, shared by its connections.
pub struct ServerKeys {
    tls: Arc<ServerConfig>,
    rsa: RsaPrivateKey,
    public_pem: String,
}

impl std::fmt::Debug for ServerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerKeys(..)")
    }
}

impl ServerKeys {
    /// From PEM texts: the certificate (with its chain) and its key, and the RSA key for passwords.
    ///
    /// # Errors
    /// `Keys` when one is not what it should be, or certificate and key do not belong together.
    pub fn from_pem(certificate: &str, key: &str, rsa_key: &str) -> WireResult<Self> {
        let rsa = RsaPrivateKey::from_pkcs8_pem(rsa_key)
            .or_else(|_| RsaPrivateKey::from_pkcs1_pem(rsa_key))
            .map_err(|error| WireError::Keys(format!("RSA private key: {error}")))?;
        let public = rsa.to_public_key().to_public_key_pem(LineEnding::LF);
        let public_pem = public.map_err(|error| WireError::Keys(format!("RSA public key: {error}")))?;
        Ok(Self { tls: Arc::new(tls_config(certificate, key)?), rsa, public_pem })
    }

    /// New keys that are stored nowhere; takes a second or so.
    ///
    /// # Errors
    /// `Keys` when they cannot be made.
    pub fn generate() -> WireResult<Self> {
        let tls = GeneratedCertificate::new()?;
        Self::from_pem(&tls.certificate, &tls.key, &generate_rsa_key()?)
    }

    /// What TLS connections are made with.
    #[must_use]
    pub fn tls(&self) -> Arc<ServerConfig> {
        self.tls.clone()
    }

    /// The public half of the RSA pair, for clients that ask.
    #[must_use]
    pub fn public_key_pem(&self) -> &str {
        &self.public_pem
    }

    /// Decrypts what was encrypted for [`ServerKeys::public_key_pem`] with OAEP; `None` when it was
    /// not.
    #[must_use]
    pub fn decrypt(&self, ciphertext: &[u8]) -> Option<Vec<u8>> {
        if ciphertext.len() != self.rsa.size() {
            return None;
        }
        self.rsa.decrypt_blinded(&mut OsRng, Oaep::new::<Sha1>(), ciphertext).ok()
    }
}

fn tls_config(certificate: &str, key: &str) -> WireResult<ServerConfig> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| WireError::Keys(format!("certificate: {error}")))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| WireError::Keys(format!("key of the certificate: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| WireError::Keys(format!("certificate: {error}")))
}

/// A certificate authority and a certificate signed by it, as PEM texts.
pub(crate) struct GeneratedCertificate {
    pub(crate) ca: String,
    pub(crate) ca_key: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl GeneratedCertificate {
    pub(crate) fn new() -> WireResult<Self> {
        Self::generate().map_err(|error| WireError::Keys(format!("new certificate: {error}")))
    }

    fn generate() -> Result<Self, rcgen::Error> {
        let ca_key = rcgen::KeyPair::generate()?;
        let mut ca_params = rcgen::CertificateParams::new(Vec::new())?;
        ca_params.distinguished_name = named("Aquifer auto-generated CA");
        ca_params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        ca_params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        let ca = ca_params.self_signed(&ca_key)?;
        let issuer = rcgen::Issuer::new(ca_params, &ca_key);

        let key = rcgen::KeyPair::generate()?;
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = rcgen::CertificateParams::new(names)?;
        params.distinguished_name = named("Aquifer auto-generated server certificate");
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Self {
            ca: ca.pem(),
            ca_key: ca_key.serialize_pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn named(common_name: &str) -> rcgen::DistinguishedName {
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::CommonName, common_name);
    name
}

/// A new RSA key as PKCS #8 PEM; takes a second or so.
pub(crate) fn generate_rsa_key() -> WireResult<String> {
    let failed = |error: String| WireError::Keys(format!("new RSA key: {error}"));
    let key = RsaPrivateKey::new(&mut OsRng, RSA_BITS).map_err(|error| failed(error.to_string()))?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| failed(error.to_string()))?;
    Ok(pem.to_string())
}
