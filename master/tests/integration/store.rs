//! The store as a whole: its schema, its versions, its durability.

use camino::Utf8PathBuf;
use slapbox_master::clock::Moment;
use slapbox_master::store::{Location, Store, StoreError, audit, settings};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Executor as _};

use crate::database::{Database, folder};

struct Kept {
    _folder: tempfile::TempDir,
    database: Database,
    path: Utf8PathBuf,
    location: Location,
}

async fn open() -> (Kept, Store) {
    let database = Database::new().await;
    let (folder, path) = folder();
    let location = database.location(&path);
    let store = Store::open(&location).await.unwrap();
    let kept = Kept {
        _folder: folder,
        database,
        path,
        location,
    };
    (kept, store)
}

/// A connection that may do anything.
async fn directly(kept: &Kept) -> AnyConnection {
    let url = match &kept.database.url {
        Some(url) => url.clone(),
        None => format!("sqlite://{}/master.sqlite", kept.path),
    };
    let options: AnyConnectOptions = url.parse().unwrap();
    options.connect().await.unwrap()
}

#[tokio::test]
async fn the_migrations_make_the_committed_schema() {
    let (kept, store) = open().await;
    if !kept.database.is_file() {
        // PostgreSQL keeps no text of what made a table.
        return;
    }
    let mut db = store.read().await.unwrap();
    let statements: Vec<String> = sqlx::query_scalar(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND type <> 'trigger' AND name NOT LIKE '_sqlx%' ORDER BY type DESC, name",
    )
    .fetch_all(&mut *db)
    .await
    .unwrap();
    let schema = format!("{};\n", statements.join(";\n\n"));
    assert!(
        schema == include_str!("../../schema.sql"),
        "schema.sql is not what the migrations make; it should be:\n{schema}"
    );
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let (kept, store) = open().await;
    store.close().await;
    let blob = if kept.database.is_file() {
        "x'00'"
    } else {
        "'\\x00'"
    };
    let newer = format!(
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
         VALUES (9999, 'from the future', '2099-01-01', TRUE, {blob}, 0)"
    );
    directly(&kept)
        .await
        .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(newer)))
        .await
        .unwrap();
    let error = Store::open(&kept.location).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
    assert!(error.to_string().contains("newer version of this program"));
}

#[tokio::test]
async fn what_is_not_committed_never_was() {
    let (_kept, store) = open().await;
    let mut writing = store.write("test", Moment::from_seconds(1)).await.unwrap();
    writing.set_urls(&["https://a".to_owned()]).await.unwrap();
    drop(writing);
    let mut db = store.read().await.unwrap();
    assert!(settings::urls(&mut db).await.unwrap().is_empty());
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_kept, store) = open().await;
    let mut db = store.read().await.unwrap();
    let refused = sqlx::query("DELETE FROM counters").execute(&mut *db).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let location = slapbox_master::config::database_of(
        "/nowhere".into(),
        Some("postgres://ann:s3cret@127.0.0.1:1/cloud"),
    )
    .unwrap();
    let error = Store::open(&location).await.unwrap_err();
    let words = format!("{:#}", anyhow::Error::new(error));
    assert!(
        words.starts_with("failed to open the database `postgres://ann@127.0.0.1:1/cloud`"),
        "{words}"
    );
    assert!(!words.contains("s3cret"), "{words}");
}

#[tokio::test]
async fn the_audit_is_only_ever_added_to() {
    let (kept, store) = open().await;
    let mut writing = store.write("ann", Moment::from_seconds(1)).await.unwrap();
    writing.note("try", "this", "once");
    writing.note("try", "this", "twice");
    writing.commit().await.unwrap();
    let mut statements = vec!["UPDATE audit SET actor = 'bob'", "DELETE FROM audit"];
    if !kept.database.is_file() {
        statements.push("TRUNCATE audit");
    }
    for statement in statements {
        let refused = directly(&kept).await.execute(statement).await.unwrap_err();
        let words = refused.to_string();
        assert!(words.contains("the audit is only ever added to"), "{words}");
    }
    let mut db = store.read().await.unwrap();
    let entries = audit::last_entries(&mut db, 10).await.unwrap();
    let seen: Vec<_> = entries
        .iter()
        .map(|it| (it.number, it.actor.as_str(), it.detail.as_str()))
        .collect();
    assert_eq!(seen, [(1, "ann", "once"), (2, "ann", "twice")]);
    drop(db);
    store.close().await;
    // A later start finds it guarded already.
    Store::open(&kept.location).await.unwrap();
}
