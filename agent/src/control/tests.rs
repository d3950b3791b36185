//! A caller at the socket, a loop that does as it is told.

use camino::Utf8PathBuf;
use serde_json::Value;

use super::*;
use crate::desired::{PartitionName, SoftwareUrl};
use crate::software::ReleaseId;
use crate::software::installer::PruneError;
use crate::status::{Enrolment, Status};

/// Takes down what it is told, and refuses one thing.
#[derive(Default)]
struct FakeAlarm;

impl Alarm for FakeAlarm {
    async fn bang(&self, message: &str) -> Result<(), String> {
        match message {
            "fire" => Ok(()),
            _ => Err("the master does not answer".to_owned()),
        }
    }
}

/// Takes down what it is to do.
#[derive(Clone, Default)]
struct FakeChores {
    asked: Arc<std::sync::Mutex<Vec<String>>>,
}

impl FakeChores {
    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

impl Chores for FakeChores {
    fn process_again(&self, partitions: &[PartitionName]) {
        let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        self.note(format!("process {}", names.join(" ")));
    }

    async fn build_again(&self, release: &SoftwareUrl) -> Result<(), String> {
        self.note(format!("build {release}"));
        match release.as_str() {
            "https://m/broken.cfg" => Err("it is broken".to_owned()),
            _ => Ok(()),
        }
    }

    fn collect(&self) {
        self.note("collect".to_owned());
    }

    async fn collected(&self) -> Result<Vec<ReleaseId>, String> {
        self.note("collected".to_owned());
        Ok(vec![ReleaseId::of(&SoftwareUrl::new("https://m/lost.cfg"))])
    }

    async fn prune(
        &self,
        dry_run: bool,
        more: Vec<Utf8PathBuf>,
    ) -> Result<Vec<String>, PruneError> {
        self.note(format!("prune {dry_run} {more:?}"));
        if dry_run {
            return Ok(vec!["zlib/a".to_owned(), "xz/b".to_owned()]);
        }
        Err(PruneError::Building)
    }
}

struct Office {
    _folder: tempfile::TempDir,
    places: Places,
    board: Board,
    wakes: mpsc::Receiver<Wake>,
    chores: FakeChores,
    _server: JoinSet<anyhow::Result<()>>,
}

async fn open() -> Office {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    let places = Places::under(&root);
    std::fs::create_dir_all(places.run()).unwrap();
    let board = Board::new(Status {
        enrolment: Enrolment::Enrolled {
            reference: "COMP-2".to_owned(),
        },
        ..Status::default()
    });
    let (wake, wakes) = mpsc::channel(16);
    let mut server = JoinSet::new();
    let (at, shown) = (places.clone(), board.clone());
    let chores = FakeChores::default();
    let told = chores.clone();
    server.spawn(async move { serve(&at, &shown, wake, Arc::new(FakeAlarm), told).await });
    while !places.run().join("control.sock").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Office {
        _folder: folder,
        places,
        board,
        wakes,
        chores,
        _server: server,
    }
}

impl Office {
    async fn call(&self, request: &str) -> BufReader<UnixStream> {
        let path = self.places.run().join("control.sock");
        let mut stream = UnixStream::connect(path.as_std_path()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        BufReader::new(stream)
    }

    async fn ask(&self, request: &str) -> Value {
        next(&mut self.call(request).await).await.unwrap()
    }

    /// One full pass of the loop.
    async fn pass(&mut self) {
        assert_eq!(self.wakes.recv().await, Some(Wake::Asked));
        self.board.look_begins();
        self.board.look_ends();
    }
}

async fn next(caller: &mut BufReader<UnixStream>) -> Option<Value> {
    let mut line = String::new();
    let read = timeout(Duration::from_secs(5), caller.read_line(&mut line));
    read.await.unwrap().unwrap();
    serde_json::from_str(&line).ok()
}

const LOOK: &str = "{\"ask\":\"look\",\"what\":\"instance\"}\n";

#[tokio::test]
async fn a_look_wakes_the_loop_and_follows_until_nothing_is_on_its_way() {
    let mut office = open().await;
    office.board.update(|now| now.instances.pending = 2);
    let mut caller = office.call(LOOK).await;
    office.pass().await;
    let progress = next(&mut caller).await.unwrap()["progress"].clone();
    assert!(progress.as_str().unwrap().ends_with("2 on their way"));
    office.board.update(|now| {
        now.instances.pending = 0;
        now.instances.started = 2;
    });
    let outcome = next(&mut caller).await.unwrap();
    assert_eq!(outcome["outcome"]["status"], 0, "{outcome}");
    assert_eq!(next(&mut caller).await, None, "one outcome and no more");
}

#[tokio::test]
async fn a_look_that_had_begun_before_does_not_count() {
    let mut office = open().await;
    office.board.look_begins();
    let mut caller = office.call(LOOK).await;
    assert_eq!(office.wakes.recv().await, Some(Wake::Asked));
    office.board.look_ends();
    let early = timeout(Duration::from_millis(100), next(&mut caller)).await;
    assert!(early.is_err(), "{early:?}");
    office.board.look_begins();
    office.board.look_ends();
    assert_eq!(next(&mut caller).await.unwrap()["outcome"]["status"], 0);
}

#[tokio::test]
async fn one_is_served_at_a_time_and_who_hangs_up_makes_room() {
    let mut office = open().await;
    let first = office.call(LOOK).await;
    assert_eq!(office.wakes.recv().await, Some(Wake::Asked));
    let second = office.ask(LOOK).await;
    assert_eq!(second["outcome"]["status"], 10, "{second}");
    drop(first);
    let served = async {
        loop {
            let mut third = office
                .call("{\"ask\":\"bang\",\"message\":\"fire\"}\n")
                .await;
            let outcome = next(&mut third).await.unwrap()["outcome"].clone();
            if outcome["status"] == 0 {
                return outcome;
            }
        }
    };
    let served = timeout(Duration::from_secs(5), served).await.unwrap();
    assert_eq!(served["message"], "the master has heard it");
}

/// What is asked, the status and a part of the words that it ends with, and what the node is to do.
const AGAIN: [(&str, u8, &str, &str); 6] = [
    (
        r#"{"ask":"look","what":"software","force":true,"only":["https://m/a.cfg"]}"#,
        0,
        "1 releases are built again",
        "build https://m/a.cfg",
    ),
    (
        r#"{"ask":"look","what":"software","force":true}"#,
        1,
        "https://m/broken.cfg: it is broken",
        "build https://m/a.cfg, build https://m/broken.cfg",
    ),
    (
        r#"{"ask":"look","what":"software","only":["https://m/a.cfg"]}"#,
        0,
        "1 releases are as wanted",
        "",
    ),
    (
        r#"{"ask":"look","what":"software","collect":true}"#,
        0,
        "removed ",
        "collect, collected",
    ),
    (
        r#"{"ask":"look","what":"instance","force":true,"only":["slappart1"]}"#,
        0,
        "0 instances are started",
        "process slappart1",
    ),
    (
        r#"{"ask":"look","what":"instance","force":true}"#,
        0,
        "0 instances are started",
        "process slappart0 slappart1",
    ),
];

#[tokio::test]
async fn releases_are_built_again_and_instances_processed_again() {
    let mut office = open().await;
    office.board.update(|now| {
        now.partitions.wanted = 2;
        for url in [
            "https://m/a.cfg",
            "https://m/broken.cfg",
            "https://m/b.oci.tar",
        ] {
            now.software.insert(url.to_owned(), "available");
        }
    });
    for (request, status, words, asked) in AGAIN {
        let mut caller = office.call(&format!("{request}\n")).await;
        office.pass().await;
        let outcome = loop {
            let line = next(&mut caller).await.unwrap();
            if let Some(outcome) = line.get("outcome") {
                break outcome.clone();
            }
        };
        assert_eq!(outcome["status"], status, "{request}: {outcome}");
        assert!(
            outcome["message"].as_str().unwrap().contains(words),
            "{outcome}"
        );
        let done = std::mem::take(&mut *office.chores.asked.lock().unwrap());
        assert_eq!(done.join(", "), asked, "{request}");
    }
}

#[tokio::test]
async fn shared_parts_go_unless_something_is_built() {
    let office = open().await;
    let dry = office
        .ask("{\"ask\":\"prune\",\"dry_run\":true,\"more\":[\"/x\"]}\n")
        .await;
    assert_eq!(dry["outcome"]["status"], 0, "{dry}");
    let words = dry["outcome"]["message"].as_str().unwrap();
    assert_eq!(words, "no release has zlib/a\nno release has xz/b");
    let busy = office.ask("{\"ask\":\"prune\"}\n").await;
    assert_eq!(busy["outcome"]["status"], 255, "{busy}");
    let done = office.chores.asked.lock().unwrap().join(", ");
    assert_eq!(done, "prune true [\"/x\"], prune false []");
}

#[tokio::test]
async fn who_names_what_is_not_there_is_told() {
    let mut office = open().await;
    let unknown = office
        .ask("{\"ask\":\"look\",\"what\":\"instance\",\"only\":[\"slappart7\"]}\n")
        .await;
    assert_eq!(unknown["outcome"]["status"], 1, "{unknown}");
    let nothing = office
        .ask("{\"ask\":\"look\",\"what\":\"report\",\"force\":true}\n")
        .await;
    assert_eq!(nothing["outcome"]["status"], 64, "{nothing}");
    let mut caller = office
        .call("{\"ask\":\"look\",\"what\":\"software\",\"only\":[\"https://m/z.cfg\"]}\n")
        .await;
    office.pass().await;
    let unknown = next(&mut caller).await.unwrap();
    assert_eq!(unknown["outcome"]["status"], 1, "{unknown}");
}

#[tokio::test]
async fn what_is_not_understood_is_refused_in_words() {
    let office = open().await;
    let away = office.ask("{\"ask\":\"bang\",\"message\":\"x\"}\n").await;
    assert_eq!(away["outcome"]["status"], 1);
    for (request, words) in [
        ("look\n", "the request is not understood"),
        ("{\"ask\":\"dance\"}\n", "the request is not understood"),
        (
            "{\"ask\":\"look\",\"what\":\"instance\",\"who\":\"me\"}\n",
            "the request is not understood",
        ),
        (
            &"x".repeat(9000),
            "a request is one line of at most 8192 bytes",
        ),
    ] {
        let refusal = office.ask(request).await["outcome"].clone();
        assert_eq!(refusal["status"], 64, "{request}: {refusal}");
        assert!(refusal["message"].as_str().unwrap().starts_with(words));
    }
    let path = office.places.run().join("control.sock");
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_socket_that_cannot_be_made_is_said_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    let (places, board) = (Places::under(&root), Board::new(Status::default()));
    let (wake, _wakes) = mpsc::channel(1);
    let served = serve(
        &places,
        &board,
        wake,
        Arc::new(FakeAlarm),
        FakeChores::default(),
    )
    .await;
    let said = format!("{:#}", served.unwrap_err());
    assert!(
        said.contains("run/slapbox/control.sock` cannot be made: "),
        "{said}"
    );
}
