//! A caller at the socket, a loop that does as it is told.

use camino::Utf8PathBuf;
use serde_json::Value;

use super::*;
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

struct Office {
    _folder: tempfile::TempDir,
    places: Places,
    board: Board,
    wakes: mpsc::Receiver<Wake>,
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
    server.spawn(async move { serve(&at, &shown, wake, Arc::new(FakeAlarm)).await });
    while !places.run().join("control.sock").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Office {
        _folder: folder,
        places,
        board,
        wakes,
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
    let served = serve(&places, &board, wake, Arc::new(FakeAlarm)).await;
    let said = format!("{:#}", served.unwrap_err());
    assert!(
        said.contains("run/slapbox/control.sock` cannot be made: "),
        "{said}"
    );
}
