//! The document's own shape, with the place of each value, and the checks that make settings of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

use ipnet::Ipv6Net;
use serde::Deserialize;
use slap::join::JoinBlob;
use toml::Spanned;

use crate::desired::SoftwareUrl;
use crate::software::{Engine, PublicKey};

use super::mistake::Mistake;
use super::{
    LISTEN, Master, OVERLAY_PORT, Overlay, PARTITIONS, Role, Settings, cache, firewall, ipv4,
    limits, slap_master, storage,
};

const MOST_PARTITIONS: i64 = 4000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    role: Option<Spanned<String>>,
    name: Option<Spanned<String>>,
    join: Option<Spanned<String>>,
    partitions: Option<Spanned<i64>>,
    proxy: Option<Spanned<String>>,
    builder: Option<Spanned<String>>,
    image_keys: Option<Vec<Spanned<String>>>,
    limits: Option<limits::Table>,
    overlay: Option<OverlayTable>,
    storage: Option<storage::Table>,
    firewall: Option<firewall::Table>,
    ipv4: Option<Spanned<ipv4::Table>>,
    master: Option<Spanned<MasterTable>>,
    slap: Option<Spanned<slap_master::Table>>,
    cache: Option<cache::Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OverlayTable {
    port: Option<Spanned<i64>>,
    endpoint: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MasterTable {
    urls: Option<Vec<Spanned<String>>>,
    listen: Option<Spanned<String>>,
    network: Option<Spanned<String>>,
    #[serde(default)]
    regions: BTreeMap<String, Spanned<String>>,
}

/// Reads the shape: keys and types.
pub(super) fn read(text: &str) -> Result<Document, Mistake> {
    toml::from_str(text).map_err(|error| {
        let (problem, remedy) = words(error.message());
        match error.span() {
            Some(span) => Mistake::at(text, span.start, problem, remedy),
            None => Mistake::anywhere(problem, remedy),
        }
    })
}

/// Checks what the values mean.
pub(super) fn check(text: &str, document: Document) -> Result<Settings, Mistake> {
    let role = role(
        text,
        document.role.as_ref(),
        document.join,
        document.master,
        document.slap,
    )?;
    let partitions = match &document.partitions {
        None => PARTITIONS,
        Some(count) => whole(text, count, 1..=MOST_PARTITIONS)?,
    };
    Ok(Settings {
        role,
        name: document.name.map(|name| name_of(text, name)).transpose()?,
        partitions,
        proxy: document
            .proxy
            .map(|proxy| proxy_of(text, proxy))
            .transpose()?,
        limits: limits::check(text, document.limits)?,
        overlay: overlay(text, document.overlay)?,
        builder: document
            .builder
            .map(|builder| builder_of(text, builder))
            .transpose()?,
        image_keys: document
            .image_keys
            .unwrap_or_default()
            .iter()
            .map(|key| image_key_of(text, key))
            .collect::<Result<_, _>>()?,
        storage: storage::check(text, document.storage)?,
        cache: match document.cache {
            Some(table) => cache::check(text, table)?,
            None => cache::Cache::default(),
        },
        firewall: firewall::check(text, document.firewall)?,
        ipv4: ipv4::check(text, document.ipv4)?,
    })
}

/// Where the join blob stands in the text, quotes included.
pub(super) fn join_place(text: &str) -> Option<Range<usize>> {
    let mark = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let span = read(&text[mark..]).ok()?.join?.span();
    Some(span.start + mark..span.end + mark)
}

fn role(
    text: &str,
    role: Option<&Spanned<String>>,
    join: Option<Spanned<String>>,
    master: Option<Spanned<MasterTable>>,
    slap: Option<Spanned<slap_master::Table>>,
) -> Result<Role, Mistake> {
    let role_is = role.map_or("node", |role| role.get_ref());
    if let (Some(table), "node" | "master") = (&slap, role_is) {
        return Err(Mistake::at(
            text,
            table.span().start,
            format!("a {role_is} has no `[slap]` table"),
            "write `role = \"slap\"` above it, or remove the table",
        ));
    }
    match role_is {
        "slap" => slap_of(text, join.as_ref(), master.as_ref(), slap),
        "node" => match (join, master) {
            (_, Some(table)) => Err(no_master_table(text, &table)),
            (Some(join), None) => Ok(Role::Node(Some(blob(text, &join)?))),
            (None, None) => Ok(Role::Node(None)),
        },
        "master" => match (join, master) {
            (Some(join), _) => Err(Mistake::at(
                text,
                join.span().start,
                "a master joins nobody",
                "remove the `join` line, or write `role = \"node\"`",
            )),
            (None, Some(table)) => master_of(text, table).map(Role::Master),
            (None, None) => Err(Mistake::anywhere(
                "there is no `[master]` table",
                "add `[master]` and under it `urls = [\"https://ADDRESS\"]`, how nodes reach this box",
            )),
        },
        _ => {
            let at = role.map_or(0, |role| role.span().start);
            Err(Mistake::at(
                text,
                at,
                "the role is unknown",
                "write \"node\", \"master\" or \"slap\"",
            ))
        }
    }
}

fn slap_of(
    text: &str,
    join: Option<&Spanned<String>>,
    master: Option<&Spanned<MasterTable>>,
    slap: Option<Spanned<slap_master::Table>>,
) -> Result<Role, Mistake> {
    if let Some(join) = join {
        return Err(Mistake::at(
            text,
            join.span().start,
            "a master of another make takes no join blob",
            "remove the `join` line, or write `role = \"node\"`",
        ));
    }
    if let Some(table) = master {
        return Err(no_master_table(text, table));
    }
    match slap {
        Some(table) => slap_master::check(text, table)
            .map(Box::new)
            .map(Role::Slap),
        None => Err(Mistake::anywhere(
            "there is no `[slap]` table",
            "add `[slap]` and under it `url`, `computer` and `prefix`",
        )),
    }
}

fn no_master_table(text: &str, table: &Spanned<MasterTable>) -> Mistake {
    Mistake::at(
        text,
        table.span().start,
        "a node has no `[master]` table",
        "write `role = \"master\"` above it, or remove the table",
    )
}

fn blob(text: &str, join: &Spanned<String>) -> Result<JoinBlob, Mistake> {
    join.get_ref().trim().parse::<JoinBlob>().map_err(|error| {
        Mistake::at(
            text,
            join.span().start,
            format!("the join blob cannot be read: {error}"),
            "copy the whole line that `slapbox token create` prints",
        )
    })
}

fn master_of(text: &str, table: Spanned<MasterTable>) -> Result<Master, Mistake> {
    let start = table.span().start;
    let table = table.into_inner();
    let urls = table.urls.unwrap_or_default();
    if urls.is_empty() {
        let remedy = "write `urls = [\"https://ADDRESS\"]`, how nodes reach this box";
        return Err(Mistake::at(text, start, "the master has no `urls`", remedy));
    }
    let listen = match table.listen {
        None => LISTEN,
        Some(listen) => listen.get_ref().parse().map_err(|_| {
            let remedy = "write for example \"[::]:443\"";
            Mistake::at(
                text,
                listen.span().start,
                "`listen` is not ADDRESS:PORT",
                remedy,
            )
        })?,
    };
    let network = table.network.map(|network| network_of(text, &network));
    let network = network.transpose()?;
    let regions = table.regions.into_iter().map(|(name, part)| {
        let part = region_of(text, network, &part)?;
        Ok((name, part))
    });
    Ok(Master {
        urls: urls
            .into_iter()
            .map(|url| url_of(text, &url))
            .collect::<Result<_, _>>()?,
        listen,
        network,
        regions: regions.collect::<Result<_, _>>()?,
    })
}

fn url_of(text: &str, url: &Spanned<String>) -> Result<String, Mistake> {
    let at = url.span().start;
    let remedy = "write for example \"https://203.0.113.7\" or \"https://[2001:db8::7]:8443\"";
    let wrong = |problem: &str| Mistake::at(text, at, problem, remedy);
    let parsed = reqwest::Url::parse(url.get_ref()).map_err(|_| wrong("this is not a URL"))?;
    if parsed.scheme() != "https" || parsed.host().is_none() {
        return Err(wrong("a master's URL begins with https:// and a host"));
    }
    if parsed.path() != "/" || parsed.query().is_some() || !parsed.username().is_empty() {
        return Err(wrong("a master's URL has nothing but host and port"));
    }
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

fn network_of(text: &str, network: &Spanned<String>) -> Result<Ipv6Net, Mistake> {
    let parsed = network.get_ref().parse::<Ipv6Net>().ok();
    parsed
        .filter(|net| net.prefix_len() == 48 && net.trunc() == *net)
        .ok_or_else(|| {
            let remedy =
                "write for example \"fd12:3456:789a::/48\", or leave it out for a random one";
            Mistake::at(
                text,
                network.span().start,
                "`network` is not an IPv6 /48",
                remedy,
            )
        })
}

/// Reads the part of a network that is a region's; whether it is another's too, the registry says.
fn region_of(
    text: &str,
    network: Option<Ipv6Net>,
    part: &Spanned<String>,
) -> Result<Ipv6Net, Mistake> {
    let at = part.span().start;
    let Some(network) = network else {
        let remedy = "write `network`, too, of which a region has a part";
        return Err(Mistake::at(text, at, "there is no `network`", remedy));
    };
    let parsed = part.get_ref().parse::<Ipv6Net>().ok();
    let fits = |part: &Ipv6Net| {
        network.contains(part) && (49..=64).contains(&part.prefix_len()) && part.trunc() == *part
    };
    parsed.filter(fits).ok_or_else(|| {
        let remedy = format!("write for example \"{}/52\"", network.network());
        let problem = "the region's prefix is no /49 to /64 of the network";
        Mistake::at(text, at, problem, remedy)
    })
}

fn overlay(text: &str, table: Option<OverlayTable>) -> Result<Overlay, Mistake> {
    let Some(table) = table else {
        return Ok(Overlay {
            port: OVERLAY_PORT,
            endpoint: None,
        });
    };
    let port = match &table.port {
        None => OVERLAY_PORT,
        Some(port) => whole(text, port, 1..=65535)?,
    };
    let endpoint = match table.endpoint {
        None => None,
        Some(endpoint) if is_endpoint(endpoint.get_ref()) => Some(endpoint.into_inner()),
        Some(endpoint) => {
            let remedy = "write for example \"203.0.113.7:6326\" or \"[2001:db8::7]:6326\"";
            let at = endpoint.span().start;
            return Err(Mistake::at(text, at, "`endpoint` is not HOST:PORT", remedy));
        }
    };
    Ok(Overlay { port, endpoint })
}

fn is_endpoint(text: &str) -> bool {
    let name = |host: &str| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
    };
    text.parse::<SocketAddr>()
        .is_ok_and(|address| address.port() != 0)
        || text.rsplit_once(':').is_some_and(|(host, port)| {
            name(host) && port.parse::<u16>().is_ok_and(|port| port != 0)
        })
}

fn name_of(text: &str, name: Spanned<String>) -> Result<String, Mistake> {
    let fits = |name: &str| {
        (1..=63).contains(&name.len())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    if fits(name.get_ref()) {
        return Ok(name.into_inner());
    }
    let remedy = "use 1 to 63 letters, digits, `-`, `.` or `_`";
    Err(Mistake::at(
        text,
        name.span().start,
        "the name cannot be used",
        remedy,
    ))
}

fn proxy_of(text: &str, proxy: Spanned<String>) -> Result<String, Mistake> {
    let parsed = reqwest::Url::parse(proxy.get_ref()).ok();
    let good = |url: &reqwest::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if parsed.as_ref().is_some_and(good) {
        return Ok(proxy.into_inner());
    }
    let remedy = "write for example \"http://[2001:db8::1]:3128\"";
    Err(Mistake::at(
        text,
        proxy.span().start,
        "the proxy is not an http:// URL",
        remedy,
    ))
}

fn builder_of(text: &str, builder: Spanned<String>) -> Result<String, Mistake> {
    let url = SoftwareUrl::new(builder.get_ref());
    if Engine::of(&url) == Some(Engine::Oci) && reqwest::Url::parse(url.as_str()).is_ok() {
        return Ok(builder.into_inner());
    }
    let remedy = "write for example \"https://master.example/releases/builder.oci.tar\"";
    Err(Mistake::at(
        text,
        builder.span().start,
        "the builder is not the URL of an OCI archive",
        remedy,
    ))
}

fn image_key_of(text: &str, key: &Spanned<String>) -> Result<PublicKey, Mistake> {
    let remedy = "write what is in cosign.pub, between \"\"\" and \"\"\"";
    let wrong = |_| {
        let problem = "the key of images is no ECDSA key on P-256 in PEM";
        Mistake::at(text, key.span().start, problem, remedy)
    };
    PublicKey::parse(key.get_ref()).map_err(wrong)
}

fn whole(
    text: &str,
    value: &Spanned<i64>,
    range: std::ops::RangeInclusive<i64>,
) -> Result<u16, Mistake> {
    let number = *value.get_ref();
    match u16::try_from(number) {
        Ok(small) if range.contains(&number) => Ok(small),
        _ => Err(Mistake::at(
            text,
            value.span().start,
            "the number is out of range",
            format!("write one from {} to {}", range.start(), range.end()),
        )),
    }
}

/// The parser's message in a person's words. A value is never repeated: it may be a secret in the wrong place.
fn words(message: &str) -> (String, String) {
    if let Some((found, known)) = unknown_key(message) {
        let remedy = match nearest(found, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys here are {}", known.join(", ")),
        };
        return (format!("unknown key `{found}`"), remedy);
    }
    if let Some(rest) = message.strip_prefix("invalid type: ") {
        let found = rest.split([' ', '"', '`', ',']).next().unwrap_or("value");
        let wanted = match rest.rsplit(", expected ").next().unwrap_or_default() {
            "i64" => "a whole number without quotes",
            "a string" => "a text in quotes",
            "a boolean" => "true or false, without quotes",
            "a sequence" => "a list, like [\"…\", \"…\"]",
            _ => "a table",
        };
        let article = if found.starts_with(['a', 'e', 'i', 'o', 'u']) {
            "an"
        } else {
            "a"
        };
        return (
            format!("this is {article} {found}"),
            format!("write {wanted}"),
        );
    }
    if message == "duplicate key" {
        return (
            "this key is there twice".to_owned(),
            "remove one of the two lines".to_owned(),
        );
    }
    let problem = message
        .lines()
        .next()
        .unwrap_or("it is not TOML")
        .to_owned();
    (
        problem,
        "the document is TOML: `key = \"text\"`, one a line".to_owned(),
    )
}

/// Takes key and known keys out of serde's message for an unknown field, short enough to be shown.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let (found, rest) = message.strip_prefix("unknown field `")?.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).collect();
    (found.len() <= 40).then_some((found, known))
}

/// The known key that differs least, if it differs little.
fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .copied()
        .map(|key| (distance(found, key), key))
        .min()
        .filter(|(d, _)| *d <= 2)
        .map(|(_, key)| key)
}

/// Edits that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
