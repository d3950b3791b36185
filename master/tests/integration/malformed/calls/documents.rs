//! What is sent as JSON, or asked for in a path.

use super::{Call, JSON, get, raw};

/// What is sent as JSON.
#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(in crate::malformed) fn documents() -> Vec<Call> {
    let json = |path: &str, text: &str, status, words| {
        raw(path, JSON, text.as_bytes().to_vec(), status, words)
    };
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let labels = format!(r#"{{"labels": {deep}}}"#);
    let parameters = format!(
        r#"{{"title": "x", "software_release_uri": "y", "software_type": "z", "parameters": {{"a": {deep}}}}}"#
    );
    let instance = "/slapos.post.v0.software_instance";
    let mut calls = vec![
        json("/v1/tokens", "{", 400, "EOF"),
        json("/v1/tokens", "[]", 400, "must be an object"),
        json("/v1/tokens", r#"{"uses": "many"}"#, 400, "uses"),
        json("/v1/tokens", r#"{"uses": -1}"#, 400, "uses"),
        json("/v1/tokens", r#"{"uses": 0}"#, 400, "from 1 to 10000 uses"),
        json(
            "/v1/tokens",
            r#"{"kind": "god"}"#,
            400,
            "unknown variant `god`",
        ),
        json(
            "/v1/tokens",
            r#"{"lifetime_seconds": 99999999999999999999}"#,
            400,
            "lifetime_seconds",
        ),
        json("/v1/tokens", &labels, 400, "labels"),
        json("/v1/enrol", &deep, 400, "must be an object"),
        json(
            "/v1/enrol",
            r#"{"token": "x", "csr": "y"}"#,
            400,
            "a token is",
        ),
        json(
            "/v1/renew",
            r#"{"csr": "no request"}"#,
            400,
            "the signing request cannot be read",
        ),
        json(instance, &parameters, 400, "recursion limit exceeded"),
        json(
            instance,
            r#"{"title": "x", "software_release_uri": "y", "software_type": "z", "parameters": []}"#,
            400,
            "invalid type",
        ),
        json(
            instance,
            r#"{"title": "a\nb", "software_release_uri": "y", "software_type": "z"}"#,
            400,
            "none of them a control character",
        ),
        json(
            "/slapos.put.v0.compute_node_format",
            r#"{"computer_guid": "COMP-1", "compute_partition_list": [{"partition_id": "slappart0"}, {"partition_id": "slappart0"}]}"#,
            400,
            "announced twice",
        ),
        json(
            "/slapos.put.v0.compute_node_format",
            r#"{"computer_guid": "COMP-1", "compute_partition_list": [{"partition_id": "a", "ip_list": [{"ip-address": "nowhere"}]}]}"#,
            400,
            "ip-address: invalid IP address",
        ),
        raw(
            "/v1/tokens",
            JSON,
            b"{\"labels\": {\"\xff\": \"\"}}".to_vec(),
            400,
            "invalid unicode",
        ),
        raw(
            instance,
            JSON,
            b"{\"title\": \"\xff\"}".to_vec(),
            400,
            "invalid unicode",
        ),
        raw("/v1/tokens", JSON, vec![b' '; 300 << 10], 413, "limit"),
        raw(instance, JSON, vec![b' '; 3 << 20], 413, "limit"),
        get("/v1/services/%ff", 400, "UTF-8"),
        get("/v1/computers/..%2f..", 400, "computer"),
        get("/v1/watch?computer_id=COMP-1&since=-1", 400, "since"),
        get(
            "/v1/watch?computer_id=COMP-1&since=99999999999999999999",
            400,
            "since",
        ),
        get("/v1/forward?service=web&port=99999", 400, "port"),
        get("/v1/time?nonce=short", 400, "nonce"),
        get("/hateoas/?mode=dance", 400, "mode"),
        get(
            "/hateoas/?mode=search&query=%28%28%28%28&select_list=title",
            400,
            "query",
        ),
    ];
    let mut put = get("/v1/releases/..%2fx", 400, "cannot name a release");
    put.method = "PUT";
    calls.push(put);
    calls
}
