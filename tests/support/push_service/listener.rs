//! Port, certificate and protocols of a push service.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::PushService;
use crate::support::push_service::checks::{Clock, Judge, wall_clock};

/// Accepts connections.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    /// `None` for plain HTTP.
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) http: auto::Builder<TokioExecutor>,
}

/// Settings of the service's port and protocols.
pub(crate) struct Builder {
    tls: bool,
    http1: bool,
    http2: bool,
    max_streams: Option<u32>,
    wns: bool,
    clock: Clock,
}

impl Default for Builder {
    /// HTTP/2 and HTTP/1.1 over TLS, with the system's clock.
    fn default() -> Self {
        Self {
            tls: true,
            http1: true,
            http2: true,
            max_streams: None,
            wns: false,
            clock: wall_clock(),
        }
    }
}

impl Builder {
    /// Only HTTP/1.1.
    pub(crate) fn http1_only(mut self) -> Self {
        (self.http1, self.http2) = (true, false);
        self
    }

    /// Only HTTP/2.
    pub(crate) fn http2_only(mut self) -> Self {
        (self.http1, self.http2) = (false, true);
        self
    }

    /// `SETTINGS_MAX_CONCURRENT_STREAMS` of each HTTP/2 connection.
    pub(crate) fn max_streams(mut self, streams: u32) -> Self {
        self.max_streams = Some(streams);
        self
    }

    /// HTTP/1.1 without TLS.
    pub(crate) fn plain(mut self) -> Self {
        self.tls = false;
        self.http1_only()
    }

    /// Takes `X-WNS-*` as the Windows Notification Service does.
    pub(crate) fn wns(mut self) -> Self {
        self.wns = true;
        self
    }

    /// The clock for `exp`, in Unix seconds.
    pub(crate) fn clock(mut self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Listens on a free port, on the caller's runtime.
    pub(crate) async fn start(self) -> PushService {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback has a free port");
        let port = socket.local_addr().expect("it is bound").port();
        let scheme = if self.tls { "https" } else { "http" };
        let origin = format!("{scheme}://localhost:{port}");
        let (tls, ca_file) = self.certify();
        let listener = Listener {
            socket,
            tls: self.tls.then(|| TlsAcceptor::from(Arc::new(tls))),
            http: self.http(),
        };
        PushService::open(Judge::new(origin, self.wns, self.clock), listener, ca_file)
    }

    fn http(&self) -> auto::Builder<TokioExecutor> {
        let mut http = auto::Builder::new(TokioExecutor::new());
        if let Some(streams) = self.max_streams {
            http.http2().max_concurrent_streams(streams);
        }
        match (self.http1, self.http2) {
            (true, false) => http.http1_only(),
            (false, true) => http.http2_only(),
            _ => http,
        }
    }

    /// A new certificate authority for this service, and a certificate signed by it.
    fn certify(&self) -> (ServerConfig, NamedTempFile) {
        let key = || KeyPair::generate().expect("there is randomness");
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = key();
        // OpenSSL confuses authorities of the same name in one file.
        let name = URL_SAFE_NO_PAD.encode(&ca_key.public_key_raw()[1..17]);
        ca.distinguished_name.push(DnType::CommonName, name);
        let ca = CertifiedIssuer::self_signed(ca, ca_key).expect("it signs itself");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let server_key = key();
        let certificate = CertificateParams::new(names)
            .and_then(|params| params.signed_by(&server_key, &ca))
            .expect("the authority signs");

        let mut ca_file = NamedTempFile::with_suffix(".pem").expect("there is a place for it");
        ca_file.write_all(ca.pem().as_bytes()).expect("and room");

        let private = PrivatePkcs8KeyDer::from(server_key.serialize_der());
        let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has both versions of TLS")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::from(private),
            )
            .expect("the key is the certificate's");
        if self.http2 {
            tls.alpn_protocols.push(b"h2".to_vec());
        }
        if self.http1 {
            tls.alpn_protocols.push(b"http/1.1".to_vec());
        }
        (tls, ca_file)
    }
}
