//! The store as a whole: its schema, its versions, its durability.

use super::*;

async fn open() -> (tempfile::TempDir, Utf8PathBuf, Store) {
    let temporary = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(temporary.path().join("master.sqlite")).unwrap();
    let store = Store::open(&path).await.unwrap();
    (temporary, path, store)
}

#[tokio::test]
async fn the_migrations_make_the_committed_schema() {
    let (_kept, _, store) = open().await;
    let mut db = store.read().await.unwrap();
    let statements: Vec<String> = sqlx::query_scalar(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '_sqlx%' ORDER BY type DESC, name",
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
    let (_kept, path, store) = open().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
         VALUES (9999, 'from the future', '2099-01-01', TRUE, x'00', 0)",
    )
    .execute(&store.writer)
    .await
    .unwrap();
    store.close().await;
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
    assert!(error.to_string().contains("newer version of this program"));
}

#[tokio::test]
async fn what_is_not_committed_never_was() {
    let (_kept, _, store) = open().await;
    let mut writing = store.write("test", Moment::from_seconds(1)).await.unwrap();
    writing.set_urls(&["https://a".to_owned()]).await.unwrap();
    drop(writing);
    let mut db = store.read().await.unwrap();
    assert!(settings::urls(&mut db).await.unwrap().is_empty());
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_kept, _, store) = open().await;
    let mut db = store.read().await.unwrap();
    let refused = sqlx::query("DELETE FROM counters").execute(&mut *db).await;
    assert!(refused.is_err());
}
