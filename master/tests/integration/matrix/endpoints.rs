//! Every endpoint, with a call that would do, and who may.

use super::Who::{
    self, Child, Computer, Itself, Manager, Member, Operator, Organisation, OtherComputer,
    OtherManager, OtherTree, Outsider, Person,
};

const EVERYBODY: &[Who] = &super::ALL;
const CERTIFIED: &[Who] = &[
    OtherComputer,
    OtherTree,
    Outsider,
    OtherManager,
    Member,
    Child,
    Itself,
    Computer,
    Person,
    Organisation,
    Manager,
    Operator,
];
const PEOPLE: &[Who] = &[
    Outsider,
    OtherManager,
    Member,
    Person,
    Organisation,
    Manager,
    Operator,
];
const COMPUTERS: &[Who] = &[OtherComputer, Computer];
const OPERATOR: &[Who] = &[Operator];
/// Who may speak as the computer.
const NODE: &[Who] = &[Computer, Operator];
/// Who may decide about the computer.
const MANAGERS: &[Who] = &[Manager, Operator];
/// Who may do either.
const OVERSEERS: &[Who] = &[Computer, Manager, Operator];
/// Who may know of the computer.
const PROJECT: &[Who] = &[Member, Computer, Person, Organisation, Manager, Operator];
/// Who may speak for the instance.
const FOR_IT: &[Who] = &[Itself, Computer, Person, Organisation, Manager, Operator];
/// Who may know the instance.
const TREE: &[Who] = &[
    Child,
    Itself,
    Computer,
    Person,
    Organisation,
    Manager,
    Operator,
];
/// Who manages any project.
const ANY_MANAGER: &[Who] = &[OtherManager, Manager, Operator];

/// Method, path with `{guid}` for the instance's reference, body, and who may.
pub(super) type Endpoint = (&'static str, &'static str, &'static str, &'static [Who]);

pub(super) const HERE: &str = "computer_id=COMP-1&computer_partition_id=slappart0";
pub(super) const ON: &str = "computer_id=COMP-1&url=https://example.com/demo.oci.tar";

pub(super) const SLAP: &[Endpoint] = &[
    ("GET", "/getRunId", "", EVERYBODY),
    ("GET", "/getHateoasUrl", "", EVERYBODY),
    // Instances see their own partition in it, and nothing else.
    (
        "GET",
        "/getFullComputerInformation?computer_id=COMP-1",
        "",
        &[OtherTree, Child, Itself, Computer, Manager, Operator],
    ),
    (
        "GET",
        "/getComputerInformation?computer_id=COMP-1",
        "",
        &[OtherTree, Child, Itself, Computer, Manager, Operator],
    ),
    (
        "GET",
        "/registerComputerPartition?computer_reference=COMP-1&computer_partition_reference=slappart0",
        "",
        TREE,
    ),
    ("GET", "/getComputerPartitionCertificate?{here}", "", FOR_IT),
    ("GET", "/getComputerPartitionStatus?{here}", "", TREE),
    ("GET", "/getComputerStatus?computer_id=COMP-1", "", PROJECT),
    ("GET", "/getSoftwareInstallationStatus?{on}", "", PROJECT),
    ("GET", "/getHostingSubscriptionIpList?{here}", "", TREE),
    (
        "GET",
        "/getSoftwareReleaseListFromSoftwareProduct?software_product_reference=x",
        "",
        CERTIFIED,
    ),
    (
        "POST",
        "/loadComputerConfigurationFromXML",
        "xml={configuration}",
        NODE,
    ),
    (
        "POST",
        "/computerBang",
        "computer_id=COMP-1&message=x",
        OVERSEERS,
    ),
    (
        "POST",
        "/useComputer",
        "computer_id=COMP-1&use_string=x",
        NODE,
    ),
    ("POST", "/supplySupply", "{on}", MANAGERS),
    ("POST", "/buildingSoftwareRelease", "{on}", NODE),
    ("POST", "/availableSoftwareRelease", "{on}", NODE),
    ("POST", "/softwareReleaseError", "{on}&error_log=x", NODE),
    ("POST", "/destroyedSoftwareRelease", "{on}", NODE),
    (
        "POST",
        "/requestComputerPartition",
        "{here}&software_release=https://example.com/demo.oci.tar&partition_reference=x",
        FOR_IT,
    ),
    ("POST", "/startedComputerPartition", "{here}", NODE),
    ("POST", "/stoppedComputerPartition", "{here}", NODE),
    (
        "POST",
        "/softwareInstanceError",
        "{here}&error_log=x",
        FOR_IT,
    ),
    ("POST", "/softwareInstanceBang", "{here}&message=x", FOR_IT),
    (
        "POST",
        "/softwareInstanceRename",
        "{here}&new_name=a",
        FOR_IT,
    ),
    (
        "POST",
        "/setComputerPartitionConnectionXml",
        "{here}&connection_xml=<marshal><dictionary/></marshal>",
        FOR_IT,
    ),
    (
        "POST",
        "/updateComputerPartitionRelatedInstanceList",
        "{here}&instance_reference_xml=<marshal><list/></marshal>",
        FOR_IT,
    ),
    (
        "POST",
        "/requestComputer",
        "computer_title=new",
        ANY_MANAGER,
    ),
    (
        "POST",
        "/generateComputerCertificate",
        "computer_id=COMP-1",
        MANAGERS,
    ),
    ("POST", "/destroyedComputerPartition", "{here}", NODE),
    (
        "POST",
        "/revokeComputerCertificate",
        "computer_id=COMP-1",
        OVERSEERS,
    ),
    // Whoever has a token has no certificate yet: they are refused for the token that they have not.
    ("POST", "/Person_requestComputer", "title=x", &[]),
    ("POST", "/Person_getCertificate", "", &[]),
];

pub(super) const DOCUMENTS: &[Endpoint] = &[
    ("GET", "/hateoas", "", CERTIFIED),
    ("GET", "/hateoas/", "", CERTIFIED),
    (
        "GET",
        "/hateoas/?mode=traverse&relative_url=compute_node_module/COMP-1",
        "",
        PROJECT,
    ),
    (
        "GET",
        "/hateoas/?mode=traverse&relative_url=instance_tree_module/HOSTSUBS-1",
        "",
        TREE,
    ),
    (
        "GET",
        "/hateoas/computer_module/Base_getComputerToken",
        "",
        ANY_MANAGER,
    ),
    ("GET", "/v1/", "", EVERYBODY),
    ("GET", "/v1/ca", "", EVERYBODY),
    ("GET", "/v1/crl", "", EVERYBODY),
    (
        "GET",
        "/v1/time?nonce=AAAAAAAAAAAAAAAAAAAAAA",
        "",
        EVERYBODY,
    ),
    ("GET", "/openapi.json", "", EVERYBODY),
    // Who they are is in what they send.
    ("POST", "/v1/enrol", "{}", EVERYBODY),
    ("POST", "/v1/renew", "{}", EVERYBODY),
    ("GET", "/v1/watch?computer_id=COMP-1&since=99", "", NODE),
    ("POST", "/v1/report", "{}", COMPUTERS),
    ("GET", "/v1/tokens", "", PEOPLE),
    ("DELETE", "/v1/tokens/x", "", PEOPLE),
    ("GET", "/v1/computers", "", PEOPLE),
    ("GET", "/v1/computers/COMP-1", "", PROJECT),
    ("POST", "/v1/computers/COMP-1/approve", "", MANAGERS),
    ("GET", "/v1/log", "", OPERATOR),
    ("POST", "/v1/tokens", "{}", MANAGERS),
    (
        "POST",
        "/v1/tokens",
        r#"{"project": "elsewhere"}"#,
        &[OtherManager, Operator],
    ),
    (
        "POST",
        "/v1/tokens",
        r#"{"kind": "person", "project": "default"}"#,
        MANAGERS,
    ),
    ("POST", "/v1/tokens", r#"{"kind": "person"}"#, OPERATOR),
    (
        "POST",
        "/v1/tokens",
        r#"{"kind": "organisation", "project": "default"}"#,
        OPERATOR,
    ),
    ("POST", "/v1/tokens", r#"{"kind": "operator"}"#, OPERATOR),
    ("PUT", "/v1/computers/COMP-3/project/default", "", OPERATOR),
    ("GET", "/v1/users", "", PEOPLE),
    ("POST", "/v1/users/nobody/revoke", "", OPERATOR),
    (
        "PUT",
        "/v1/users/acme/people/ann",
        "",
        &[Organisation, Operator],
    ),
    (
        "DELETE",
        "/v1/users/acme/people/mia",
        "",
        &[Organisation, Operator],
    ),
    ("GET", "/v1/projects", "", PEOPLE),
    ("POST", "/v1/projects", r#"{"name": "new"}"#, OPERATOR),
    ("DELETE", "/v1/projects/new", "", OPERATOR),
    (
        "PUT",
        "/v1/projects/default/roles/mia",
        r#"{"role": "member"}"#,
        MANAGERS,
    ),
    ("DELETE", "/v1/projects/default/roles/olga", "", MANAGERS),
    ("GET", "/v1/services", "", CERTIFIED),
    ("GET", "/v1/services/a", "", TREE),
    (
        "GET",
        "/v1/forward?service=a&port=1",
        "",
        &[Person, Organisation, Manager, Operator],
    ),
    ("GET", "/v1/releases", "", OPERATOR),
    ("PUT", "/v1/releases/x", "", OPERATOR),
    ("GET", "/releases/x", "", CERTIFIED),
    ("PUT", "/v1/computers/COMP-1/trusted", "", MANAGERS),
    ("PUT", "/v1/cache/key", r#"{"key": "x"}"#, COMPUTERS),
    ("GET", "/v1/cache/keys", "", COMPUTERS),
    ("GET", "/v1/cache/x/x.json", "", COMPUTERS),
    // Trusted by the manager before.
    ("PUT", "/v1/cache/x/x.json", "", &[Computer]),
    ("DELETE", "/v1/computers/COMP-1/trusted", "", MANAGERS),
    ("PUT", "/v1/cache/x/x.json", "", &[]),
    ("GET", "/v1/re6st/network", "", COMPUTERS),
    ("POST", "/v1/computers/COMP-1/revoke", "", MANAGERS),
];

const GUID: &str = r#"{"instance_guid": "{guid}"}"#;
const NODE_OF: &str = r#"{"computer_guid": "COMP-1"}"#;

pub(super) const RPC: &[Endpoint] = &[
    (
        "POST",
        "/slapos.post.v0.software_instance",
        r#"{"title": "x", "software_release_uri": "https://x", "software_type": "y"}"#,
        // A computer requests for its partitions; an instance in its own tree; people in their projects.
        &[
            OtherTree,
            Child,
            Itself,
            OtherManager,
            Member,
            Person,
            Organisation,
            Manager,
            Operator,
        ],
    ),
    ("POST", "/slapos.get.v0.software_instance", GUID, TREE),
    (
        "POST",
        "/slapos.get.v0.compute_partition",
        r#"{"computer_guid": "COMP-1", "compute_partition_id": "slappart0"}"#,
        TREE,
    ),
    // Computers see the roots that they run: both of them here.
    (
        "POST",
        "/slapos.get.v0.instance_tree",
        r#"{"title": "a"}"#,
        TREE,
    ),
    (
        "POST",
        "/slapos.allDocs.v0.instance_tree_list",
        "{}",
        CERTIFIED,
    ),
    (
        "POST",
        "/slapos.allDocs.v0.compute_node_instance_list",
        NODE_OF,
        OVERSEERS,
    ),
    (
        "POST",
        "/slapos.allDocs.v0.instance_node_instance_list",
        GUID,
        TREE,
    ),
    (
        "POST",
        "/slapos.allDocs.v0.compute_node_software_installation_list",
        NODE_OF,
        PROJECT,
    ),
    (
        "POST",
        "/slapos.allDocs.WIP.compute_node_list",
        "{}",
        CERTIFIED,
    ),
    ("POST", "/slapos.get.v0.hateoas_url", "{}", CERTIFIED),
    (
        "POST",
        "/slapos.get.v0.compute_node_status",
        NODE_OF,
        PROJECT,
    ),
    (
        "POST",
        "/slapos.post.v0.software_installation",
        r#"{"computer_guid": "COMP-1", "software_release_uri": "https://y"}"#,
        MANAGERS,
    ),
    (
        "POST",
        "/slapos.put.v0.software_installation_reported_state",
        r#"{"computer_guid": "COMP-1", "software_release_uri": "https://example.com/demo.oci.tar", "reported_state": "available"}"#,
        NODE,
    ),
    (
        "POST",
        "/slapos.put.v0.software_installation_error",
        r#"{"computer_guid": "COMP-1", "software_release_uri": "https://example.com/demo.oci.tar", "message": "x"}"#,
        NODE,
    ),
    (
        "POST",
        "/slapos.put.v0.software_instance_reported_state",
        r#"{"instance_guid": "{guid}", "reported_state": "started"}"#,
        NODE,
    ),
    (
        "POST",
        "/slapos.put.v0.software_instance_error",
        r#"{"instance_guid": "{guid}", "message": "x"}"#,
        FOR_IT,
    ),
    (
        "POST",
        "/slapos.put.v0.software_instance_bang",
        r#"{"instance_guid": "{guid}", "message": "x"}"#,
        FOR_IT,
    ),
    (
        "POST",
        "/slapos.put.v0.software_instance_title",
        r#"{"instance_guid": "{guid}", "title": "a"}"#,
        FOR_IT,
    ),
    (
        "POST",
        "/slapos.put.v0.software_instance_connection_parameter",
        r#"{"instance_guid": "{guid}", "connection_parameter_dict": {}}"#,
        FOR_IT,
    ),
    (
        "POST",
        "/slapos.get.v0.software_instance_certificate",
        GUID,
        FOR_IT,
    ),
    (
        "POST",
        "/slapos.put.v0.compute_node_bang",
        r#"{"computer_guid": "COMP-1", "message": "x"}"#,
        OVERSEERS,
    ),
    (
        "POST",
        "/slapos.post.v0.compute_node_usage",
        r#"{"computer_guid": "COMP-1", "tioxml": "x"}"#,
        NODE,
    ),
    (
        "POST",
        "/slapos.put.v0.compute_node_format",
        r#"{"computer_guid": "COMP-1", "compute_partition_list": [{"partition_id": "slappart0"}]}"#,
        NODE,
    ),
    (
        "POST",
        "/slapos.remove.v0.compute_node_certificate",
        NODE_OF,
        OVERSEERS,
    ),
    // COMP-3 has none yet.
    (
        "POST",
        "/slapos.post.v0.compute_node_certificate",
        r#"{"computer_guid": "COMP-3"}"#,
        MANAGERS,
    ),
];

/// After whoever was let in here the world is another one.
pub(super) const CHANGES_WHO_IS_WHO: [&str; 5] = [
    "/revokeComputerCertificate",
    "/generateComputerCertificate",
    "/slapos.remove.v0.compute_node_certificate",
    "/slapos.post.v0.compute_node_certificate",
    "/v1/computers/COMP-1/revoke",
];
