//! What people are shown: tables and lists, as text. No I/O, no clock.

use std::collections::BTreeMap;

use slap::v1::{
    Computer, ComputerState, Computers, LogEntry, Releases, Service, Services, Software, TokenKind,
    Tokens,
};
use slap::{SoftwareInstance, v1};

mod layout;
mod net;
mod node;
pub(crate) mod people;
mod usage;

pub(crate) use net::net;
pub(crate) use node::node;

use layout::{ago, bytes, facts, moment, remaining, single, table};

pub(crate) fn tokens(tokens: &Tokens, now: i64) -> String {
    let rows = tokens.tokens.iter().map(|token| {
        let state = if token.revoked {
            "revoked".to_owned()
        } else if token.used >= token.uses {
            "used up".to_owned()
        } else {
            remaining(token.expires_at, now)
        };
        let kind = match token.kind {
            TokenKind::Node => "node",
            TokenKind::Operator => "operator",
            TokenKind::Person => "person",
            TokenKind::Organisation => "organisation",
        };
        let bearer = token.name.as_ref().map(|it| it.as_str());
        let kind = [Some(kind), bearer];
        let kind = kind.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let approval = if token.auto_approve {
            ""
        } else {
            "by an operator"
        };
        let used = format!("{}/{}", token.used, token.uses);
        [
            token.id.clone(),
            kind,
            used,
            state,
            approval.to_owned(),
            maker(&token.created_by),
        ]
    });
    table(
        ["ID", "KIND", "USED", "LIFE", "APPROVAL", "MADE BY"],
        rows.collect(),
    )
}

/// Returns the name alone.
fn maker(identity: &str) -> String {
    let name = identity
        .strip_prefix("urn:slapbox:")
        .and_then(|it| it.split_once(':'));
    name.map_or(identity, |(_, name)| name).to_owned()
}

pub(crate) fn computers(computers: &Computers, now: i64) -> String {
    let rows = computers.computers.iter().map(|computer| {
        [
            computer.reference.to_string(),
            computer.inventory.name.clone(),
            standing(computer),
            last_contact(computer, now),
            format!("{}/{}", computer.partitions_used, computer.partitions),
            computer
                .report
                .as_ref()
                .map(|report| report.overlay.address.clone())
                .unwrap_or_default(),
        ]
    });
    table(
        [
            "REFERENCE",
            "NAME",
            "STATE",
            "LAST CONTACT",
            "PARTITIONS",
            "ADDRESS",
        ],
        rows.collect(),
    )
}

fn standing(computer: &Computer) -> String {
    let state = match computer.state {
        ComputerState::Pending => return format!("pending {}", computer.code),
        ComputerState::Approved => "approved",
        ComputerState::Enrolled => "enrolled",
        ComputerState::Revoked => "revoked",
    };
    let mark = if computer.warnings.is_empty() {
        ""
    } else {
        " (!)"
    };
    format!("{state}{mark}")
}

pub(crate) fn computer(computer: &Computer, now: i64) -> String {
    let report = computer.report.clone().unwrap_or_default();
    let mut lines = what_it_is(computer);
    let overlay = format!("{} {}", report.overlay.address, report.overlay.state);
    lines.extend([
        ("last contact", last_contact(computer, now)),
        ("version", report.version),
        ("overlay", overlay.trim().to_owned()),
        (
            "partitions",
            format!(
                "{} used of {}",
                computer.partitions_used, computer.partitions
            ),
        ),
    ]);
    lines.extend(
        computer
            .warnings
            .iter()
            .map(|warning| ("warning", warning.clone())),
    );
    lines.extend(
        report
            .failures
            .iter()
            .map(|failure| ("failure", failure_text(failure))),
    );
    let used = computer.usage.as_ref();
    let used = used.filter(|usage| !usage.partitions.is_empty());
    lines.extend(used.map(|usage| ("usage of", usage.date.clone())));
    let mut text = facts(&lines);
    if !computer.software.is_empty() {
        text.push('\n');
        text.push_str(&software(&computer.software));
    }
    if let Some(used) = used {
        text.push('\n');
        text.push_str(&usage::usage(used));
    }
    text
}

fn what_it_is(computer: &Computer) -> Vec<(&'static str, String)> {
    let labels = computer
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    let inventory = &computer.inventory;
    vec![
        ("reference", computer.reference.to_string()),
        ("name", inventory.name.clone()),
        ("state", standing(computer)),
        ("code", computer.code.clone()),
        (
            "builds",
            if computer.trusted {
                "for others of its project".to_owned()
            } else {
                String::new()
            },
        ),
        ("labels", labels.collect::<Vec<_>>().join(" ")),
        ("memory", bytes(inventory.memory_bytes)),
        ("processors", inventory.cpus.to_string()),
        ("serial", inventory.serial.clone()),
        ("SMBIOS UUID", inventory.smbios_uuid.clone()),
    ]
}

fn last_contact(computer: &Computer, now: i64) -> String {
    computer
        .last_contact
        .map_or_else(|| "never".to_owned(), |at| ago(at, now))
}

fn software(software: &[Software]) -> String {
    let rows = software.iter().map(|software| {
        let reported = software
            .reported_state
            .map(|state| state.to_string())
            .unwrap_or_default();
        [
            software.url.clone(),
            software.requested_state.to_string(),
            reported,
            first_line(&software.status),
        ]
    });
    table(["SOFTWARE", "WANTED", "REPORTED", "STATUS"], rows.collect())
}

fn failure_text(failure: &v1::Failure) -> String {
    match &failure.partition {
        Some(partition) => format!("{partition}: {}", failure.message),
        None => failure.message.clone(),
    }
}

pub(crate) fn services(services: &Services) -> String {
    let rows = services.services.iter().map(|service| {
        [
            service.title.to_string(),
            service.requested_state.to_string(),
            service
                .reported_state
                .map(|state| state.to_string())
                .unwrap_or_default(),
            service
                .computer
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            service
                .partition
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            first_line(&service.status),
        ]
    });
    table(
        [
            "TITLE",
            "WANTED",
            "REPORTED",
            "COMPUTER",
            "PARTITION",
            "STATUS",
        ],
        rows.collect(),
    )
}

pub(crate) fn service(service: &Service, news: bool) -> String {
    let text = |shown: Option<String>| shown.unwrap_or_default();
    let addresses = service.ip_list.iter().map(|it| it.1.to_string());
    let status = if news {
        service.status.clone()
    } else {
        first_line(&service.status)
    };
    let mut lines = vec![
        ("title", service.title.to_string()),
        ("reference", service.reference.to_string()),
        ("software", service.software_url.clone()),
        ("type", service.software_type.clone()),
        ("wanted", service.requested_state.to_string()),
        (
            "reported",
            text(service.reported_state.map(|it| it.to_string())),
        ),
        ("status", status),
        (
            "computer",
            text(service.computer.as_ref().map(ToString::to_string)),
        ),
        (
            "partition",
            text(service.partition.as_ref().map(ToString::to_string)),
        ),
        ("addresses", addresses.collect::<Vec<_>>().join(" ")),
    ];
    let assigned = |values: &BTreeMap<String, String>| -> Vec<String> {
        let pairs = values.iter();
        pairs.map(|(key, value)| format!("{key}={value}")).collect()
    };
    let parameters = assigned(&service.parameters).into_iter();
    lines.extend(parameters.map(|it| ("parameter", it)));
    let published = assigned(&service.connection).into_iter();
    lines.extend(published.map(|it| ("published", it)));
    facts(&lines)
}

pub(crate) fn log(entries: &[LogEntry]) -> String {
    let rows = entries.iter().map(|entry| {
        [
            moment(entry.at),
            who(&entry.actor),
            entry.action.clone(),
            who(&entry.subject),
            who(&entry.detail),
        ]
    });
    table(["WHEN", "WHO", "WHAT", "WITH", "DETAIL"], rows.collect())
}

/// One entry, where nobody knows yet how wide the others are.
pub(crate) fn log_line(entry: &LogEntry) -> String {
    let (at, actor) = (moment(entry.at), who(&entry.actor));
    let action = &entry.action;
    let (subject, detail) = (who(&entry.subject), who(&entry.detail));
    single(&format!(
        "{at}  {actor:16}  {action:18}  {subject:14}  {detail}"
    ))
}

/// An identity's name says what kind of identity it is. What is none stays as it is.
fn who(identity: &str) -> String {
    let named = identity.strip_prefix("urn:slapbox:");
    let name = named.and_then(|it| it.split_once(':')).map(|it| it.1);
    name.unwrap_or(identity).to_owned()
}

pub(crate) fn releases(releases: &Releases, now: i64) -> String {
    let rows = releases.releases.iter().map(|release| {
        [
            release.name.to_string(),
            bytes(release.size),
            ago(release.published_at, now),
            release.url.clone(),
        ]
    });
    table(["NAME", "SIZE", "PUBLISHED", "URL"], rows.collect())
}

pub(crate) fn instance(title: &str, instance: &SoftwareInstance) -> String {
    let addresses = instance
        .addresses
        .iter()
        .map(|address| address.address.to_string());
    let mut lines = vec![
        ("title", title.to_owned()),
        (
            "reference",
            instance
                .guid
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        (
            "state",
            instance
                .requested_state
                .map(|state| state.to_string())
                .unwrap_or_default(),
        ),
        ("computer", instance.computer.to_string()),
        ("partition", instance.partition.to_string()),
        ("addresses", addresses.collect::<Vec<_>>().join(" ")),
    ];
    let connection = instance.connection.iter();
    lines.extend(connection.map(|(key, value)| (key.as_str(), value.clone())));
    facts(&lines)
}

fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(80) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

#[cfg(test)]
mod tests;
