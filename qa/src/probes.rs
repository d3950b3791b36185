//! Who reaches whom over an overlay: at each site a thread asks all others by a small datagram ten times a second, and answers what
//! it is asked. It knows addresses of the overlay and nothing of how they are reached.

mod answers;

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::underlay::Site;

pub use answers::{Answers, Outage};

/// How often each asks each other, which is how exactly an outage is known.
pub const INTERVAL: Duration = Duration::from_millis(100);

const PORT: u16 = 9;
const QUESTION: u8 = b'?';
const ANSWER: u8 = b'!';

type Addresses = BTreeMap<u16, Ipv6Addr>;

/// Probes that ask until they are dropped.
#[derive(Debug)]
pub struct Probes {
    addresses: watch::Sender<Addresses>,
    answers: Arc<Mutex<Answers>>,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            addresses: watch::Sender::new(Addresses::new()),
            answers: Arc::default(),
        }
    }
}

impl Probes {
    /// Has a site ask all whose address is known.
    pub fn begin_at(&self, site: &Site) -> Result<()> {
        let (here, addresses) = (site.number, self.addresses.subscribe());
        let answers = Arc::clone(&self.answers);
        let probe = async move || probe(here, addresses, &answers).await;
        // It ends with the addresses' sender, and fails at its very beginning or never.
        site.namespace().begin_in_its_network(probe).map(drop)
    }

    /// Has all others ask this address, too.
    pub fn ask(&self, number: u16, address: Ipv6Addr) {
        self.addresses
            .send_if_modified(|addresses| addresses.insert(number, address) != Some(address));
    }

    /// Has nobody ask a site any more.
    pub fn forget(&self, number: u16) {
        self.addresses
            .send_if_modified(|addresses| addresses.remove(&number).is_some());
    }

    /// Has nobody ask anybody any more, and returns who was asked.
    pub fn rest(&self) -> BTreeMap<u16, Ipv6Addr> {
        self.addresses.send_replace(Addresses::new())
    }

    /// Has all ask these.
    pub fn ask_all(&self, asked: BTreeMap<u16, Ipv6Addr>) {
        self.addresses.send_replace(asked);
    }

    /// The address at which a site is asked.
    pub fn address(&self, number: u16) -> Result<Ipv6Addr> {
        let address = self.addresses.borrow().get(&number).copied();
        address.with_context(|| format!("nobody knows the address of node {number}"))
    }

    /// Takes what follows for a time of its own: what was silent before is not its matter.
    pub fn begin_to_watch(&self) {
        self.locked().begin_to_watch(Instant::now());
    }

    /// What was answered until now.
    pub fn answers(&self) -> Answers {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Answers> {
        locked(&self.answers)
    }
}

/// Nobody panics with it in hand; were it so, what was counted is still right.
fn locked(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks and answers at one site.
async fn probe(
    here: u16,
    mut addresses: watch::Receiver<Addresses>,
    answers: &Mutex<Answers>,
) -> Result<()> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)).await;
    let socket = socket.context("a probe cannot listen")?;
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut datagram = [0; 16];
    loop {
        tokio::select! {
            _ = tick.tick() => {
                for (&there, &address) in addresses.borrow().iter().filter(|it| *it.0 != here) {
                    // Where there is no way, nobody answers: that is what is asked.
                    let _ = socket.try_send_to(&message(QUESTION, here, there), SocketAddr::from((address, PORT)));
                }
            }
            heard = socket.recv_from(&mut datagram) => {
                // What a router says to an earlier question is no answer either.
                let Ok((length, from)) = heard else { continue };
                match understood(&datagram[..length]) {
                    Some((QUESTION, asker, asked)) if asked == here => {
                        let _ = socket.try_send_to(&message(ANSWER, asker, asked), from);
                    }
                    Some((ANSWER, asker, asked)) if asker == here => {
                        locked(answers).hear((asker, asked), Instant::now());
                    }
                    _ => {}
                }
            }
            changed = addresses.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

fn message(kind: u8, asker: u16, asked: u16) -> [u8; 5] {
    let ([a, b], [c, d]) = (asker.to_be_bytes(), asked.to_be_bytes());
    [kind, a, b, c, d]
}

fn understood(datagram: &[u8]) -> Option<(u8, u16, u16)> {
    let &[kind, a, b, c, d] = datagram else {
        return None;
    };
    Some((kind, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let said = message(ANSWER, 3, 0x102);
        assert_eq!(understood(&said), Some((ANSWER, 3, 0x102)));
        assert_eq!(understood(b"hello!"), None);
    }
}
