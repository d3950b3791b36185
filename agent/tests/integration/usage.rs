//! What partitions used reaches a master over TLS, once.

use std::os::unix::net::UnixStream;

use camino::Utf8PathBuf;
use slap::{ComputerId, Journal};
use slapbox_agent::master::{self, Master};
use slapbox_agent::places::Places;
use slapbox_agent::usage::{Accounting, Outbox, Troubles, send_all};
use slapbox_agent::workload::Paths;
use tokio::sync::watch;
use zbus::connection::Builder;

use crate::enrolment::{Box, admitted};
use crate::master::{Mood, TestMaster};

const SAID: &str = "<consumption><movement><resource>service_module/pages</resource><reference>somebody else</reference>\
    <quantity>3.0</quantity><price>0.0</price><VAT/></movement></consumption>";

#[tokio::test]
async fn a_document_whose_answer_was_lost_is_sent_again_byte_for_byte() {
    let test_master = TestMaster::start(Mood::Admit, -1, 90).await;
    let the = Box::new();
    let admitted = admitted(the.enrol(&test_master.join()).await);
    let identity = the.identity(admitted, &test_master.join());
    test_master.seen();
    let settings = master::settings(&identity);
    let (computer, places) = (ComputerId::numbered(2), the.places());
    let master = Master::new(settings, computer.clone(), places.clone(), Box::world()).unwrap();
    let paths = Paths {
        instances: places.at("srv/slapgrid"),
        software: places.at("srv/slapgrid/software"),
        usage: places.state().join("usage"),
        ..Paths::default()
    };
    let accounting = Accounting {
        systemd: silent_systemd().await,
        outbox: Outbox::new(paths.usage.join("outbox"), paths.clone()),
        paths,
        places: &places,
        board: &the.board,
        world: Box::world(),
        computer,
        troubles: Troubles::default(),
        last_day: watch::Sender::new(None),
    };
    let folder = says_something(&places);
    accounting.report_if_due(1_795_867_200, 0).await.unwrap();
    *test_master.mood.lock().unwrap() = Mood::LoseAnswers(1);
    let sent = send_all(&accounting.outbox, &master).await.unwrap();
    assert_eq!(
        sent.away.as_deref(),
        Some("the master answered 502: the answer is lost")
    );
    assert!(folder.join("a").exists(), "it is not known to have arrived");
    let sent = send_all(&accounting.outbox, &master).await.unwrap();
    assert_eq!((sent.taken, sent.away), (1, None));
    assert!(!folder.join("a").exists());
    assert_eq!(
        send_all(&accounting.outbox, &master).await.unwrap(),
        Default::default()
    );

    assert_eq!(
        test_master.seen(),
        ["usage of COMP-2 lost", "usage of COMP-2 again"]
    );
    let kept = test_master.usage.lock().unwrap().clone();
    let [document] = &kept.into_iter().collect::<Vec<_>>()[..] else {
        panic!("two documents of one report")
    };
    let journal = Journal::from_xml(document).unwrap();
    let [transaction] = &journal.transactions[..] else {
        panic!("{document}")
    };
    assert_eq!(transaction.reference, "COMP-2");
    let movement = &transaction.movements[0];
    assert_eq!(movement.reference.as_deref(), Some("slappart3"));
}

/// A partition that is wanted, with a report. Returns the folder of it.
fn says_something(places: &Places) -> Utf8PathBuf {
    let wanted = serde_json::json!({"version": 1, "desired": {"software": {}, "refused": {}, "partitions": {"slappart3": {
        "state": "started", "software": "https://m/a.oci.tar", "software_type": "default", "title": "", "root_title": "",
        "reference": "SOFTINST-1", "timestamp": "1", "parameters": {}, "shared": [], "ip_list": [], "retention_days": 0.0, "connection": {}
    }}}});
    slapbox_agent::disk::replace(&places.desired(), wanted.to_string().as_bytes()).unwrap();
    let folder = places.at("srv/slapgrid/slappart3/var/xml_report");
    std::fs::create_dir_all(&folder).unwrap();
    slapbox_agent::disk::replace(&folder.join("a"), SAID.as_bytes()).unwrap();
    folder
}

/// Nobody answers for systemd: there is nothing to run.
async fn silent_systemd() -> slapbox_agent::systemd::Systemd {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let guid = zbus::Guid::generate();
    let (theirs, ours) = tokio::try_join!(
        Builder::unix_stream(theirs).server(guid).p2p().build(),
        Builder::unix_stream(ours).p2p().build()
    )
    .unwrap();
    drop(theirs);
    slapbox_agent::systemd::Systemd::new(ours)
}
