//! TLS by rustls, with the meanings that libpq gives to `sslmode`.

use std::{fmt, sync::Arc};

use ermine_core::{Error, Result};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How much of the server's certificate is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    /// No TLS.
    Off,
    /// TLS where the server offers it; nothing is verified.
    IfOffered,
    /// TLS; nothing is verified.
    Nothing,
    /// Somebody we trust has signed it.
    Chain,
    /// And it is that of the host we asked for.
    Name,
}

/// TLS, or none.
#[derive(Clone)]
pub(crate) struct Tls(pub(crate) Option<MakeRustlsConnect>);

impl Tls {
    pub(crate) const fn off() -> Self {
        Self(None)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Tls(on)" } else { "Tls(off)" })
    }
}

/// Makes what sessions connect with; `root` is a PEM file that replaces the system's certificates.
pub(crate) fn connector(verify: Verify, root: Option<&str>) -> Result<Tls> {
    if verify == Verify::Off {
        return Ok(Tls::off());
    }
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match verify {
        Verify::Off | Verify::IfOffered | Verify::Nothing => {
            Arc::new(Lenient { chain: None, provider: Arc::clone(&provider) })
        }
        Verify::Chain => Arc::new(Lenient {
            chain: Some(trusted(root, Arc::clone(&provider))?),
            provider: Arc::clone(&provider),
        }),
        Verify::Name => trusted(root, Arc::clone(&provider))?,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|err| Error::configuration("cannot set up TLS").with_source(err))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Tls(Some(MakeRustlsConnect::new(config))))
}

fn trusted(root: Option<&str>, provider: Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    match root {
        Some(path) => {
            let unreadable = |err: rustls::pki_types::pem::Error| {
                Error::configuration(format!("cannot read the certificates in sslrootcert={path}"))
                    .with_source(err)
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                roots.add(certificate.map_err(unreadable)?).map_err(|err| {
                    Error::configuration(format!("cannot use a certificate in sslrootcert={path}"))
                        .with_source(err)
                })?;
            }
        }
        None => {
            let (_, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(Error::configuration(
            "there are no root certificates to verify the server's with: name a PEM file with sslrootcert=",
        ));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|err| Error::configuration("cannot verify certificates").with_source(err))
}

/// Verifies less than rustls would: the chain but not the name, or nothing at all.
#[derive(Debug)]
struct Lenient {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
