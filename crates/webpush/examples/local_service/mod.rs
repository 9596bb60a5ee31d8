//! A push service for the examples: it listens on this machine, and accepts every message.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use webpush::{Origin, Receiver, base64url};

/// Starts the service for `messages` messages. Returns a subscription at it, as a browser's JSON, and its origin.
pub(crate) fn start(messages: usize) -> Result<(String, Origin), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let origin = Origin::parse(&format!("http://{}", listener.local_addr()?))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().take(messages).flatten() {
            std::thread::spawn(|| serve(stream));
        }
    });
    let browser = Receiver::generate()?;
    let p256dh = base64url::encode(browser.keys().p256dh());
    let auth = base64url::encode(browser.keys().auth());
    let json = format!(
        r#"{{"endpoint": "{origin}/push/1", "keys": {{"p256dh": "{p256dh}", "auth": "{auth}"}}}}"#
    );
    Ok((json, origin))
}

/// Answers every request on one connection with 201 (RFC 8030, section 5).
fn serve(stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            if line == "\r\n" {
                break;
            }
        }
        io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
        writer.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")?;
    }
}
