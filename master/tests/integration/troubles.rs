//! What becomes of a master whose database goes away, or has no room left: it says so, changes nothing, and goes on when that is over.

mod server;

use std::time::{Duration, Instant};

use slap::forms::{RequestForm, SupplyForm};
use slap::{ComputerId, SupplyState};

use crate::lab::configuration;
use crate::process::{self, Process};
use crate::services::{SOFTWARE, wish};
use server::Server;

const NODE: &str = "node-1";

fn node() -> ComputerId {
    ComputerId::new(NODE).unwrap()
}

/// Announces a computer with partitions and the software.
async fn furnish(master: &Process, partitions: u16) {
    let announced = configuration(&node(), partitions).to_xml();
    master
        .post("loadComputerConfigurationFromXML", &[("xml", announced)])
        .await
        .expect(200);
    let supply = SupplyForm {
        url: SOFTWARE.to_owned(),
        computer: node(),
        state: SupplyState::Available,
    };
    master
        .post("supplySupply", &supply.to_pairs())
        .await
        .expect(200);
}

async fn request(master: &Process, form: &RequestForm) -> process::Answer {
    master
        .post("requestComputerPartition", &form.to_pairs())
        .await
}

/// A request with so much in it.
fn heavy(title: &str, bytes: usize) -> RequestForm {
    let mut form = wish(title);
    // Nothing that an engine could make smaller.
    let mut state = 1_u64;
    let noise = (0..bytes).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap())
    });
    form.parameters = [("heavy".to_owned(), noise.collect())].into();
    form
}

async fn titles(master: &Process) -> Vec<String> {
    let path = format!("getFullComputerInformation?computer_id={NODE}");
    let answer = master.get(&path).await.expect(200);
    let computer = slap::Computer::from_xml(&answer.text).unwrap();
    let occupants = computer.partitions.into_iter().filter_map(|it| it.occupant);
    occupants.map(|it| it.parameters.instance_title).collect()
}

async fn until_it_works(master: &Process, form: &RequestForm) {
    let start = Instant::now();
    loop {
        let answer = request(master, form).await;
        if answer.status == 200 {
            return;
        }
        assert_eq!(answer.status, 503, "{}", answer.text);
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(30), "{}", answer.text);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_server_that_stops_is_away_and_found_again() {
    if !server::is_wanted() {
        return;
    }
    let (_kept, folder) = crate::database::folder();
    let mut server = Server::make("");
    server.start().await;
    let url = server.url();
    let master = Process::start(&folder.join("master"), Some(&url), None).await;
    let beside_data = folder.join("beside");
    process::share_ca(&folder.join("master"), &beside_data);
    let beside = Process::start(&beside_data, Some(&url), None).await;
    furnish(&master, 3).await;
    request(&master, &wish("before")).await.expect(200);

    for (number, how) in [server::Stop::Fast, server::Stop::Immediate]
        .into_iter()
        .enumerate()
    {
        let polling = beside.watching(NODE).await;
        server.stop(how).await;
        for path in ["v1/services", "v1/computers/node-1"] {
            let answer = master.get(path).await.expect(503);
            assert!(
                answer.text.contains(r#""error":"no_database""#),
                "{answer:?}"
            );
            assert!(answer.text.contains("nothing was changed"), "{answer:?}");
        }
        let form = wish(&format!("during {number}"));
        let answer = request(&master, &form).await.expect(503);
        assert!(
            answer
                .text
                .starts_with("the master's database cannot be reached")
        );
        let answer = master
            .json("slapos.get.v0.instance_tree", r#"{"title": "before"}"#)
            .await
            .expect(503);
        assert!(answer.text.contains(r#""status":503"#), "{answer:?}");
        master
            .must_have_said(
                "the master's database cannot be reached",
                "error=failed to ask the database",
            )
            .await;

        server.start().await;
        until_it_works(&master, &form).await;
        // What the other master waits for reaches it again, though its listener was cut off as well.
        polling.must_be_woken().await;
    }
    let known = titles(&beside).await;
    assert_eq!(known, ["before", "during 0", "during 1"]);
}

#[tokio::test]
async fn a_server_whose_disk_is_full_keeps_nothing_by_halves() {
    if !server::is_wanted() || !process::may_mount() {
        return;
    }
    let (_kept, folder) = crate::database::folder();
    // A database takes 8 MB before anything is in it.
    let mut server = Server::make("24m");
    server.start().await;
    let url = server.url_on_small_disk().await;
    let master = Process::start(&folder.join("master"), Some(&url), None).await;
    furnish(&master, 3).await;
    request(&master, &wish("before")).await.expect(200);
    server.fill();
    let (status, text) = fill_up(&master).await;
    assert_eq!(status, 503, "{text}");
    assert!(text.starts_with("the master's disk is full"), "{text}");
    master
        .must_have_said("the master's disk is full", "No space left on device")
        .await;
    let kept = titles(&master).await;
    server.make_room();
    until_it_works(&master, &heavy("before", 300_000)).await;
    assert_eq!(titles(&master).await, kept);
}

/// Asks for more and more until that is refused, and says how.
async fn fill_up(master: &Process) -> (u16, String) {
    for number in 0..200 {
        let answer = request(master, &heavy("before", 200_000 + number)).await;
        if answer.status != 200 {
            return (answer.status, answer.text);
        }
    }
    panic!("there is always room");
}

#[tokio::test]
async fn a_full_disk_is_said_and_what_was_kept_stays() {
    if !process::may_mount() {
        return;
    }
    let (_kept, folder) = crate::database::folder();
    let data = folder.join("data");
    let master = Process::start(&data, None, Some("4m")).await;
    furnish(&master, 3).await;
    request(&master, &wish("before")).await.expect(200);
    request(&master, &wish("other")).await.expect(200);
    master.fill();

    let (status, text) = fill_up(&master).await;
    assert_eq!(status, 503, "{text}");
    assert_eq!(
        text,
        "the master's disk is full: nothing was changed, and nothing can be until there is room"
    );
    let token = r#"{"kind": "node", "lifetime_seconds": 60, "uses": 1, "auto_approve": true}"#;
    let mut answer = master.json("v1/tokens", token).await;
    // What is small may find room that was freed inside the file.
    for _ in 0..500 {
        if answer.status == 200 {
            answer = master.json("v1/tokens", token).await;
        }
    }
    let answer = answer.expect(507);
    assert!(answer.text.contains(r#""error":"disk_full""#), "{answer:?}");
    master
        .must_have_said("the master's disk is full", "error=failed to")
        .await;
    // Reading goes on.
    assert_eq!(titles(&master).await, ["before", "other"]);

    master.make_room();
    until_it_works(&master, &heavy("before", 100_000)).await;
    request(&master, &wish("after")).await.expect(200);
    assert_eq!(titles(&master).await, ["before", "other", "after"]);
}
