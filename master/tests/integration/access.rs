//! Who may do what: every route with no certificate, with a computer's, with another computer's.

use reqwest::{Method, StatusCode};
use slap::client::Identity;

use crate::lab::Lab;

/// What only somebody with a certificate may do, with a body that would do.
const CLOSED: [(&str, &str); 45] = [
    ("GET", "/getFullComputerInformation?computer_id=COMP-1"),
    ("GET", "/getComputerInformation?computer_id=COMP-1"),
    (
        "GET",
        "/registerComputerPartition?computer_reference=COMP-1&computer_partition_reference=slappart0",
    ),
    ("POST", "/loadComputerConfigurationFromXML"),
    ("POST", "/computerBang"),
    ("POST", "/useComputer"),
    ("POST", "/supplySupply"),
    ("POST", "/buildingSoftwareRelease"),
    ("POST", "/availableSoftwareRelease"),
    ("POST", "/destroyedSoftwareRelease"),
    ("POST", "/softwareReleaseError"),
    ("POST", "/requestComputerPartition"),
    ("POST", "/startedComputerPartition"),
    ("POST", "/stoppedComputerPartition"),
    ("POST", "/destroyedComputerPartition"),
    ("POST", "/softwareInstanceError"),
    ("POST", "/softwareInstanceBang"),
    ("POST", "/setComputerPartitionConnectionXml"),
    ("POST", "/softwareInstanceRename"),
    ("POST", "/updateComputerPartitionRelatedInstanceList"),
    (
        "GET",
        "/getHostingSubscriptionIpList?computer_id=COMP-1&computer_partition_id=slappart0",
    ),
    ("GET", "/getComputerStatus?computer_id=COMP-1"),
    (
        "GET",
        "/getComputerPartitionStatus?computer_id=COMP-1&computer_partition_id=slappart0",
    ),
    (
        "GET",
        "/getSoftwareInstallationStatus?computer_id=COMP-1&url=x",
    ),
    (
        "GET",
        "/getComputerPartitionCertificate?computer_id=COMP-1&computer_partition_id=slappart0",
    ),
    ("POST", "/revokeComputerCertificate"),
    ("GET", "/v1/watch?computer_id=COMP-1"),
    ("POST", "/generateComputerCertificate"),
    ("POST", "/requestComputer"),
    (
        "GET",
        "/getSoftwareReleaseListFromSoftwareProduct?software_product_reference=x",
    ),
    ("GET", "/hateoas/"),
    ("GET", "/hateoas/?mode=search&query=&select_list=title"),
    (
        "GET",
        "/hateoas/?mode=traverse&relative_url=compute_node_module/COMP-1&view=x",
    ),
    ("GET", "/hateoas/computer_module/Base_getComputerToken"),
    ("POST", "/v1/report"),
    ("GET", "/v1/tokens"),
    ("POST", "/v1/tokens"),
    ("DELETE", "/v1/tokens/x"),
    ("GET", "/v1/computers"),
    ("GET", "/v1/computers/COMP-1"),
    ("POST", "/v1/computers/COMP-1/revoke"),
    ("GET", "/v1/services/x"),
    ("GET", "/v1/forward?service=x&port=1"),
    ("GET", "/v1/re6st/network"),
    ("GET", "/releases/x"),
];

async fn call(
    lab: &Lab,
    identity: Option<&Identity>,
    method: &str,
    path: &str,
) -> (StatusCode, String) {
    let method: Method = method.parse().unwrap();
    let mut request = lab
        .http(identity)
        .request(method.clone(), format!("{}{path}", lab.url()));
    if method == Method::POST {
        let form = "computer_id=COMP-1&computer_partition_id=slappart0&url=https://x&error_log=x&message=x\
            &use_string=x&new_name=x&instance_reference_xml=<marshal><list/></marshal>&partition_reference=x&software_release=x&connection_xml=<marshal><dictionary/></marshal>";
        request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn without_a_certificate_nothing_but_the_door_is_open() {
    let lab = Lab::open().await;
    for (method, path) in CLOSED {
        let (status, text) = call(&lab, None, method, path).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}: {text}");
        assert!(text.contains("this needs a certificate"), "{path}: {text}");
        let in_json = ["/v1/", "/releases", "/hateoas"]
            .iter()
            .any(|it| path.starts_with(it));
        assert_eq!(text.starts_with('{'), in_json, "{path}");
    }
    for path in ["/v1/", "/v1/ca", "/v1/time?nonce=AAAAAAAAAAAAAAAAAAAAAA"] {
        let (status, text) = call(&lab, None, "GET", path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
    }
    let (status, text) = call(&lab, None, "GET", "/getHateoasUrl").await;
    assert_eq!(
        (status, text),
        (StatusCode::OK, format!("{}/hateoas/", lab.url()))
    );
    let (status, text) = call(&lab, None, "DELETE", "/v1/enrol").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{text}");
}

#[tokio::test]
async fn a_computer_sees_itself_alone() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let (own, other) = (lab.node(&operator).await, lab.node(&operator).await);
    own.announce(1).await;
    let about_a_computer = CLOSED.iter().filter(|(method, path)| {
        let of_slap =
            path.contains("omputer") && !path.starts_with("/v1/") && !path.starts_with("/hateoas");
        let watch = path.starts_with("/v1/watch") || *path == "/v1/computers/COMP-1";
        // These two take another form, and have tests of their own below.
        let others = [
            "/supplySupply",
            "/loadComputerConfigurationFromXML",
            "/generateComputerCertificate",
            "/requestComputer",
        ];
        (of_slap || watch) && !others.contains(path) && !method.is_empty()
    });
    for (method, path) in about_a_computer {
        let (status, text) = call(&lab, Some(&other.identity), method, path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}: {text}");
        assert!(text.contains("COMP-2 may not ask about COMP-1"), "{text}");
    }
    let stolen = crate::lab::configuration(&own.id, 0);
    let refused = other.client.load_configuration(&stolen).await.unwrap_err();
    assert_eq!(
        crate::lab::words(&refused),
        "COMP-2 may not ask about COMP-1 or speak for it"
    );
    let document = own.client.computer(&own.id).await.unwrap();
    assert_eq!(document.partitions.len(), 1);
}

#[tokio::test]
async fn machines_do_not_decide() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    for (method, path) in [
        ("POST", "/supplySupply"),
        ("POST", "/generateComputerCertificate"),
        ("POST", "/requestComputer"),
        ("GET", "/hateoas/computer_module/Base_getComputerToken"),
        ("GET", "/v1/tokens"),
        ("DELETE", "/v1/tokens/x"),
        ("GET", "/v1/computers"),
        ("POST", "/v1/computers/COMP-1/approve"),
        ("POST", "/v1/computers/COMP-1/revoke"),
        ("GET", "/v1/releases"),
        ("PUT", "/v1/releases/x"),
        ("GET", "/v1/users"),
        ("GET", "/v1/projects"),
    ] {
        let (status, text) = call(&lab, Some(&node.identity), method, path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}: {text}");
        let words = ["only an operator may do this", "it is for people"];
        assert!(words.iter().any(|it| text.contains(it)), "{text}");
    }
    let identity = lab.operator_identity().await;
    for path in ["/v1/re6st/network"] {
        let (status, text) = call(&lab, Some(&identity), "GET", path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}: {text}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_words() {
    let lab = Lab::open().await;
    let identity = lab.operator_identity().await;
    for (method, path, expected, words) in [
        (
            "GET",
            "/getFullComputerInformation?computer_id=COMP-9",
            404,
            "there is no computer `COMP-9`",
        ),
        (
            "GET",
            "/getFullComputerInformation?computer_id=../x",
            400,
            "cannot name a computer",
        ),
        ("GET", "/getFullComputerInformation", 400, "computer_id"),
        (
            "POST",
            "/loadComputerConfigurationFromXML",
            400,
            "field `xml` is missing",
        ),
        (
            "POST",
            "/startedComputerPartition",
            404,
            "no instance in partition `slappart0` of `COMP-1`",
        ),
        (
            "POST",
            "/softwareReleaseError",
            404,
            "`https://x` is not supplied on COMP-1",
        ),
        ("POST", "/destroyedSoftwareRelease", 404, "nobody asked"),
        (
            "POST",
            "/supplySupply",
            404,
            "there is no computer `COMP-1`",
        ),
        (
            "POST",
            "/v1/computers/COMP-9/approve",
            404,
            "there is no computer `COMP-9`",
        ),
        ("GET", "/v1/services/x", 404, "there is no service `x`"),
        ("GET", "/nothing", 404, "there is no `/nothing` here"),
        ("POST", "/v1/tokens", 400, "Content-Type: application/json"),
    ] {
        let (status, text) = call(&lab, Some(&identity), method, path).await;
        assert_eq!(status.as_u16(), expected, "{method} {path}: {text}");
        assert!(text.contains(words), "{method} {path}: {text}");
    }
}

#[tokio::test]
async fn what_a_call_claims_must_not_contradict_its_certificate() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    let claim = async |identity: &Identity, header: &str| {
        let answer = lab
            .http(Some(identity))
            .post(format!("{}/startedComputerPartition", lab.url()))
            .header("authorization", header)
            .form(&[
                ("computer_id", "COMP-1"),
                ("computer_partition_id", "slappart0"),
            ])
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (header, status, words) in [
        (
            "X-SlapPartition computer_id=COMP-2, computer_partition_id=slappart0",
            403,
            "the Authorization header says slappart0 of COMP-2, and the certificate is that of COMP-1",
        ),
        (
            "x-slappartition computer_id=COMP-1,computer_partition_id=../x",
            400,
            "the Authorization header is wrong",
        ),
        ("X-SlapPartition", 400, "field `computer_id` is missing"),
        // It is what it says, and there is no instance; or it says nothing about partitions.
        (
            "x-slappartition computer_id=COMP-1,computer_partition_id=slappart0",
            404,
            "there is no instance",
        ),
        ("Basic x", 404, "there is no instance"),
    ] {
        let (got, said) = claim(&node.identity, header).await;
        assert_eq!(got, status, "{header}: {said}");
        assert!(said.contains(words), "{header}: {said}");
    }
}
