//! Requests to what the local AWS answers beside AWS: its settings and its fault proxy.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Result;

/// Both answer in milliseconds; a machine that is busy with other tests takes longer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Makes a request with a JSON body.
///
/// # Errors
/// When there is no answer, or one that is no success; the error has its text.
pub(crate) async fn request(method: &str, url: &str, body: &str) -> Result<()> {
    let asked = timeout(ANSWER_MAX, answer(method, url, body)).await;
    let answer = asked.map_err(|_| format!("{url} does not answer within {ANSWER_MAX:?}"))??;
    match answer.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(()),
        _ => Err(format!("{url} refuses {body}: {answer}").into()),
    }
}

async fn answer(method: &str, url: &str, body: &str) -> Result<String> {
    let rest = url.trim_start_matches("http://");
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut stream = TcpStream::connect(host).await?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
