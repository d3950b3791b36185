//! What an instance requests is asked for in its own name, over TLS with its own certificate.

use slap::{ComputerId, RequestedState};
use slapbox_agent::desired::{PartitionName, SoftwareUrl};
use slapbox_agent::instances::answers::{Answer, Asking, Refusal};
use slapbox_agent::instances::wishes::Wish;
use slapbox_agent::master::{self, Master};

use crate::enrolment::{Box, admitted};
use crate::master::{Mood, TestMaster};

fn asking(identity: Option<slap::client::Identity>) -> Asking {
    let wishes = ["moon", "db"].map(|title| {
        let wish = serde_json::json!({ "title": title });
        serde_json::from_value::<Wish>(wish).unwrap()
    });
    Asking {
        partition: PartitionName::new(3),
        identity,
        software: SoftwareUrl::new("https://x/own.oci.tar"),
        wishes: wishes.into(),
    }
}

#[tokio::test]
async fn an_instance_requests_by_its_own_certificate() {
    let test_master = TestMaster::start(Mood::Admit, -1, 90).await;
    let the = Box::new();
    let admitted = admitted(the.enrol(&test_master.join()).await);
    let identity = the.identity(admitted, &test_master.join());
    test_master.seen();
    let settings = master::settings(&identity);
    let computer = ComputerId::numbered(2);
    let client = Master::new(
        settings.clone(),
        computer.clone(),
        the.places(),
        Box::world(),
    );
    let own = test_master.identity();
    let answers = client.unwrap().request_all(asking(Some(own.clone()))).await;
    let db = Answer {
        ready: true,
        reference: Some("SOFTINST-3".into()),
        state: Some(RequestedState::Started),
        computer: Some("COMP-2".into()),
        partition: Some("slappart7".into()),
        connection: [("url".into(), "http://[::1]/".into())].into(),
    };
    let moon = Refusal::NotReady("the master says: no partition is free".into());
    assert_eq!(answers, [Err(moon), Ok(db)]);
    let seen = ["moon", "db"]
        .map(|title| format!("slappart3 of COMP-2 requests {title} of https://x/own.oci.tar"));
    assert_eq!(test_master.seen(), seen);
    let shown = test_master.caller.lock().unwrap().clone().unwrap();
    let (_, own) = x509_parser::pem::parse_x509_pem(own.certificate_pem.as_bytes()).unwrap();
    assert_eq!(shown, own.contents);

    // Nobody is there: it is said once for all, and nothing is known.
    let nowhere = slap::client::Settings {
        urls: vec!["https://127.0.0.1:1".into()],
        ..settings
    };
    let client = Master::new(nowhere, computer, the.places(), Box::world());
    let answers = client.unwrap().request_all(asking(None)).await;
    let away = Refusal::Unknown(
        "the master at 127.0.0.1:1 does not answer: the connection is refused".into(),
    );
    assert_eq!(answers, [Err(away.clone()), Err(away)]);
}
