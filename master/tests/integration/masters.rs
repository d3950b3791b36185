//! Several masters on one PostgreSQL: what one is told, all know. With SQLite there is one master, and nothing to see here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use slap::forms::{RequestForm, SupplyForm};
use slap::{ComputerId, SoftwareInstance, SupplyState};
use slapbox_master::serve::StartError;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::RwLock;

use crate::lab::{Lab, configuration};
use crate::services::{SOFTWARE, supply, wish};

#[tokio::test]
async fn a_node_is_woken_by_what_another_master_was_told() {
    let lab = Lab::open().await;
    if lab.is_in_a_file() {
        return;
    }
    let beside = lab.beside().await;
    let identity = lab.operator_identity().await;
    let (operator, elsewhere) = (lab.client(identity.clone()), beside.client(identity));
    let node = lab.node(&operator).await;
    node.announce(1).await;
    let polling = beside.client(node.identity.clone());
    let before = polling.watch(&node.id, 0).await.unwrap();
    let (woken, told) = tokio::join!(
        async {
            let woken = polling.watch(&node.id, before).await.unwrap();
            (woken, Instant::now())
        },
        async {
            // Until the other holds the poll.
            while beside.master().store.generations().waiting(&node.id) == 0 {
                tokio::task::yield_now().await;
            }
            supply(&operator, &node.id).await;
            Instant::now()
        }
    );
    assert!(woken.0 > before);
    assert!(woken.1.duration_since(told) < Duration::from_secs(1));
    let placed = elsewhere.request(&wish("web")).await.unwrap();
    let seen = node.client.computer(&node.id).await.unwrap();
    assert_eq!(seen.partitions[0].guid, placed.guid);
}

#[tokio::test]
async fn a_master_of_another_ca_is_refused() {
    let lab = Lab::open().await;
    if lab.is_in_a_file() {
        return;
    }
    let mut strange = lab.strange();
    let error = strange.start().await.unwrap_err();
    assert!(
        matches!(error, StartError::OtherAuthority { .. }),
        "{error}"
    );
    let words = format!(
        "copy the folder `ca` of one of them to `{}`",
        strange.data().join("ca")
    );
    assert!(error.to_string().contains(&words), "{error}");
}

const MASTERS: usize = 8;
const REQUESTS: usize = 1_000;
const COMPUTERS: u64 = 9;
const PARTITIONS: u16 = 200;
/// More than there are partitions, each asked for by several masters at once.
const TITLES: usize = 2_000;

/// A master in a process of its own.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    async fn start(lab: &Lab, number: usize) -> Self {
        let data = lab.folder().join(format!("master-{number}"));
        let ca = data.join("ca");
        std::fs::create_dir_all(&ca).unwrap();
        for file in ["key.pem", "ca.pem"] {
            std::fs::copy(lab.data().join("ca").join(file), ca.join(file)).unwrap();
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_slapbox-master"))
            .args(["--insecure-http", "127.0.0.1:0", "--data", data.as_str()])
            .env("SLAPBOX_DATABASE", lab.database_url().unwrap())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        loop {
            let line = said.next_line().await.unwrap().expect("it stays");
            if let Some((_, address)) = line.split_once("the master is ready address=") {
                let url = format!("http://{}", address.trim());
                // What else it says is read, or it would wait.
                tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
                return Self { child, url };
            }
        }
    }
}

/// Asks for an instance, of another master when one does not answer: what was asked for twice is there once.
async fn ask(
    client: &reqwest::Client,
    masters: &[RwLock<Process>],
    first: usize,
    form: &RequestForm,
) -> Option<SoftwareInstance> {
    for attempt in 0.. {
        let url = masters[(first + attempt) % MASTERS]
            .read()
            .await
            .url
            .clone();
        let sent = client
            .post(format!("{url}/requestComputerPartition"))
            .form(&form.to_pairs())
            .send()
            .await;
        let Ok(answer) = sent else {
            assert!(attempt < 100, "no master answers");
            continue;
        };
        let status = answer.status().as_u16();
        let Ok(text) = answer.text().await else {
            continue;
        };
        match status {
            200 => return Some(SoftwareInstance::from_xml(&text).unwrap()),
            408 => return None,
            _ => panic!("{status}: {text}"),
        }
    }
    None
}

async fn post(client: &reqwest::Client, url: &str, path: &str, pairs: slap::forms::Pairs) {
    let answer = client
        .post(format!("{url}/{path}"))
        .form(&pairs)
        .send()
        .await
        .unwrap();
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap()
    );
}

/// Where each title was said to be; a title that is said to be at two places fails here.
fn places(said: Vec<(String, SoftwareInstance)>) -> BTreeMap<String, (String, String)> {
    let mut places = BTreeMap::new();
    for (title, instance) in said {
        let place = (
            instance.computer.to_string(),
            instance.partition.to_string(),
        );
        let known = places.entry(title.clone()).or_insert_with(|| place.clone());
        assert_eq!(*known, place, "{title}");
    }
    places
}

/// Announces computers that have the software.
async fn furnish(client: &reqwest::Client, url: &str) {
    for number in 1..=COMPUTERS {
        let computer = ComputerId::new(format!("node-{number}")).unwrap();
        let announced = configuration(&computer, PARTITIONS).to_xml();
        let pairs = vec![("xml", announced)];
        post(client, url, "loadComputerConfigurationFromXML", pairs).await;
        let form = SupplyForm {
            url: SOFTWARE.to_owned(),
            computer,
            state: SupplyState::Available,
        };
        post(client, url, "supplySupply", form.to_pairs()).await;
    }
}

/// Requests one title after the other, and returns what was acknowledged.
async fn request_many(
    client: &reqwest::Client,
    masters: &[RwLock<Process>],
    caller: usize,
    asked: &AtomicUsize,
) -> Vec<(String, SoftwareInstance)> {
    let mut said = Vec::new();
    for number in 0..REQUESTS {
        // Two callers each have the same titles, and those of the next two overlap.
        let title = format!("service {}", (caller / 2 * 500 + number * 7) % TITLES);
        if let Some(instance) = ask(client, masters, caller, &wish(&title)).await {
            said.push((title, instance));
        }
        asked.fetch_add(1, Ordering::Relaxed);
    }
    said
}

/// Kills a master, whatever it is at, and starts it again, three times on the way.
async fn kill_some(lab: &Lab, masters: &[RwLock<Process>], asked: &AtomicUsize) {
    let all = MASTERS * REQUESTS;
    for (number, after) in [(0, all / 7), (3, all / 3), (6, all / 2)] {
        while asked.load(Ordering::Relaxed) < after {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let killed = &masters[number];
        killed.write().await.child.kill().await.unwrap();
        let again = Process::start(lab, number).await;
        *killed.write().await = again;
    }
}

/// Where each title is, as a master tells the nodes.
async fn stored(client: &reqwest::Client, url: &str) -> BTreeMap<String, (String, String)> {
    let mut stored = BTreeMap::new();
    for number in 1..=COMPUTERS {
        let path = format!("{url}/getFullComputerInformation?computer_id=node-{number}");
        let text = client.get(path).send().await.unwrap().text().await.unwrap();
        for partition in slap::Computer::from_xml(&text).unwrap().partitions {
            let occupant = partition.occupant.unwrap();
            let place = (partition.computer.to_string(), partition.id.to_string());
            stored.insert(occupant.parameters.instance_title, place);
        }
    }
    stored
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_partition_is_given_twice_by_eight_masters_of_which_some_are_killed() {
    let lab = Lab::open().await;
    if lab.is_in_a_file() {
        return;
    }
    let mut masters = Vec::new();
    for number in 0..MASTERS {
        masters.push(RwLock::new(Process::start(&lab, number).await));
    }
    let client = lab.http(None);
    let first = masters[0].read().await.url.clone();
    furnish(&client, &first).await;

    let asked = AtomicUsize::new(0);
    let callers = (0..MASTERS).map(|caller| request_many(&client, &masters, caller, &asked));
    let (said, ()) = tokio::join!(
        futures_util::future::join_all(callers),
        kill_some(&lab, &masters, &asked)
    );
    let places = places(said.into_iter().flatten().collect());

    let capacity = usize::from(PARTITIONS) * usize::try_from(COMPUTERS).unwrap();
    let used: BTreeSet<_> = places.values().collect();
    assert_eq!(used.len(), places.len(), "a partition was given twice");
    assert_eq!(places.len(), capacity, "every partition is in use");
    let url = masters[1].read().await.url.clone();
    let stored = stored(&client, &url).await;
    assert_eq!(stored, places, "what was acknowledged is what there is");
}
