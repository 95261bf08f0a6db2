//! A health endpoint that is well, or not, as it is told.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::Result;

/// A running health endpoint. It ends with the runtime.
#[derive(Clone, Debug)]
pub struct HealthEndpoint {
    /// Where it answers.
    pub url: String,
    well: Arc<AtomicBool>,
}

impl HealthEndpoint {
    /// Starts one that is well.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> Result<HealthEndpoint> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/health", listener.local_addr()?);
        let well = Arc::new(AtomicBool::new(true));
        let state = Arc::clone(&well);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let status = if state.load(Ordering::Relaxed) { "200 OK" } else { "503 Service Unavailable" };
                let mut request = [0; 1_024];
                let _ = stream.read(&mut request).await;
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Ok(HealthEndpoint { url, well })
    }

    /// From now on it answers 200, or 503.
    pub fn set(&self, well: bool) {
        self.well.store(well, Ordering::Relaxed);
    }
}
