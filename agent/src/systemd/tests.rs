//! A fake systemd at the other end of a socket, to see that we speak to the real one correctly.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zbus::connection::Builder;
use zbus::object_server::SignalEmitter;
use zbus::{Guid, OwnedObjectPath, fdo, interface};

use super::*;

/// What the fake was asked, in words.
type Asked = Arc<Mutex<Vec<String>>>;

struct FakeSystemd {
    asked: Asked,
    /// How jobs end.
    result: &'static str,
}

type Listed = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

const JOB: &str = "/org/freedesktop/systemd1/job/7";

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl FakeSystemd {
    async fn start_transient_unit(
        &self,
        name: String,
        mode: String,
        properties: Vec<(String, OwnedVariant)>,
        aux: Vec<(String, Vec<(String, OwnedVariant)>)>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<OwnedObjectPath> {
        if name == "refused.service" {
            return Err(fdo::Error::InvalidArgs("Invalid environment block.".into()));
        }
        let mut words = Vec::new();
        for (name, value) in properties {
            let value = zbus::Variant::from(value);
            if let zbus::Variant::Fd(fd) = &value {
                let pipe = fd.as_fd().try_clone_to_owned().unwrap();
                let line = format!("{name} works\n");
                std::fs::File::from(pipe)
                    .write_all(line.as_bytes())
                    .unwrap();
                words.push(name);
            } else {
                words.push(format!("{name}={value}"));
            }
        }
        assert!(aux.is_empty());
        self.note(format!("start {name} {mode} {}", words.join(" ")));
        self.end_jobs(&emitter, &name).await;
        Ok(OwnedObjectPath::try_from(JOB).unwrap())
    }

    async fn stop_unit(
        &self,
        name: String,
        mode: String,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<OwnedObjectPath> {
        self.note(format!("stop {name} {mode}"));
        self.end_jobs(&emitter, &name).await;
        Ok(OwnedObjectPath::try_from(JOB).unwrap())
    }

    fn list_units_by_patterns(&self, states: Vec<String>, patterns: Vec<String>) -> Vec<Listed> {
        self.note(format!("list {states:?} {patterns:?}"));
        let path = OwnedObjectPath::try_from("/x").unwrap();
        let text = str::to_owned;
        vec![(
            text("slappart0-web.service"),
            text("slappart0: web [0123]"),
            text("loaded"),
            text("activating"),
            text("auto-restart"),
            String::new(),
            path.clone(),
            0,
            String::new(),
            path,
        )]
    }

    fn reset_failed_unit(&self, name: String) {
        self.note(format!("forget {name}"));
    }

    fn subscribe(&self) {
        self.note("subscribe".into());
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: OwnedObjectPath,
        unit: String,
        result: String,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn unit_removed(
        emitter: &SignalEmitter<'_>,
        id: String,
        unit: OwnedObjectPath,
    ) -> zbus::Result<()>;
}

impl FakeSystemd {
    fn note(&self, words: String) {
        self.asked.lock().unwrap().push(words);
    }

    /// Ends somebody else's job first, and ours before the answer to the call, which is the earliest that may be.
    async fn end_jobs(&self, emitter: &SignalEmitter<'_>, unit: &str) {
        for (job, result) in [
            ("/org/freedesktop/systemd1/job/6", "canceled"),
            (JOB, self.result),
        ] {
            let job = OwnedObjectPath::try_from(job).unwrap();
            let ended = Self::job_removed(emitter, 7, job, unit.into(), result.into());
            ended.await.unwrap();
        }
    }
}

/// Returns our end and the fake, which lives as long as its connection.
async fn systemd(result: &'static str) -> (Systemd, Asked, Connection) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let asked = Asked::default();
    let manager = FakeSystemd {
        asked: Arc::clone(&asked),
        result,
    };
    let theirs = Builder::unix_stream(theirs)
        .server(Guid::generate())
        .p2p()
        .serve_at("/org/freedesktop/systemd1", manager)
        .build();
    let ours = Builder::unix_stream(ours).p2p().build();
    let (theirs, ours) = tokio::try_join!(theirs, ours).unwrap();
    (Systemd::new(ours), asked, theirs)
}

fn asked(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().clone()
}

#[tokio::test]
async fn a_unit_is_made_from_its_properties_and_awaited() {
    let (systemd, log, _keep) = systemd("done").await;
    let properties = [
        property("User", "20000"),
        property(
            "ExecStart",
            Value::Command(vec!["/bin/a".into(), "b".into()]),
        ),
        property("NoNewPrivileges", true),
        property("UMask", 23_u32),
    ];
    systemd
        .start("slappart0-a.service", &properties)
        .await
        .unwrap();
    assert_eq!(
        asked(&log),
        [
            r#"start slappart0-a.service replace User="20000" ExecStart=[("/bin/a", ["/bin/a", "b"], false)] NoNewPrivileges=true UMask=uint32 23"#
        ]
    );
}

#[tokio::test]
async fn a_job_that_fails_is_an_error_that_says_how() {
    let (systemd, _log, _keep) = systemd("failed").await;
    let error = systemd.start("slappart0-a.service", &[]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the start of `slappart0-a.service` ended as `failed`"
    );
    let error = systemd.start("refused.service", &[]).await.unwrap_err();
    assert_eq!(
        crate::causes::in_one_line(&error),
        "failed to start `refused.service`: org.freedesktop.DBus.Error.InvalidArgs: Invalid environment block."
    );
}

#[tokio::test]
async fn a_program_that_runs_to_its_end_leaves_its_output() {
    let (systemd, log, _keep) = systemd("timeout").await;
    let stopping = systemd
        .run("slapinstantiate-slappart0.service", &[], Duration::ZERO)
        .await;
    assert!(stopping.is_err(), "what runs already cannot be stopped");
    drop((systemd, log));
    let (systemd, log, _keep) = self::systemd("done").await;
    let ran = systemd
        .run("slapinstantiate-slappart0.service", &[], Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(ran.result, "done");
    assert_eq!(
        ran.output,
        "StandardOutputFileDescriptor works\nStandardErrorFileDescriptor works"
    );
    assert_eq!(
        asked(&log)[0],
        "stop slapinstantiate-slappart0.service replace"
    );
}

#[tokio::test]
async fn a_program_is_spoken_with_over_its_input_and_output() {
    let (systemd, _log, _keep) = systemd("done").await;
    let unit = "slappromises-slappart0.service";
    let mut stream = systemd.converse(unit, &[]).await.unwrap();
    let mut said = String::new();
    // The fake closes what it was given.
    stream.read_to_string(&mut said).await.unwrap();
    assert_eq!(
        said,
        "StandardInputFileDescriptor works\nStandardOutputFileDescriptor works\n"
    );
    let (systemd, _log, _keep) = self::systemd("failed").await;
    assert!(systemd.converse(unit, &[]).await.is_err());
}

#[tokio::test]
async fn units_are_listed_by_patterns() {
    let (systemd, log, _keep) = systemd("done").await;
    let units = systemd.list(&["slappart*-*.service"]).await.unwrap();
    assert_eq!(asked(&log), [r#"list [] ["slappart*-*.service"]"#]);
    assert_eq!(
        units,
        [ListedUnit {
            name: "slappart0-web.service".into(),
            description: "slappart0: web [0123]".into(),
            active_state: "activating".into(),
            sub_state: "auto-restart".into(),
        }]
    );
}

#[tokio::test]
async fn a_change_of_a_partitions_unit_is_noticed_and_no_others() {
    let (systemd, log, theirs) = systemd("done").await;
    let (noticed, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let watching = tokio::spawn({
        let systemd = systemd.clone();
        async move {
            let notice = async |unit| noticed.send(unit).unwrap();
            systemd.watch_units(notice).await
        }
    });
    while asked(&log).is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let emitter = SignalEmitter::new(&theirs, "/org/freedesktop/systemd1").unwrap();
    let path = OwnedObjectPath::try_from("/x").unwrap();
    for unit in ["slapbox-agent.service", "slappart0-web.service"] {
        let removed = FakeSystemd::unit_removed(&emitter, unit.into(), path.clone());
        removed.await.unwrap();
    }
    assert_eq!(seen.recv().await.unwrap(), "slappart0-web.service");
    assert!(seen.try_recv().is_err());
    drop(theirs);
    drop(emitter);
    let ended = tokio::time::timeout(Duration::from_secs(5), watching).await;
    assert!(
        matches!(ended, Ok(Ok(Err(SystemdError::Ended)))),
        "{ended:?}"
    );
}

#[tokio::test]
async fn who_asks_systemd_about_each_change_holds_up_nobody_however_many_there_are() {
    const CHANGES: usize = 500;
    let (systemd, log, theirs) = systemd("done").await;
    let (noticed, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let watching = tokio::spawn({
        let systemd = systemd.clone();
        async move {
            let notice = async |unit| {
                systemd.list(&[]).await.unwrap();
                noticed.send(unit).unwrap();
            };
            systemd.watch_units(notice).await
        }
    });
    while asked(&log).is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let emitter = SignalEmitter::new(&theirs, "/org/freedesktop/systemd1").unwrap();
    for _ in 0..CHANGES {
        let job = OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/6").unwrap();
        let unit = "slappart0-web.service".to_owned();
        let removed = FakeSystemd::job_removed(&emitter, 6, job, unit, "done".into());
        removed.await.unwrap();
    }
    let all = async {
        systemd.start("slappart1-web.service", &[]).await.unwrap();
        for _ in 0..CHANGES {
            seen.recv().await.unwrap();
        }
    };
    let all = tokio::time::timeout(Duration::from_secs(20), all).await;
    assert!(all.is_ok(), "the connection stands still");
    watching.abort();
}
