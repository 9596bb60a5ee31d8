//! An HTTP client that sends any request, right or wrong, over one connection.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::PushService;

/// The protocols that an ordinary client offers.
pub(crate) const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One connection to a push service.
pub(crate) struct Client {
    origin: String,
    sender: Sender,
}

enum Sender {
    Http1(Mutex<http1::SendRequest<Full<Bytes>>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An answer whose headers have arrived.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Incoming,
}

impl Answer {
    /// The whole body.
    pub(crate) async fn read(self) -> Bytes {
        let body = self.body.collect().await;
        body.expect("the answer is whole").to_bytes()
    }

    /// The whole body, which must be JSON.
    pub(crate) async fn json(self) -> Value {
        serde_json::from_slice(&self.read().await).expect("the answer is JSON")
    }
}

impl Client {
    /// Connects, and trusts the service's own certificate authority. `alpn` are the offered protocols.
    pub(crate) async fn connect(service: &PushService, alpn: &[&[u8]]) -> Result<Self, Failure> {
        let origin = service.origin();
        let (scheme, authority) = origin.split_once("://").ok_or("no scheme")?;
        let (host, _) = authority.split_once(':').ok_or("no port")?;
        let stream = TcpStream::connect(authority).await?;
        let sender = if scheme == "http" {
            Self::speak(stream, false).await?
        } else {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(service.ca_file())?)?;
            let provider = Arc::new(aws_lc_rs::default_provider());
            let mut tls = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
            tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            let name = ServerName::try_from(host.to_owned())?;
            let connector = TlsConnector::from(Arc::new(tls));
            let stream = connector.connect(name, stream).await?;
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            Self::speak(stream, http2).await?
        };
        Ok(Self { origin, sender })
    }

    async fn speak(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        http2: bool,
    ) -> Result<Sender, hyper::Error> {
        let io = TokioIo::new(stream);
        Ok(if http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await?;
            tokio::spawn(connection);
            Sender::Http1(Mutex::new(sender))
        })
    }

    /// Sends one request. The body of the answer is still to be read.
    pub(crate) async fn send(&self, mut request: Request<Bytes>) -> Result<Answer, hyper::Error> {
        if matches!(self.sender, Sender::Http1(_)) {
            let host = self.origin.split_once("://").expect("a scheme").1;
            let host = HeaderValue::from_str(host).expect("a host");
            request.headers_mut().insert("host", host);
            let path = request.uri().path().parse().expect("a path is a URI");
            *request.uri_mut() = path;
        }
        let request = request.map(Full::new);
        let response = match &self.sender {
            Sender::Http1(sender) => sender.lock().await.send_request(request).await?,
            Sender::Http2(sender) => sender.clone().send_request(request).await?,
        };
        let (head, body) = response.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }
}
