//! ministack, an AWS written by others, on a free port.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// Runs until dropped.
pub(crate) struct Ministack {
    pub(crate) url: String,
    _process: Child,
}

impl Ministack {
    pub(crate) async fn start() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/python/bin/ministack");
        let process = Command::new(program)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("it is set up by tests/run");
        for _ in 0..600 {
            if TcpStream::connect(address).await.is_ok() {
                return Self {
                    url: format!("http://{address}"),
                    _process: process,
                };
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("ministack does not answer");
    }
}
