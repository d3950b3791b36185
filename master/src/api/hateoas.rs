//! Documents for people's tools (HAL in JSON): a root that says how to search and to read, rows, and forms.
//! Only as much of the original's as its clients use: `slapos service …`, `slapos computer …`.

mod query;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use slap::v1::UserKind;

use super::ApiError;
use super::base::Base;
use super::caller::Caller;
use super::extract;
use super::slap::project;
use crate::enrolment::TokenKind;
use crate::identity::ComputerId;
use crate::master::Master;
use crate::minting::{Mint, mint};
use crate::store::{Connection, computers, instances, supplies};
use query::Query;

/// More rows are never given.
const MOST_ROWS: usize = 1_000;
/// How long a node's token lives that `slapos computer token` asks for.
const TOKEN_LIFETIME: Duration = Duration::from_hours(24);

pub(super) fn routes() -> Router<Arc<Master>> {
    Router::new()
        .route("/hateoas", get(answer))
        .route("/hateoas/", get(answer))
        .route(
            "/hateoas/computer_module/Base_getComputerToken",
            get(computer_token),
        )
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    mode: String,
    query: String,
    select_list: String,
    limit: Option<usize>,
    relative_url: String,
}

async fn answer(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Base(base): Base,
    extract::Query(asked): extract::Query<Asked>,
) -> Result<Json<Value>, ApiError> {
    match asked.mode.as_str() {
        "" | "root" => Ok(Json(root(&base, &caller))),
        "search" => search(&master, &caller, &asked).await.map(Json),
        "traverse" => traverse(&master, &caller, &asked.relative_url)
            .await
            .map(Json),
        other => Err(ApiError::BadRequest(format!(
            "`mode={other}` is neither `search` nor `traverse`"
        ))),
    }
}

fn root(base: &str, caller: &Caller) -> Value {
    let who = match caller {
        Caller::Anyone => "person_module/anyone".to_owned(),
        Caller::Operator(name) => format!("person_module/{name}"),
        Caller::User(user) if user.kind == UserKind::Organisation => {
            format!("organisation_module/{}", user.name)
        }
        Caller::User(user) => format!("person_module/{}", user.name),
        Caller::Computer(computer) => format!("{}/{computer}", view::COMPUTERS),
        Caller::Instance(instance) => format!("{}/{}", view::INSTANCES, instance.reference),
    };
    json!({
        "_links": {
            "self": {"href": format!("{base}/hateoas")},
            "me": {"href": format!("urn:jio:get:{who}")},
            "raw_search": {
                "href": format!("{base}/hateoas/?mode=search{{&query,select_list,limit}}"),
                "name": "Raw Search",
                "templated": true,
            },
            "traverse": {
                "href": format!("{base}/hateoas/?mode=traverse{{&relative_url,view}}"),
                "name": "Traverse",
                "templated": true,
            },
        },
        "default_view": "view",
        "title": "Hateoas",
    })
}

async fn search(master: &Master, caller: &Caller, asked: &Asked) -> Result<Value, ApiError> {
    let query = query::parse(&asked.query).map_err(|err| ApiError::BadRequest(err.to_string()))?;
    let mut db = master.store.snapshot().await?;
    let mut rows = Vec::new();
    for kind in &query.portal_types {
        rows.extend(match kind.as_str() {
            "Instance Tree" => trees(&mut db, caller, &query).await?,
            "Compute Node" | "Computer" => nodes(&mut db, caller, &query).await?,
            "Software Instance" => members(master, &mut db, caller, &query, false).await?,
            "Slave Instance" => members(master, &mut db, caller, &query, true).await?,
            "Software Installation" => installations(master, &mut db, caller, &query).await?,
            other => {
                return Err(ApiError::BadRequest(format!(
                    "this master has no `{other}` to search for"
                )));
            }
        });
    }
    rows.truncate(asked.limit.unwrap_or(MOST_ROWS).min(MOST_ROWS));
    let wanted: Vec<&str> = asked.select_list.split(',').map(str::trim).collect();
    for row in &mut rows {
        row.retain(|column, _| wanted.contains(&column.as_str()));
    }
    Ok(json!({"_embedded": {"contents": rows}}))
}

type Rows = Vec<Map<String, Value>>;

async fn trees(db: &mut Connection, caller: &Caller, query: &Query) -> Result<Rows, ApiError> {
    let wanted = query.title.as_deref();
    Ok(instances::roots(db)
        .await?
        .iter()
        .filter(|it| wanted.is_none_or(|wanted| it.tree_title == wanted))
        .filter(|it| caller.may_know(it).is_ok())
        .map(view::tree_row)
        .collect())
}

async fn nodes(db: &mut Connection, caller: &Caller, query: &Query) -> Result<Rows, ApiError> {
    let (title, reference) = (query.title.as_deref(), query.reference.as_deref());
    Ok(computers::computers(db)
        .await?
        .iter()
        .filter(|it| title.is_none_or(|wanted| it.title() == wanted))
        .filter(|it| reference.is_none_or(|wanted| it.reference.as_str() == wanted))
        .filter(|it| caller.sees(&it.reference, &it.project))
        .map(view::computer_row)
        .collect())
}

async fn members(
    master: &Master,
    db: &mut Connection,
    caller: &Caller,
    query: &Query,
    shared: bool,
) -> Result<Rows, ApiError> {
    let now = master.clock.now();
    let (tree, title) = (query.tree.as_deref(), query.title.as_deref());
    Ok(instances::all(db)
        .await?
        .iter()
        .filter(|it| it.shared == shared)
        .filter(|it| tree.is_none_or(|wanted| it.tree_title == wanted))
        .filter(|it| title.is_none_or(|wanted| it.title == wanted))
        .filter(|it| caller.may_know(it).is_ok())
        .map(|it| view::instance_row(it, now))
        .collect())
}

async fn installations(
    master: &Master,
    db: &mut Connection,
    caller: &Caller,
    query: &Query,
) -> Result<Rows, ApiError> {
    let now = master.clock.now();
    let wanted = query.computer.as_deref();
    let seen: BTreeSet<ComputerId> = computers::computers(db)
        .await?
        .into_iter()
        .filter(|it| caller.sees(&it.reference, &it.project))
        .map(|it| it.reference)
        .collect();
    Ok(supplies::all_supplies(db)
        .await?
        .into_iter()
        .filter(|(computer, _)| wanted.is_none_or(|wanted| computer.as_str() == wanted))
        .filter(|(computer, _)| seen.contains(computer))
        .flat_map(|(_, supplies)| supplies)
        .map(|it| view::installation_row(&it, now))
        .collect())
}

async fn traverse(master: &Master, caller: &Caller, path: &str) -> Result<Value, ApiError> {
    let missing = || ApiError::NotFound(format!("there is no document `{path}`"));
    let (module, reference) = path.split_once('/').ok_or_else(missing)?;
    let now = master.clock.now();
    let mut db = master.store.snapshot().await?;
    match module {
        view::TREES => {
            let members =
                instances::members(&mut db, &crate::instance::TreeId(reference.to_owned())).await?;
            let root = members.iter().find(|it| it.is_root()).ok_or_else(missing)?;
            caller.may_know(root)?;
            Ok(view::tree(root, &members, now))
        }
        view::COMPUTERS => {
            let id: ComputerId = reference.parse().map_err(|_| missing())?;
            caller.may_see(&mut db, &id).await?;
            let computer = computers::computer(&mut db, &id)
                .await?
                .ok_or_else(missing)?;
            let heard = master.contacts.of(&id).max(computer.last_contact);
            let here: Vec<_> = instances::instances_on(&mut db, &id)
                .await?
                .into_values()
                .filter(|it| caller.may_know(it).is_ok())
                .collect();
            Ok(view::computer(&computer, heard, &here, now))
        }
        _ => Err(missing()),
    }
}

/// Makes a node's token for `slapos computer token`: what `slapos node register` asks for.
async fn computer_token(
    State(master): State<Arc<Master>>,
    caller: Caller,
) -> Result<Json<Value>, ApiError> {
    let wish = Mint {
        project: Some(project::managed(&caller, None)?),
        kind: TokenKind::Node,
        lifetime: TOKEN_LIFETIME,
        ..Mint::operator()
    };
    let mut writing = master
        .store
        .write(caller.to_string(), master.clock.now())
        .await?;
    let token = mint(&mut writing, wish, &master.entropy).await?;
    writing.commit().await?;
    let text = String::from(token);
    Ok(Json(json!({"access_token": text})))
}
