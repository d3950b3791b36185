//! One HTTP request, as a browser on the host would send it, in so few lines that the bench needs no client library.
//! Plain HTTP only: TLS is the product's business and is tested through its own programs.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Fetches `path` from the server at `address` and returns the body of a good answer.
pub async fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("cannot connect to {address}"))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: */*\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .context("cannot send a request")?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .await
        .context("cannot read the answer")?;
    parse(&String::from_utf8_lossy(&answer))
}

fn parse(answer: &str) -> Result<String> {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("the connection was closed without an answer")
    };
    let status = head.lines().next().unwrap_or_default();
    match status.split_whitespace().nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => bail!("the answer was “{status}”"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_good_answer_has_a_body() {
        assert_eq!(
            parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\n<p>hello").unwrap(),
            "<p>hello"
        );
        assert!(
            parse("HTTP/1.1 502 Bad Gateway\r\n\r\nx")
                .unwrap_err()
                .to_string()
                .contains("502")
        );
        assert!(parse("").is_err());
    }
}
