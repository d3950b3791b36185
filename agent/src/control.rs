//! The socket at which root asks this agent to look at once and hears what came of it (`/run/slapbox/control.sock`): one request,
//! lines on the way, one outcome, each a line of JSON. Looks only through the loop, never beside it: a request wakes the loop,
//! and what the board then says is the answer.

mod outcome;
mod special;
mod words;

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::places::Places;
use crate::reconcile::Wake;
use crate::status::Board;

use outcome::outcome;
pub use special::Chores;
use special::Special;
pub use words::{Ask, Outcome, Request};
use words::{Said, status};

/// Far more than a request has.
const LONGEST_REQUEST: u64 = 8 * 1024;
/// Whoever connects has something to say.
const PATIENCE: Duration = Duration::from_secs(10);
/// More people do not sit at one machine.
const MOST_CALLERS: usize = 8;

/// What a bang is passed on to.
pub trait Alarm: Sync {
    /// Tells the master that every instance of this computer shall be processed again.
    fn bang(&self, message: &str) -> impl Future<Output = Result<(), String>> + Send;
}

/// Serves until the socket fails.
pub async fn serve(
    places: &Places,
    board: &Board,
    wakes: mpsc::Sender<Wake>,
    alarm: Arc<impl Alarm + Send + 'static>,
    chores: impl Chores + Clone + Send + 'static,
) -> anyhow::Result<()> {
    let path = places.run().join("control.sock");
    let listener = listen(&path).with_context(|| format!("`{path}` cannot be made"))?;
    let one_at_a_time = Arc::new(Semaphore::new(1));
    let mut callers = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.context("nobody can ask any more")?;
        while callers.try_join_next().is_some() {}
        if callers.len() >= MOST_CALLERS || !is_root(&stream) {
            continue;
        }
        let desk = Desk {
            board: board.clone(),
            wakes: wakes.clone(),
            alarm: Arc::clone(&alarm),
            chores: chores.clone(),
            one_at_a_time: Arc::clone(&one_at_a_time),
        };
        callers.spawn(async move {
            if let Err(error) = desk.serve(stream).await {
                tracing::debug!("whoever asked has gone: {error}");
            }
        });
    }
}

/// What an earlier agent has left is replaced; nobody but root may connect.
fn listen(path: &camino::Utf8Path) -> anyhow::Result<UnixListener> {
    crate::disk::remove(path)?;
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn is_root(stream: &UnixStream) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|caller| caller.uid() == 0 || caller.uid() == own)
}

/// Where one caller is served.
struct Desk<A, C> {
    board: Board,
    wakes: mpsc::Sender<Wake>,
    alarm: Arc<A>,
    chores: C,
    one_at_a_time: Arc<Semaphore>,
}

impl<A: Alarm, C: Chores> Desk<A, C> {
    async fn serve(&self, stream: UnixStream) -> io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        let (said, mut lines) = mpsc::channel(4);
        let answer = async {
            let outcome = match request(&mut reader).await {
                Ok(request) => {
                    tokio::select! {
                        outcome = self.answer(request, &said) => outcome,
                        // What a caller who has gone wanted goes on by itself.
                        () = gone(&mut reader) => return,
                    }
                }
                Err(words) => Outcome::new(status::MISTYPED, words),
            };
            let _ = said.send(Said::Outcome(outcome)).await;
        };
        let write = async {
            while let Some(line) = lines.recv().await {
                let is_last = matches!(line, Said::Outcome(_));
                let mut json = serde_json::to_vec(&line)?;
                json.push(b'\n');
                writer.write_all(&json).await?;
                if is_last {
                    break;
                }
            }
            writer.shutdown().await
        };
        tokio::select! {
            written = write => written,
            () = async { answer.await; std::future::pending().await } => Ok(()),
        }
    }

    async fn answer(&self, request: Request, said: &mpsc::Sender<Said>) -> Outcome {
        let Ok(_turn) = self.one_at_a_time.try_acquire() else {
            let words = "somebody else has asked this agent and waits for the answer";
            return Outcome::new(status::BUSY, words);
        };
        match request {
            Request::Bang { message } => match self.alarm.bang(&message).await {
                Ok(()) => Outcome::new(status::DONE, "the master has heard it"),
                Err(why) => Outcome::new(status::FAILED, why),
            },
            Request::Look {
                what,
                force,
                only,
                collect,
            } => {
                let special = Special {
                    what,
                    force,
                    only,
                    collect,
                };
                self.special(special, said).await
            }
            Request::Prune { dry_run, more } => special::prune(&self.chores, dry_run, more).await,
        }
    }

    /// Has the loop look at everything, and follows the board until nothing is on its way of those that are named, or of all.
    async fn look(&self, what: Ask, only: &[String], said: &mpsc::Sender<Said>) -> Outcome {
        match self.look_once().await {
            Ok(()) => self.follow(what, only, said).await,
            Err(outcome) => outcome,
        }
    }

    /// Has the loop look at everything, and waits until it has.
    async fn look_once(&self) -> Result<(), Outcome> {
        let mut looks = self.board.follow_looks();
        let before = looks.borrow_and_update().begun;
        self.wakes.send(Wake::Asked).await.map_err(|_| ended())?;
        // One that had begun before may have seen less than what the caller has just done.
        let looked = looks.wait_for(|looks| looks.ended > before).await;
        looked.map(drop).map_err(|_| ended())
    }

    async fn follow(&self, what: Ask, only: &[String], said: &mpsc::Sender<Said>) -> Outcome {
        let mut follow = self.board.follow();
        let mut told = String::new();
        loop {
            let now = follow.borrow_and_update().clone();
            if let Some(outcome) = outcome(what, only, &now) {
                return outcome;
            }
            let progress = words::progress(&now);
            if progress != told {
                let _ = said.send(Said::Progress(progress.clone())).await;
                told = progress;
            }
            if follow.changed().await.is_err() {
                return ended();
            }
        }
    }
}

fn ended() -> Outcome {
    Outcome::new(status::FAILED, "the agent ends")
}

/// Reads the one request.
async fn request(reader: &mut BufReader<OwnedReadHalf>) -> Result<Request, String> {
    let mut line = Vec::new();
    let mut limited = reader.take(LONGEST_REQUEST);
    let read = timeout(PATIENCE, limited.read_until(b'\n', &mut line));
    match read.await {
        Ok(Ok(_)) if line.ends_with(b"\n") => serde_json::from_slice(&line)
            .map_err(|error| format!("the request is not understood: {error}")),
        Ok(Ok(_)) => Err(format!(
            "a request is one line of at most {LONGEST_REQUEST} bytes"
        )),
        Ok(Err(error)) => Err(format!("the request cannot be read: {error}")),
        Err(_) => Err("no request came".to_owned()),
    }
}

/// Returns when the caller has closed its end.
async fn gone(reader: &mut BufReader<OwnedReadHalf>) {
    let mut rest = [0; 64];
    while reader.read(&mut rest).await.is_ok_and(|count| count > 0) {}
}

#[cfg(test)]
mod tests;
