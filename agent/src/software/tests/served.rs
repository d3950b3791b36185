//! Releases fetched from a server that is sometimes not what it should be.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;
use zbus::Guid;
use zbus::connection::Builder;

use super::*;
use crate::observed::Software;
use crate::software::installer::Installer;
use crate::systemd::Systemd;

/// A workshop where nothing is ever built: without a builder, and nobody is behind its systemd.
pub(in crate::software) async fn workshop() -> Workshop {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let theirs = Builder::unix_stream(theirs).server(Guid::generate()).p2p();
    let ours = Builder::unix_stream(ours).p2p();
    let (_, ours) = tokio::try_join!(theirs.build(), ours.build()).unwrap();
    Workshop {
        systemd: Systemd::new(ours),
        etc: "/etc".into(),
        instances: "/srv/slapgrid".into(),
        run: "/run/slapbox".into(),
        builder: None,
        proxy: None,
        clock: std::time::SystemTime::now,
        cache: Default::default(),
    }
}

/// Installs a release alone.
async fn installed(folder: &Utf8Path, url: &SoftwareUrl) -> Result<(), SoftwareError> {
    let (workshop, turns) = (workshop().await, Turns::default());
    let installed = install(&fetcher(), &workshop, &turns, folder, url).await;
    installed.map(|origin| assert_eq!(origin, Origin::Fetched))
}

/// A server on this machine that has the demo, compressed and not, and a few traps.
async fn server() -> String {
    let demo = || layout(vec![gzip(&tar_of(&[file("bin/serve", "#!")]))]).bytes();
    let cut = || async {
        let pieces = futures_util::stream::unfold(0, async |number| match number {
            0 => Some((Ok(vec![0_u8; 1000]), 1)),
            _ => {
                // After the head is on its way.
                tokio::time::sleep(Duration::from_millis(100)).await;
                Some((Err(std::io::Error::other("cut")), 2))
            }
        });
        Body::from_stream(pieces)
    };
    let huge = || async {
        let length = [(header::CONTENT_LENGTH, (1_u64 << 60).to_string())];
        let pending = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        (length, Body::from_stream(pending))
    };
    let elsewhere = || async {
        let to = [(header::LOCATION, "ftp://example.invalid/x.oci.tar")];
        (StatusCode::FOUND, to)
    };
    let router = Router::new()
        .route("/demo.oci.tar", get(async move || demo()))
        .route("/demo.oci.tar.gz", get(async move || gzip(&demo())))
        .route(
            "/demo.oci.tar.zst",
            get(async move || zstd::encode_all(demo().as_slice(), 3).unwrap()),
        )
        .route("/cut.oci.tar", get(cut))
        .route("/huge.oci.tar", get(huge))
        .route("/elsewhere.oci.tar", get(elsewhere));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

pub(in crate::software) fn fetcher() -> Fetcher {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Fetcher::new(|_| reqwest::Client::new())
}

fn software() -> (tempfile::TempDir, Utf8PathBuf) {
    let keep = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
    (keep, path)
}

#[tokio::test]
async fn a_release_is_installed_from_each_kind_of_archive_and_removed() {
    let (_keep, folder) = software();
    let server = server().await;
    for name in [
        "demo.oci.tar",
        "demo.oci.tar.gz",
        "demo.oci.tar.zst",
        "demo.oci.tar?v=2",
    ] {
        let url = SoftwareUrl::new(format!("{server}/{name}"));
        installed(&folder, &url).await.unwrap();
        assert!(is_installed(&folder, &url));
        let rootfs = read(&folder, &url).unwrap().rootfs;
        assert!(rootfs.join("bin/serve").exists());
        remove(&folder, &ReleaseId::of(&url)).await.unwrap();
        remove(&folder, &ReleaseId::of(&url)).await.unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn what_cannot_be_fetched_is_said_in_words_and_leaves_nothing() {
    let (_keep, folder) = software();
    let server = server().await;
    for (url, expected) in [
        (
            format!("{server}/none.oci.tar"),
            "failed to fetch it: its server answers 404 Not Found",
        ),
        (
            format!("{server}/cut.oci.tar"),
            "failed to fetch it: failed to receive it: ",
        ),
        (
            format!("{server}/huge.oci.tar"),
            "failed to fetch it: it has 1152921504606846976 bytes, and there is room for ",
        ),
        (
            format!("{server}/elsewhere.oci.tar"),
            "failed to fetch it: ",
        ),
        (
            format!("{server}/software.zip"),
            "no engine installs it: its URL must end in .oci.tar",
        ),
        (
            format!("{server}/software.cfg"),
            "failed to build it: this box has no builder: write `builder = ",
        ),
        (
            "http://example.invalid/x.oci.tar".into(),
            "failed to fetch it: it is not fetched over https",
        ),
        (
            "not a url.oci.tar".into(),
            "failed to fetch it: `not a url.oci.tar` is not a URL",
        ),
        (
            "https://127.0.0.1:1/x.oci.tar".into(),
            "failed to fetch it: failed to ask its server: ",
        ),
    ] {
        let url = SoftwareUrl::new(url);
        let error = installed(&folder, &url).await.unwrap_err();
        let words = words(error);
        assert!(words.starts_with(expected), "{words}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{url}");
    }
}

#[tokio::test]
async fn work_in_the_background_says_when_it_ends_and_rests_after_a_failure() {
    let (_keep, folder) = software();
    let server = server().await;
    let changes = tokio::sync::watch::Sender::new(0);
    let mut ended = changes.subscribe();
    let installer = Installer::new(fetcher(), workshop().await, folder, changes);
    let good = SoftwareUrl::new(format!("{server}/demo.oci.tar"));
    assert_eq!(installer.observe(&good), Software::Absent);
    installer.install(&good);
    installer.install(&good);
    assert_eq!(installer.observe(&good), Software::Installing);
    ended.changed().await.unwrap();
    assert_eq!(installer.observe(&good), Software::Available);
    let bad = SoftwareUrl::new(format!("{server}/none.oci.tar"));
    installer.install(&bad);
    ended.changed().await.unwrap();
    let Software::Failed { log, resting, .. } = installer.observe(&bad) else {
        panic!("it should have failed");
    };
    assert_eq!(log, "failed to fetch it: its server answers 404 Not Found");
    assert!(resting);
    assert!(installer.next_try().is_some());
    installer.retain(|id| *id != ReleaseId::of(&bad));
    assert_eq!(installer.observe(&bad), Software::Absent);
    installer.remove(&ReleaseId::of(&good));
    assert_eq!(installer.observe(&good), Software::Removing);
    ended.changed().await.unwrap();
    assert_eq!(installer.observe(&good), Software::Absent);
}
