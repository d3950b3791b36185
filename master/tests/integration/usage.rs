//! What nodes say that their partitions used.

use slap::client::CallError;
use slap::forms::UsageForm;

use crate::lab::Lab;
use crate::rpc::JOURNAL;

#[tokio::test]
async fn what_partitions_used_on_the_last_day_is_said_once_and_shown() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    let used = |cpu_seconds: f64| {
        let partition = serde_json::json!({"partition": "slappart3", "cpu_seconds": cpu_seconds, "disk_bytes": 4096});
        let usage = serde_json::json!({"date": "2026-11-27", "partitions": [partition]});
        serde_json::from_value::<slap::v1::DayUsage>(usage).unwrap()
    };
    for (said, shown) in [
        (None, None),
        (Some(used(1.5)), Some(used(1.5))),
        (None, Some(used(1.5))),
        (Some(used(2.5)), Some(used(2.5))),
    ] {
        let report = slap::v1::NodeReport {
            usage: said,
            ..slap::v1::NodeReport::default()
        };
        node.client.report(&report).await.unwrap();
        let computer = operator.computer_status(&node.id).await.unwrap();
        assert_eq!(computer.usage, shown);
        assert_eq!(computer.report.unwrap().usage, None);
    }
}

#[tokio::test]
async fn a_usage_report_that_comes_again_counts_once() {
    let lab = Lab::open().await;
    let node = lab.node(&lab.operator().await).await;
    let form = |stop_date: &str| UsageForm {
        computer: node.id.clone(),
        usage: JOURNAL.replace(
            "<stop_date/>",
            &format!("<stop_date>{stop_date}</stop_date>"),
        ),
    };
    for (stop_date, kept) in [("one", 1), ("one", 1), ("another", 2), ("one", 2)] {
        node.client.report_usage(&form(stop_date)).await.unwrap();
        let mut db = lab.master().store.read().await.unwrap();
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM usage_reports")
            .fetch_one(&mut *db)
            .await
            .unwrap();
        assert_eq!(count, kept, "{stop_date}");
    }
    let refused = UsageForm {
        usage: "<journal/>".to_owned(),
        ..form("")
    };
    let error = node.client.report_usage(&refused).await.unwrap_err();
    let CallError::Status { status: 400, error } = error else {
        panic!("{error}")
    };
    assert!(error.message.contains("no `<transaction>`"), "{error}");
}
