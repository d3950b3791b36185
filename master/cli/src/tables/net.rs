//! The overlay as one machine sees it.

use crate::commands::net::{Link, NetState, NoLink};

use super::layout::{bytes, facts, span, table};

/// `age` is how long ago the daemon said it, in seconds.
pub(crate) fn net(state: &NetState, age: u64) -> String {
    let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
    let overlay = match state.reason.as_str() {
        "" => state.state.clone(),
        reason => format!("{}: {reason}", state.state),
    };
    let up = state.links.iter().filter(|link| link.state == "up");
    let mut text = facts(&[
        ("computer", or_nothing(&state.computer)),
        ("name", or_nothing(&state.name)),
        ("overlay", overlay),
        ("network", or_nothing(&state.network)),
        ("prefix", or_nothing(&state.prefix)),
        ("address", or_nothing(&state.address)),
        (
            "neighbours",
            format!("{} of {} others", up.count(), state.others),
        ),
        ("routes", format!("to {} others", state.destinations)),
        (
            "tunnels",
            format!("{} made, {} lost", state.tunnels_made, state.tunnels_lost),
        ),
        ("as of", format!("{} ago", seconds(age))),
    ]);
    if !state.links.is_empty() {
        text.push('\n');
        text.push_str(&neighbours(&state.links));
    }
    let missing: Vec<_> = missing(state).collect();
    if !missing.is_empty() {
        text.push('\n');
        text.push_str(&table(["NO TUNNEL TO", "SINCE", "WHY"], missing));
    }
    text
}

fn neighbours(links: &[Link]) -> String {
    let row = |link: &Link| {
        let round_trip = link.round_trip_ms.map(|time| format!("{time:.1} ms"));
        let is_main = link.way.is_empty() || link.way == "main";
        let state = match is_main {
            true => link.state.clone(),
            false => format!("{}, being replaced", link.state),
        };
        [
            link.peer.clone(),
            state,
            seconds(link.age_seconds),
            round_trip.unwrap_or_default(),
            format!("{:.1} %", link.loss * 100.0),
            link.mtu.to_string(),
            link.carrier.clone().unwrap_or_default(),
            bytes(link.received_bytes),
            bytes(link.sent_bytes),
            link.destinations.to_string(),
            link.endpoint.clone().unwrap_or_default(),
        ]
    };
    let heads = [
        "NEIGHBOUR",
        "STATE",
        "SINCE",
        "RTT",
        "LOSS",
        "MTU",
        "CARRIER",
        "IN",
        "OUT",
        "ROUTES",
        "ENDPOINT",
    ];
    table(heads, links.iter().map(row).collect())
}

/// Whom there is no tunnel to that carries something, for how long, and why.
fn missing(state: &NetState) -> impl Iterator<Item = [String; 3]> {
    let down = state.links.iter().filter(|link| link.state != "up");
    let down = down.map(|link| {
        let since = seconds(link.age_seconds);
        [link.peer.clone(), since, link.reason.clone()]
    });
    let row = |who: &NoLink, reason: String| [who.peer.clone(), String::new(), reason];
    let asked = state.asked.iter().map(move |who| {
        let mut row = row(who, who.reason.clone());
        row[1] = seconds(who.seconds);
        row
    });
    let resting = state.resting.iter().map(move |who| {
        let again = seconds(who.seconds);
        row(
            who,
            format!("{}; it may be asked again in {again}", who.reason),
        )
    });
    down.chain(asked).chain(resting)
}

fn seconds(time: u64) -> String {
    span(i64::try_from(time).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::net::CONNECTED;

    #[test]
    fn neighbours_are_a_table_and_each_missing_one_has_a_reason() {
        insta::assert_snapshot!(net(&serde_json::from_str(CONNECTED).unwrap(), 12));
    }

    #[test]
    fn a_node_alone_says_why_and_moves_no_cursor() {
        let state = r#"{"state": "connecting", "reason": "no\u001b[2J way", "computer": "COMP-2", "later": 1}"#;
        insta::assert_snapshot!(net(&serde_json::from_str(state).unwrap(), 0));
    }
}
