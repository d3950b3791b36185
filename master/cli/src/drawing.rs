//! A network as a picture: SVG. Pure: the same network is the same picture.

mod layout;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::commands::net::Map;
use layout::{Point, layout};

/// Around the nodes, for their names.
const MARGIN: f64 = 60.0;
const STYLE: &str = "text{font:11px sans-serif;text-anchor:middle;fill:#222}\
.link{stroke:#7a8ca0;stroke-width:1.2}.time{font-size:9px;fill:#5a6a7a}\
.node{fill:#2a6fb0}.silent{fill:#bbb}.silent+text{fill:#999}";

/// Returns the picture of a network: who is silent is grey, and what is between two names is how long there and back takes.
pub(crate) fn svg(map: &Map) -> String {
    let numbers: BTreeMap<&str, usize> = map
        .nodes
        .iter()
        .enumerate()
        .map(|(number, node)| (node.reference.as_str(), number))
        .collect();
    let links = map.links.iter().filter_map(|link| {
        let [one, other] = &link.ends;
        let ends = (*numbers.get(one.as_str())?, *numbers.get(other.as_str())?);
        Some((ends, link.round_trip_ms))
    });
    let links: Vec<_> = links.collect();
    let edges: Vec<_> = links.iter().map(|(ends, _)| *ends).collect();
    let places = layout(map.nodes.len(), &edges);
    let size = |side: fn(&Point) -> f64| places.iter().map(side).fold(0.0, f64::max) + 2.0 * MARGIN;
    let (width, height) = (size(|place| place.x), size(|place| place.y));
    let at = |number: usize| Point {
        x: places[number].x + MARGIN,
        y: places[number].y + MARGIN,
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\n\
         <title>{}</title>\n<style>{STYLE}</style>",
        plain(&title(map))
    );
    for ((one, other), time) in &links {
        draw_link(&mut text, at(*one), at(*other), *time);
    }
    for (number, node) in map.nodes.iter().enumerate() {
        let heard = match node.silent_seconds {
            Some(seconds) => format!("heard {seconds} s ago"),
            None => "not heard".to_owned(),
        };
        let hint = format!("{} {}, {heard}", node.reference, node.prefix);
        let class = if node.is_alive { "node" } else { "silent" };
        let Point { x, y } = at(number);
        let _ = writeln!(
            text,
            "<g><title>{}</title><circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\"/><text x=\"{x:.1}\" y=\"{:.1}\">{}</text></g>",
            plain(&hint),
            y + 20.0,
            plain(&node.reference)
        );
    }
    text.push_str("</svg>\n");
    text
}

fn title(map: &Map) -> String {
    let alive = map.nodes.iter().filter(|node| node.is_alive).count();
    let (nodes, links) = (map.nodes.len(), map.links.len());
    format!(
        "{}: {alive} of {nodes} nodes are there, with {links} tunnels",
        map.network
    )
}

fn draw_link(text: &mut String, from: Point, to: Point, time: Option<f64>) {
    let _ = writeln!(
        text,
        "<line class=\"link\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.x, from.y, to.x, to.y
    );
    if let Some(time) = time {
        let _ = writeln!(
            text,
            "<text class=\"time\" x=\"{:.1}\" y=\"{:.1}\">{time:.1} ms</text>",
            f64::midpoint(from.x, to.x),
            f64::midpoint(from.y, to.y) - 3.0
        );
    }
}

/// Returns a text that means nothing but itself in XML.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '"' => plain.push_str("&quot;"),
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_drawn_with_names_times_and_who_is_silent() {
        let map = r#"{"network": "fd12:3456:789a::/48", "nodes": [
            {"reference": "COMP-1", "prefix": "fd12:3456:789a:1::/64", "is_alive": true, "silent_seconds": 7},
            {"reference": "COMP-2", "prefix": "fd12:3456:789a:2::/64", "is_alive": true, "silent_seconds": 30},
            {"reference": "COMP-3", "prefix": "fd12:3456:789a:3::/64", "is_alive": true, "silent_seconds": 0},
            {"reference": "COMP-4", "prefix": "fd12:3456:789a:4::/64", "is_alive": false, "silent_seconds": null}],
          "links": [{"ends": ["COMP-1", "COMP-2"], "round_trip_ms": 1.25}, {"ends": ["COMP-2", "COMP-3"], "round_trip_ms": null},
            {"ends": ["COMP-1", "COMP-9"], "round_trip_ms": 1.0}]}"#;
        insta::assert_snapshot!(svg(&serde_json::from_str(map).unwrap()));
    }

    #[test]
    fn what_a_name_has_in_it_draws_nothing() {
        let map = r#"{"network": "x", "nodes": [{"reference": "<a href=\"y\">&\u001b", "is_alive": true}]}"#;
        let text = svg(&serde_json::from_str(map).unwrap());
        assert!(!text.contains("<a "), "{text}");
        assert!(
            text.contains(">&lt;a href=&quot;y&quot;&gt;&amp; </text>"),
            "{text}"
        );
    }

    #[test]
    fn nobody_is_a_picture_too() {
        let text = svg(&Map::default());
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
        assert!(text.contains("0 of 0 nodes"), "{text}");
    }
}
