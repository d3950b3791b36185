//! Documents that people write, and the words for each mistake in them.

use super::*;
use slap::join::{CaPin, Token};

fn blob() -> String {
    let urls = vec!["https://192.0.2.1".to_owned()];
    let token = Token::from_random([7; 12], [7; 32]);
    JoinBlob {
        urls,
        ca: CaPin::of_spki(b""),
        token,
    }
    .reveal()
}

fn node(rest: &str) -> String {
    format!("join = \"{}\"\n{rest}", blob())
}

fn mistake(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn a_join_line_is_all_that_a_node_needs() {
    let settings = parse(&node("")).unwrap();
    assert_eq!(settings.role, Role::Node(Some(blob().parse().unwrap())));
    assert_eq!(settings.partitions, 200);
    assert_eq!(
        settings.overlay,
        Overlay {
            port: 6326,
            endpoint: None
        }
    );
    assert_eq!((settings.name, settings.proxy), (None, None));
}

#[test]
fn everything_that_can_be_said_is_understood() {
    let text = node(
        "role = \"node\"\nname = \"edge-1\"\npartitions = 20\nproxy = \"http://[2001:db8::1]:3128\"\n\
         [limits]\nmemory = \"2G\"\ncpus = 1.5\ntasks = 500\ndisk = \"20G\"\n\
         [overlay]\nport = 7000\nendpoint = \"[2001:db8::7]:6326\"\n\
         [ipv4]\nnetwork = \"203.0.113.0/29\"\ninterface = \"eth1\"\naddress = \"203.0.113.3\"\n\
         [firewall]\nauthorized_sources = [\"192.0.2.7\", \"2001:db8::1/32\"]\n\
         [storage]\nhomes = [\"/mnt/disk1\"]\ndevices = [\"/dev/disk/by-id/ata-X\"]\n",
    );
    let settings = parse(&text).unwrap();
    let ceiling = Ceiling {
        memory: Some(2 << 30),
        processors: Some(1_500_000),
        tasks: Some(500),
        disk: Some(20 << 30),
    };
    assert_eq!(settings.limits, ceiling);
    let most = settings.limits.of_node(1000, true);
    assert_eq!((most.memory, most.disk), (2 << 30, Some(20 << 30)));
    assert_eq!(settings.limits.of_node(1000, false).disk, None);
    assert_eq!(settings.name.as_deref(), Some("edge-1"));
    assert_eq!(settings.partitions, 20);
    assert_eq!(settings.proxy.as_deref(), Some("http://[2001:db8::1]:3128"));
    let endpoint = Some("[2001:db8::7]:6326".to_owned());
    assert_eq!(
        settings.overlay,
        Overlay {
            port: 7000,
            endpoint
        }
    );
    let addresses: Vec<_> = settings.ipv4.unwrap().addresses().collect();
    let numbers = addresses.iter().map(|address| address.octets()[3]);
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 4, 5, 6]);
    let sources = settings.firewall.unwrap().authorized_sources;
    let sources: Vec<_> = sources.iter().map(ToString::to_string).collect();
    assert_eq!(sources, ["192.0.2.7/32", "2001:db8::/32"]);
    assert_eq!(settings.storage.homes, ["/mnt/disk1"]);
    assert_eq!(settings.storage.devices, ["/dev/disk/by-id/ata-X"]);
}

#[test]
fn a_document_says_where_the_cache_is_and_whom_to_believe() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let key = key.public_key_pem();
    let text = format!(
        "[cache]\nurl = \"https://192.0.2.1/cache/\"\noffer = true\nfolder = \"/srv/cache\"\nkeys = [\"\"\"{key}\"\"\"]\n"
    );
    let cache = parse(&node(&text)).unwrap().cache;
    let wanted = Cache {
        url: Some("https://192.0.2.1/cache".to_owned()),
        keys: vec![PublicKey::parse(&key).unwrap()],
        offer: true,
        folder: Some("/srv/cache".into()),
    };
    assert_eq!(cache, wanted);
    assert_eq!(parse(&node("")).unwrap().cache, Cache::default());
}

#[test]
fn a_master_needs_to_know_how_it_is_reached() {
    let text = "role = \"master\"\n[master]\nurls = [\"https://203.0.113.7/\", \"https://[2001:db8::7]:8443\"]\n\
                listen = \"0.0.0.0:8443\"\nnetwork = \"fd12:3456:789a::/48\"\n\
                [master.regions]\neu = \"fd12:3456:789a:8000::/49\"\n";
    let Role::Master(master) = parse(text).unwrap().role else {
        panic!("not a master")
    };
    assert_eq!(
        master.urls,
        ["https://203.0.113.7", "https://[2001:db8::7]:8443"]
    );
    assert_eq!(master.listen, "0.0.0.0:8443".parse().unwrap());
    assert_eq!(master.network, "fd12:3456:789a::/48".parse().ok());
    assert_eq!(
        master.regions["eu"],
        "fd12:3456:789a:8000::/49".parse().unwrap()
    );
    let text = "role = \"master\"\n[master]\nurls = [\"https://203.0.113.7\"]\n";
    let Role::Master(master) = parse(text).unwrap().role else {
        panic!("not a master")
    };
    assert_eq!(master.listen, "[::]:443".parse().unwrap());
}

/// Mistakes in tables that any box may have.
const TABLES: [&str; 26] = [
    "[limits]\nmemory = \"much\"\n",
    "[limits]\ncpus = 0\n",
    "[limits]\ntasks = 10\n",
    "[cache]\nurl = \"http://192.0.2.1/cache\"\n",
    "[cache]\nurl = \"https://192.0.2.1/cache?x=y\"\n",
    "[cache]\nkeys = [\"key.pub\"]\n",
    "[cache]\noffer = \"yes\"\n",
    "[cache]\nfolder = \"/etc/cache\"\n",
    "[cache]\nfolder = \"/srv/../etc\"\n",
    "[storage]\nhomes = \"/mnt/disk1\"\n",
    "[storage]\nhomes = [\"mnt/disk1\"]\n",
    "[storage]\nhomes = [\"/\"]\n",
    "[storage]\nhomes = [\"/mnt/../srv\"]\n",
    "[storage]\nhomes = [\"/mnt/disk1/\"]\n",
    "[storage]\nhomes = [\"/mnt/disk1\", \"/mnt/disk1\"]\n",
    "[storage]\ndevices = [\"/mnt/disk1\"]\n",
    "[storage]\ndisks = []\n",
    "[ipv4]\nnetwork = \"203.0.113.0/28\"\n",
    "[ipv4]\ninterface = \"eth0\"\n",
    "[ipv4]\nnetwork = \"203.0.113.1/28\"\ninterface = \"eth0\"\n",
    "[ipv4]\nnetwork = \"203.0.113.0/31\"\ninterface = \"eth0\"\n",
    "[ipv4]\nnetwork = \"10.0.0.0/24\"\ninterface = \"eth0\"\n",
    "[ipv4]\nnetwork = \"203.0.113.0/28\"\ninterface = \"../eth0\"\n",
    "[ipv4]\nnetwork = \"203.0.113.0/28\"\ninterface = \"eth0\"\naddress = \"203.0.113.15\"\n",
    "[firewall]\nauthorized_sources = \"192.0.2.7\"\n",
    "[firewall]\nauthorized_sources = [\"192.0.2.7/33\"]\n",
];

#[test]
fn each_mistake_is_said_with_its_place_and_what_to_do() {
    let master = |rest: &str| format!("role = \"master\"\n[master]\n{rest}");
    let cases = [
        String::new(),
        "role = \"node\"\njion = \"slapbox1.abc\"\n".into(),
        node("colour = \"blue\"\n"),
        node("partitions = \"many\"\n"),
        node("partitions = 0\n"),
        node("partitions = 100000\n"),
        node("name = \"two words\"\n"),
        node("name = 7\n"),
        node("proxy = \"socks5://192.0.2.1\"\n"),
        node("image_keys = [\"cosign.pub\"]\n"),
        node("cache = true\n"),
        node("role = \"king\"\n"),
        node("overlay = 7\n"),
        node("[overlay]\nport = 0\n"),
        node("[overlay]\nendpoint = \"203.0.113.7\"\n"),
        node("[overlay]\nprot = 7\n"),
        node("[master]\nurls = [\"https://203.0.113.7\"]\n"),
        node("name = \"a\"\nname = \"b\"\n"),
        "join = slapbox1.abc\n".into(),
        "join = \"slapbox1.abc".into(),
        "join = \"slapbox2.abc\"\n".into(),
        "join = \"slapbox1.!!!\"\n".into(),
        "{\"role\": \"node\"}".into(),
        "role = \"master\"\n".into(),
        format!("role = \"master\"\n{}", node("")),
        master(""),
        master("urls = \"https://203.0.113.7\"\n"),
        master("urls = [\"http://203.0.113.7\"]\n"),
        master("urls = [\"https://203.0.113.7/slap\"]\n"),
        master("urls = [\"203.0.113.7\"]\n"),
        master("urls = [\"https://203.0.113.7\"]\nlisten = \"443\"\n"),
        master("urls = [\"https://203.0.113.7\"]\nnetwork = \"10.0.0.0/8\"\n"),
        master(
            "urls = [\"https://203.0.113.7\"]\n[master.regions]\neu = \"fd12:3456:789a:8000::/49\"\n",
        ),
        master(
            "urls = [\"https://203.0.113.7\"]\nnetwork = \"fd12:3456:789a::/48\"\n[master.regions]\neu = \"fd99::/56\"\n",
        ),
        master("urls = [\"https://203.0.113.7\"]\nnetwork = \"fd12:3456:789a:1::/48\"\n"),
    ];
    let mut table = String::new();
    let tables = TABLES.map(node);
    for text in cases.into_iter().chain(tables) {
        let shown = text.replace(&blob(), "slapbox1.…").replace('\n', "⏎");
        table.push_str(&format!("{shown}\n    {}\n", mistake(&text)));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_mistake_never_repeats_what_may_be_a_secret() {
    let secret = blob();
    for text in [
        format!("partitions = \"{secret}\"\n"),
        format!("name = \"{secret}\"\n"),
        format!("role = \"{secret}\"\n"),
        format!("proxy = \"{secret}\"\n"),
        format!("{secret} = 1\n"),
        format!("join = {secret}\n"),
        format!("join = \"{secret}\njoin = \"{secret}\"\n"),
        format!("[master]\nurls = \"{secret}\"\n"),
        format!("join = \"{}x\"\n", secret.replace("slapbox1", "slapbox9")),
    ] {
        let words = mistake(&text);
        let tail = secret.split_once('.').unwrap().1;
        assert!(!words.contains(&tail[..40]), "{words}");
    }
}

#[test]
fn a_document_from_another_system_is_read_all_the_same() {
    let windows = format!("\u{feff}role = \"node\"\r\njoin = \"{}\"\r\n", blob());
    assert!(parse(&windows).is_ok());
    assert_eq!(
        text(b"join = \"\xff\"").unwrap_err().to_string(),
        "the document is not UTF-8 text: save it as plain text in UTF-8"
    );
}

#[test]
fn a_used_token_is_blanked_where_it_stands() {
    for text in [
        node("name = \"edge-1\"\n"),
        format!("name = \"edge-1\"\njoin = \"{}\"   # from Bob", blob()),
        format!("\u{feff}join = '{}'\r\n# é\r\n", blob()),
        format!("join = \"\"\"\n{}\"\"\"\npartitions = 7\n", blob()),
    ] {
        let blank = without_join(&text).unwrap();
        assert_eq!(blank.len(), text.len());
        assert!(!blank.contains("slapbox1"), "{blank}");
        let before = parse_kept(&text).unwrap();
        let after = parse_kept(&blank).unwrap();
        assert_eq!(
            after,
            Settings {
                role: Role::Node(None),
                ..before
            }
        );
        assert_eq!(without_join(&blank), None);
        assert!(
            parse(&blank)
                .unwrap_err()
                .to_string()
                .starts_with("there is no `join` line")
        );
    }
}

const SLAP: &str = "role = \"slap\"\n[slap]\nurl = \"http://[2001:db8::1]:5000/\"\ncomputer = \"local_computer\"\nprefix = \"2001:db8:1:2::/64\"\n";

#[test]
fn a_master_of_another_make_needs_no_token() {
    let Role::Slap(master) = parse(SLAP).unwrap().role else {
        panic!("another role");
    };
    assert_eq!(master.url, "http://[2001:db8::1]:5000");
    assert_eq!(master.computer.as_str(), "local_computer");
    assert_eq!(master.prefix, "2001:db8:1:2::/64".parse().unwrap());
    assert!(master.client().tls().is_ok());
}

#[test]
fn what_a_master_of_another_make_lacks_is_said() {
    let without = |key: &str| {
        let lines = SLAP.lines().filter(|line| !line.starts_with(key));
        mistake(&lines.collect::<Vec<_>>().join("\n"))
    };
    for key in ["url", "computer", "prefix"] {
        let said = without(key);
        assert!(
            said.starts_with("line 2, column 1: the table `[slap]` has no `"),
            "{said}"
        );
        assert!(said.contains(&format!("write for example `{key} = ")));
    }
    for (wrong, said) in [
        (
            SLAP.replace("http://", "ftp://"),
            "line 3, column 7: this is not a master's URL",
        ),
        (
            SLAP.replace("::/64", "::/80"),
            "line 5, column 10: `prefix` is not an IPv6 prefix",
        ),
        (
            SLAP.replace("role = \"slap\"\n", ""),
            "line 1, column 1: a node has no `[slap]` table: write `role = \"slap\"`",
        ),
        (
            "role = \"slap\"".to_owned(),
            "there is no `[slap]` table: add `[slap]`",
        ),
        (
            format!("join = \"{}\"\n{SLAP}", blob()),
            "line 1, column 8: a master of another make takes no join blob",
        ),
        (
            format!("{SLAP}key = \"x\"\n"),
            "line 6, column 7: `certificate` and `key` belong together",
        ),
        (
            format!("{SLAP}key = \"x\"\ncertificate = \"y\"\n"),
            "line 2, column 1: ",
        ),
        (
            format!("{SLAP}ca = \"y\"\n"),
            "line 2, column 1: the CA's certificate cannot be read: put each between",
        ),
    ] {
        let told = mistake(&wrong);
        assert!(told.starts_with(said), "{told}");
    }
}
