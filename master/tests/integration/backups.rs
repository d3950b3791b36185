//! Backups of masters that run and write, and masters made of them, by the program itself.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use slap::v1::{Inventory, TokenRequest};
use slap::{ComputerId, SoftwareInstance};
use slapbox_master::store::{Location, Store};
use tokio::process::Command;

use crate::database::{Database, folder};
use crate::lab::{Key, Lab, enrolled, token, words};
use crate::process::{self, Process};
use crate::services::{supply, wish};

const WRITERS: usize = 8;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slapbox-master"));
    command.env_remove("SLAPBOX_DATABASE").kill_on_drop(true);
    command
}

fn backup(data: &Utf8Path, url: Option<&str>, file: &Utf8Path) -> Command {
    let mut command = program();
    command.args(["backup", "--data", data.as_str(), file.as_str()]);
    if let Some(url) = url {
        command.env("SLAPBOX_DATABASE", url);
    }
    command
}

fn restore(file: &Utf8Path, data: &Utf8Path, url: Option<&str>) -> Command {
    let mut command = program();
    command.args(["restore", file.as_str(), "--data", data.as_str()]);
    if let Some(url) = url {
        command.env("SLAPBOX_DATABASE", url);
    }
    command
}

#[track_caller]
fn must_have_worked(ended: &Output) -> String {
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

#[track_caller]
fn must_have_failed(ended: &Output) -> String {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

/// What is in a folder, hidden or not.
fn listed(folder: &Utf8Path) -> BTreeSet<String> {
    let entries = folder.read_dir_utf8().unwrap();
    entries
        .map(|it| it.unwrap().file_name().to_owned())
        .collect()
}

/// Requests that were acknowledged, with where they are.
#[derive(Default)]
struct Acknowledged(Mutex<BTreeSet<(String, String)>>);

impl Acknowledged {
    fn known(&self) -> BTreeSet<(String, String)> {
        self.0.lock().unwrap().clone()
    }

    /// Requests one after the other until it is told to stop.
    async fn write(&self, master: &Process, writer: usize, stop: &AtomicBool) {
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let title = format!("service {writer} {number}");
            let pairs = wish(&title).to_pairs();
            let answer = master.post("requestComputerPartition", &pairs).await;
            let text = answer.expect(200).text;
            let instance = SoftwareInstance::from_xml(&text).unwrap();
            let place = format!("{} of {}", instance.partition, instance.computer);
            self.0.lock().unwrap().insert((title, place));
        }
    }

    async fn until(&self, count: usize) {
        while self.0.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn nodes() -> impl Iterator<Item = ComputerId> {
    (1..=8).map(|number| ComputerId::new(format!("node-{number}")).unwrap())
}

async fn furnish(master: &Process) {
    for node in nodes() {
        let xml = crate::lab::configuration(&node, 250).to_xml();
        let announced = [("xml", xml)];
        master
            .post("loadComputerConfigurationFromXML", &announced)
            .await
            .expect(200);
        let supply = slap::forms::SupplyForm {
            url: crate::services::SOFTWARE.to_owned(),
            computer: node,
            state: slap::SupplyState::Available,
        };
        let pairs = supply.to_pairs();
        master.post("supplySupply", &pairs).await.expect(200);
    }
}

/// Titles, and where they are, as a master tells the nodes.
async fn served(master: &Process) -> BTreeSet<(String, String)> {
    let mut served = BTreeSet::new();
    for node in nodes() {
        let path = format!("getFullComputerInformation?computer_id={node}");
        let answer = master.get(&path).await.expect(200);
        for partition in slap::Computer::from_xml(&answer.text).unwrap().partitions {
            if let Some(occupant) = partition.occupant {
                let place = format!("{} of {node}", partition.id);
                served.insert((occupant.parameters.instance_title, place));
            }
        }
    }
    served
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_while_eight_write_has_all_that_was_acknowledged_before() {
    let (_kept, folder) = folder();
    let (database, other) = (Database::new().await, Database::new().await);
    let data = folder.join("data");
    let master = Process::start(&data, database.url.as_deref(), None).await;
    furnish(&master).await;
    let (acknowledged, stop) = (Acknowledged::default(), AtomicBool::new(false));
    let file = folder.join("backup.tar");
    let writing = (0..WRITERS).map(|it| acknowledged.write(&master, it, &stop));
    let (_, before) = tokio::join!(futures_util::future::join_all(writing), async {
        acknowledged.until(100).await;
        let before = acknowledged.known();
        let made = backup(&data, database.url.as_deref(), &file).output().await;
        // They went on all the while.
        acknowledged.until(before.len() + 20).await;
        stop.store(true, Ordering::Relaxed);
        let said = must_have_worked(&made.unwrap());
        assert!(said.contains("and the CA's key"), "{said}");
        before
    });
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        listed(&folder),
        ["backup.tar", "data"].map(str::to_owned).into()
    );

    let again = folder.join("again");
    let restored = restore(&file, &again, other.url.as_deref()).output().await;
    must_have_worked(&restored.unwrap());
    let restored = Process::start(&again, other.url.as_deref(), None).await;
    let (there, all) = (served(&restored).await, served(&master).await);
    let lost: Vec<_> = before.difference(&there).collect();
    assert!(
        lost.is_empty(),
        "acknowledged, and not in the backup: {lost:?}"
    );
    let strange: Vec<_> = there.difference(&all).collect();
    assert!(strange.is_empty(), "never acknowledged: {strange:?}");
    assert!(there.len() < all.len());
    // It goes on from there, and nothing gets a number that something had.
    let pairs = wish("new").to_pairs();
    let answer = restored.post("requestComputerPartition", &pairs).await;
    let new = SoftwareInstance::from_xml(&answer.expect(200).text).unwrap();
    let guid = new.guid.unwrap().to_string();
    let number: usize = guid.rsplit('-').next().unwrap().parse().unwrap();
    assert!(number > 10_000, "{guid}");
}

/// As a snapshot of the file system, or a power cut, sees it: the file and its log of one moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_file_taken_at_any_moment_opens_and_has_all_that_was_acknowledged() {
    if !Database::new().await.is_file() {
        return;
    }
    let (_kept, folder) = folder();
    let data = folder.join("data");
    let master = Process::start(&data, None, None).await;
    furnish(&master).await;
    let (acknowledged, stop) = (Acknowledged::default(), AtomicBool::new(false));
    let mut copies = Vec::new();
    let writing = (0..WRITERS).map(|it| acknowledged.write(&master, it, &stop));
    tokio::join!(futures_util::future::join_all(writing), async {
        for number in 0..10 {
            acknowledged.until(10 + number * 40).await;
            master.freeze();
            let before = acknowledged.known();
            let copy = folder.join(format!("copy-{number}"));
            std::fs::create_dir(&copy).unwrap();
            for name in ["master.sqlite", "master.sqlite-wal"] {
                std::fs::copy(data.join(name), copy.join(name)).unwrap();
            }
            master.thaw();
            copies.push((copy, before));
        }
        stop.store(true, Ordering::Relaxed);
    });
    for (copy, before) in copies {
        let location = slapbox_master::config::database_of(&copy, None).unwrap();
        // Every page is looked at.
        slapbox_master::store::copy::facts(&location).await.unwrap();
        let there = stored(&location).await;
        let lost: Vec<_> = before.difference(&there).collect();
        assert!(lost.is_empty(), "{copy}: {lost:?}");
    }
}

/// Titles, and where they are, as a database has them.
async fn stored(location: &Location) -> BTreeSet<(String, String)> {
    let store = Store::open(location).await.unwrap();
    let mut db = store.read().await.unwrap();
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT i.title, p.reference, p.computer FROM partitions p JOIN instances i ON i.reference = p.instance",
    )
    .fetch_all(&mut *db)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(title, partition, node)| (title, format!("{partition} of {node}")))
        .collect()
}

#[tokio::test]
async fn a_restored_master_is_the_same_to_those_who_knew_it() {
    let mut lab = Lab::open().await;
    let operator = lab.operator_identity().await;
    let client = lab.client(operator.clone());
    let node = lab.node(&client).await;
    node.announce(2).await;
    supply(&client, &node.id).await;
    client.request(&wish("web")).await.unwrap();
    let blob = token(&client, TokenRequest::default()).await;
    let release = lab.folder().join("release");
    std::fs::copy(lab.data().join("ca/ca.pem"), &release).unwrap();
    let bytes = std::fs::metadata(&release).unwrap().len();
    let opened = tokio::fs::File::open(&release).await.unwrap();
    let name = "demo.oci.tar".parse().unwrap();
    let published = client.publish_release(&name, bytes, opened).await.unwrap();

    let file = lab.folder().join("backup.tar");
    let url = lab.database_url().map(str::to_owned);
    let made = backup(&lab.data(), url.as_deref(), &file).output().await;
    let said = must_have_worked(&made.unwrap());
    assert!(said.contains("1 release(s)"), "{said}");
    let later = lab.node(&client).await;
    lab.stop().await;

    // Without being told so, it takes nobody's place.
    let command = restore(&file, &lab.data(), url.as_deref()).output().await;
    let said = must_have_failed(&command.unwrap());
    assert!(said.contains("is not empty: `--replace`"), "{said}");
    let mut command = restore(&file, &lab.data(), url.as_deref());
    let restored = command.arg("--replace").output().await.unwrap();
    let said = must_have_worked(&restored);
    assert!(said.contains("What was there is in"), "{said}");
    let aside = listed(lab.folder())
        .into_iter()
        .find(|it| it.starts_with("data.replaced-"));
    assert!(
        lab.folder()
            .join(aside.unwrap())
            .join("ca/key.pem")
            .is_file()
    );

    lab.start().await.unwrap();
    let client = lab.client(operator);
    assert_eq!(client.services().await.unwrap().services.len(), 1);
    let returning = lab.client(node.identity.clone());
    let document = returning.computer(&node.id).await.unwrap();
    assert!(document.partitions[0].occupant.is_some());
    let served = crate::releases::fetch(&returning, &published.url)
        .await
        .unwrap();
    assert_eq!(served, std::fs::read(&release).unwrap());
    // Who came after the backup is nobody, and nobody gets their name.
    let stranger = lab.client(later.identity.clone());
    let refused = stranger.computer(&later.id).await.unwrap_err();
    let said = words(&refused);
    assert!(said.contains("does not know whom"), "{said}");
    let (reference, _) = enrolled(lab.enrol(&blob, &Key::new(), Inventory::default()).await);
    assert_eq!(reference, "COMP-10002");
}

#[tokio::test]
async fn what_is_no_backup_or_no_place_for_one_is_refused_and_nothing_is_touched() {
    let (_kept, folder) = folder();
    let database = Database::new().await;
    let url = database.url.as_deref();
    let data = folder.join("data");
    let master = Process::start(&data, url, None).await;
    let file = folder.join("backup.tar");
    must_have_worked(&backup(&data, url, &file).output().await.unwrap());
    let mut replacing = restore(&file, &data, url);
    let said = must_have_failed(&replacing.arg("--replace").output().await.unwrap());
    assert!(said.contains("a master runs with the database"), "{said}");
    drop(master);

    let whole = std::fs::read(&file).unwrap();
    let wrong = folder.join("wrong.tar");
    let target = folder.join("target");
    for (bytes, words) in [
        (&whole[..whole.len() / 2], "is no backup of a master"),
        (b"", "is no backup of a master: it is empty"),
    ] {
        std::fs::File::create(&wrong).unwrap();
        std::io::Write::write_all(&mut std::fs::File::create(&wrong).unwrap(), bytes).unwrap();
        let ended = restore(&wrong, &target, url).output().await.unwrap();
        let said = must_have_failed(&ended);
        assert!(said.contains("nothing was restored to"), "{said}");
        assert!(said.contains(words), "{said}");
    }
    let elsewhere = match url {
        Some(_) => None,
        None => Some("postgres://nobody@127.0.0.1:1/none"),
    };
    let said = must_have_failed(&restore(&file, &target, elsewhere).output().await.unwrap());
    let words = match url {
        Some(_) => "say which is to have it by `--database`",
        None => "it goes into no PostgreSQL server",
    };
    assert!(said.contains(words), "{said}");
    for (command, words) in [
        (
            restore(&folder.join("none"), &target, url),
            "failed to read `",
        ),
        (
            backup(&folder.join("empty"), url, &folder.join("b.tar")),
            "",
        ),
        (
            backup(&data, url, &folder.join("none/b.tar")),
            "failed to write `",
        ),
    ] {
        let mut command = command;
        let said = must_have_failed(&command.output().await.unwrap());
        assert!(said.contains(words), "{said}");
    }
    let expected = ["backup.tar", "data", "wrong.tar"].map(str::to_owned);
    assert_eq!(listed(&folder), expected.into());
}

#[tokio::test]
async fn an_interrupted_backup_leaves_what_was_there() {
    let lab = Lab::open().await;
    let client = lab.operator().await;
    // Large enough that a test's build takes seconds to read it.
    let name = "large".parse().unwrap();
    let content = incompressible(48 << 20);
    let bytes = content.len() as u64;
    client
        .publish_release(&name, bytes, std::io::Cursor::new(content))
        .await
        .unwrap();
    let folder = lab.folder().join("backups");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("daily.tar");
    std::fs::copy(lab.data().join("ca/ca.pem"), &file).unwrap();
    let before = std::fs::read(&file).unwrap();
    let url = lab.database_url();
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::KILL] {
        let mut command = backup(&lab.data(), url, &file);
        let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        until_packing(&folder).await;
        let own = i32::try_from(child.id().unwrap()).unwrap();
        let own = rustix::process::Pid::from_raw(own).unwrap();
        rustix::process::kill_process(own, signal).unwrap();
        let ended = child.wait().await.unwrap();
        assert!(!ended.success());
        assert_eq!(std::fs::read(&file).unwrap(), before);
        if signal == rustix::process::Signal::TERM {
            assert_eq!(listed(&folder), ["daily.tar".to_owned()].into());
        }
    }
    // What could not be tidied up at a kill is, by the next that is whole.
    must_have_worked(&backup(&lab.data(), url, &file).output().await.unwrap());
    assert_eq!(listed(&folder), ["daily.tar".to_owned()].into());
    assert!(std::fs::metadata(&file).unwrap().len() > bytes);
}

/// So many bytes that no dump of a database makes less of.
fn incompressible(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(count);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

async fn until_packing(folder: &Utf8Path) {
    loop {
        let hidden = listed(folder).into_iter().find(|it| it.starts_with('.'));
        let whole = hidden.map(|it| folder.join(it).join("whole.tar"));
        if whole.is_some_and(|it| std::fs::metadata(it).is_ok_and(|it| it.len() > 1 << 20)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_nothing() {
    if !process::may_mount() || !Database::new().await.is_file() {
        return;
    }
    let (_kept, folder) = folder();
    let (data, small) = (folder.join("data"), folder.join("small"));
    std::fs::create_dir(&small).unwrap();
    let master = Process::start(&data, None, None).await;
    furnish(&master).await;
    let file = folder.join("backup.tar");
    must_have_worked(&backup(&data, None, &file).output().await.unwrap());
    for (what, words) in [
        (
            format!("backup --data {data} {small}/b.tar"),
            "there is no new backup in",
        ),
        (
            format!("restore {file} --data {small}/again"),
            "nothing was restored to",
        ),
    ] {
        let ended = on_a_small_disk(&small, &what).await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains(words), "{said}");
        let full = said.contains("No space left") || said.contains("disk is full");
        assert!(full, "{said}");
        // What is left there.
        assert_eq!(String::from_utf8_lossy(&ended.stdout), "", "{said}");
    }
}

/// Runs the program where `small` is a disk of 256 kB; prints what is on it afterwards.
async fn on_a_small_disk(small: &Utf8PathBuf, what: &str) -> Output {
    let script = format!(
        "mount -t tmpfs -o size=256k none {small}; {} {what} && echo it worked; ls -A {small}",
        env!("CARGO_BIN_EXE_slapbox-master")
    );
    Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .output()
        .await
        .unwrap()
}
