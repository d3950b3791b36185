//! What is asked of a socket, and what is said when nothing good comes of it.

use camino::Utf8PathBuf;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::*;

fn place() -> (TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = Utf8Path::from_path(folder.path())
        .unwrap()
        .join("http.sock");
    (folder, socket)
}

/// Answers one request on a socket, and returns what it was.
async fn serve(listener: UnixListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut asked = vec![0; 4096];
    let length = stream.read(&mut asked).await.unwrap();
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8_lossy(&asked[..length]).into_owned()
}

#[tokio::test]
async fn the_registry_is_asked_for_its_map() {
    let (_folder, socket) = place();
    let listener = UnixListener::bind(&socket).unwrap();
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"nodes\":[]}";
    let (asked, said) = tokio::join!(serve(listener, answer), ask(&socket));
    assert!(asked.starts_with("GET /local/map HTTP/1.1\r\n"), "{asked}");
    assert_eq!(said.unwrap(), r#"{"nodes":[]}"#);
}

#[tokio::test]
async fn who_is_not_there_or_knows_no_map_is_named() {
    let (_folder, socket) = place();
    let absent = ask(&socket).await.unwrap_err().to_string();
    let words = format!("no registry listens at `{socket}`");
    assert!(absent.starts_with(&words), "{absent}");

    for (answer, words) in [
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "has no map: it answers 404 Not Found",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{",
            "ceased to answer",
        ),
        ("nonsense\r\n\r\n", "does not answer"),
    ] {
        let listener = UnixListener::bind(&socket).unwrap();
        let (_, said) = tokio::join!(serve(listener, answer), ask(&socket));
        let said = format!("{:#}", said.unwrap_err());
        assert!(
            said.contains(words) && said.contains(socket.as_str()),
            "{said}"
        );
        std::fs::remove_file(&socket).unwrap();
    }
}
