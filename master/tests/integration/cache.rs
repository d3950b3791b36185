//! The cache of built releases: offered by computers that a manager trusts, taken by those of their project, never half.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use reqwest::{Method, StatusCode};
use sha2::{Digest as _, Sha256};
use slap::client::{CallError, Client, Identity};
use slap::v1::{
    CACHE_ENTRY_HEADER, CACHE_SIGNATURE_HEADER, CacheEntry, CacheFile, CacheKey, Sha256Hex,
};

use crate::lab::{Lab, Node, code, words};

const URL: &str = "https://example.com/software.cfg";
const SYSTEM: &str = "amd64-abc";
const OTHER: &str = "the archive is not the one that its entry describes";

/// A computer with the key that it signs by.
struct Builder {
    node: Node,
    key: KeyPair,
}

/// What is offered.
struct Offer {
    entry: CacheEntry,
    bytes: Vec<u8>,
    signature: String,
    content: Vec<u8>,
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

impl Builder {
    async fn new(lab: &Lab, operator: &Client) -> Self {
        let node = lab.node(operator).await;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let announced = CacheKey {
            key: key.public_key_pem(),
        };
        node.client.announce_cache_key(&announced).await.unwrap();
        Self { node, key }
    }

    fn offer(&self, url: &str, content: &[u8]) -> Offer {
        let entry = CacheEntry {
            version: 1,
            url: url.to_owned(),
            system: SYSTEM.parse().unwrap(),
            sha256: Sha256Hex::of(Sha256::digest(content).into()),
            size: content.len() as u64,
            made_at: 0,
            made_by: self.node.id.to_string(),
        };
        let bytes = serde_json::to_vec(&entry).unwrap();
        let signature = base64(&self.key.sign(&bytes).unwrap());
        Offer {
            entry,
            bytes,
            signature,
            content: content.to_vec(),
        }
    }

    async fn put(&self, offer: &Offer) -> Result<(), CallError> {
        let content = std::io::Cursor::new(offer.content.clone());
        let client = &self.node.client;
        client
            .offer_to_cache(&offer.entry, &offer.bytes, &offer.signature, content)
            .await
    }
}

async fn get(lab: &Lab, who: &Identity, file: &CacheFile) -> (StatusCode, Vec<u8>) {
    let url = format!("{}/v1/cache/{SYSTEM}/{file}", lab.url());
    let answer = lab.http(Some(who)).get(url).send().await.unwrap();
    (answer.status(), answer.bytes().await.unwrap().to_vec())
}

/// Holds that somebody takes exactly what was offered.
async fn takes(lab: &Lab, who: &Identity, offer: &Offer) {
    let name = offer.entry.name();
    for (file, wanted) in [
        (CacheFile::Entry(name.clone()), offer.bytes.as_slice()),
        (CacheFile::Signature(name), offer.signature.as_bytes()),
        (
            CacheFile::Archive(offer.entry.sha256.clone()),
            offer.content.as_slice(),
        ),
    ] {
        let (status, found) = get(lab, who, &file).await;
        assert_eq!(status, StatusCode::OK, "{file}");
        assert_eq!(found, wanted, "{file}");
    }
}

async fn has_not(lab: &Lab, who: &Identity, offer: &Offer) {
    let name = offer.entry.name();
    let archive = CacheFile::Archive(offer.entry.sha256.clone());
    for file in [
        CacheFile::Entry(name.clone()),
        CacheFile::Signature(name),
        archive,
    ] {
        let (status, _) = get(lab, who, &file).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{file}");
    }
}

fn files(lab: &Lab, folder: &str) -> usize {
    std::fs::read_dir(lab.data().join(folder)).unwrap().count()
}

#[tokio::test]
async fn what_a_trusted_computer_built_is_taken_by_its_project_alone() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let builder = Builder::new(&lab, &operator).await;
    let (near, far) = (lab.node(&operator).await, lab.node(&operator).await);
    let elsewhere = "elsewhere".parse().unwrap();
    operator.create_project(&elsewhere).await.unwrap();
    operator.move_computer(&far.id, &elsewhere).await.unwrap();
    let offer = builder.offer(URL, b"built");

    let refused = builder.put(&offer).await.unwrap_err();
    assert_eq!(code(&refused), "forbidden");
    assert!(words(&refused).contains("`slapbox computer trust COMP-1`"));
    assert!(near.client.cache_keys().await.unwrap().keys.is_empty());

    operator.set_trusted(&builder.node.id, true).await.unwrap();
    assert!(
        operator
            .computer_status(&builder.node.id)
            .await
            .unwrap()
            .trusted
    );
    builder.put(&offer).await.unwrap();
    takes(&lab, &near.identity, &offer).await;
    has_not(&lab, &far.identity, &offer).await;
    let keys = near.client.cache_keys().await.unwrap().keys;
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].key, builder.key.public_key_pem());
    assert!(far.client.cache_keys().await.unwrap().keys.is_empty());

    // Offered anew, it is the newer one, and nothing is left of the other.
    let newer = builder.offer(URL, b"built again");
    builder.put(&newer).await.unwrap();
    takes(&lab, &near.identity, &newer).await;
    assert_eq!((files(&lab, "cache"), files(&lab, "releases")), (1, 0));

    operator.set_trusted(&builder.node.id, false).await.unwrap();
    assert!(near.client.cache_keys().await.unwrap().keys.is_empty());
    assert_eq!(code(&builder.put(&newer).await.unwrap_err()), "forbidden");
}

#[tokio::test]
async fn nobody_is_trusted_in_another_project_or_when_revoked() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let builder = Builder::new(&lab, &operator).await;
    let id = &builder.node.id;
    let near = lab.node(&operator).await;
    operator.set_trusted(id, true).await.unwrap();
    let elsewhere = "elsewhere".parse().unwrap();
    operator.create_project(&elsewhere).await.unwrap();
    operator.move_computer(id, &elsewhere).await.unwrap();
    assert!(!operator.computer_status(id).await.unwrap().trusted);

    operator
        .move_computer(id, &"default".parse().unwrap())
        .await
        .unwrap();
    operator.set_trusted(id, true).await.unwrap();
    assert_eq!(near.client.cache_keys().await.unwrap().keys.len(), 1);
    operator.revoke_computer(id).await.unwrap();
    assert!(near.client.cache_keys().await.unwrap().keys.is_empty());
    let refused = operator.set_trusted(id, true).await.unwrap_err();
    assert_eq!(code(&refused), "conflict");
}

#[tokio::test]
async fn what_is_wrong_with_an_offer_is_said_and_nothing_of_it_stays() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let builder = Builder::new(&lab, &operator).await;
    operator.set_trusted(&builder.node.id, true).await.unwrap();
    let offer = || builder.offer(URL, b"built");
    for (wrong, said) in [
        (
            Offer {
                content: b"bui1t".to_vec(),
                ..offer()
            },
            OTHER,
        ),
        (
            Offer {
                signature: base64(b"signature"),
                ..offer()
            },
            "the entry is not signed by the key that its computer has announced",
        ),
        (
            Offer {
                signature: "?".to_owned(),
                ..offer()
            },
            "is no base64",
        ),
        (
            Offer {
                signature: "A".repeat(300),
                ..offer()
            },
            "has more than 256 bytes",
        ),
    ] {
        let refused = builder.put(&wrong).await.unwrap_err();
        assert_eq!(code(&refused), "bad_request");
        assert!(words(&refused).contains(said), "{}", words(&refused));
        has_not(&lab, &builder.node.identity, &wrong).await;
    }
    let key = CacheKey {
        key: "no key".to_owned(),
    };
    let refused = builder
        .node
        .client
        .announce_cache_key(&key)
        .await
        .unwrap_err();
    assert!(words(&refused).contains("this is no ECDSA key on P-256 in PEM"));
    assert_eq!((files(&lab, "cache"), files(&lab, "releases")), (0, 0));
}

/// What the path says, and what is longer than announced, no client of ours sends.
#[tokio::test]
async fn an_archive_is_taken_only_where_its_entry_is_for_and_no_longer_than_that_says() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let builder = Builder::new(&lab, &operator).await;
    operator.set_trusted(&builder.node.id, true).await.unwrap();
    let (good, long) = (builder.offer(URL, b"built"), vec![7; 100]);
    let other_system = format!("other/{}.tar.zst", good.entry.sha256);
    let other_archive = format!("{SYSTEM}/{}.tar.zst", Sha256Hex::of([7; 32]));
    let own = format!("{SYSTEM}/{}.tar.zst", good.entry.sha256);
    for (path, content, said) in [
        (
            other_system,
            &good.content,
            "the entry is for another system",
        ),
        (other_archive, &good.content, "names another archive"),
        (own, &long, OTHER),
    ] {
        let request = lab
            .http(Some(&builder.node.identity))
            .request(Method::PUT, format!("{}/v1/cache/{path}", lab.url()))
            .header(CACHE_ENTRY_HEADER, base64(&good.bytes))
            .header(CACHE_SIGNATURE_HEADER, &good.signature);
        let answer = request.body(content.clone()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let text = answer.text().await.unwrap();
        assert!(text.contains(said), "{text}");
    }
    assert_eq!((files(&lab, "cache"), files(&lab, "releases")), (0, 0));
}

#[tokio::test]
async fn a_project_has_so_much_room_and_what_was_used_longest_ago_goes() {
    let lab = Lab::with_small_cache(1000).await;
    let operator = lab.operator().await;
    let builder = Builder::new(&lab, &operator).await;
    operator.set_trusted(&builder.node.id, true).await.unwrap();
    let who = &builder.node.identity;
    let large = builder.offer(URL, &[0; 1001]);
    let refused = builder.put(&large).await.unwrap_err();
    assert_eq!(code(&refused), "too_large");
    assert!(
        words(&refused).contains("has room for 1000"),
        "{}",
        words(&refused)
    );

    let url = |name: &str| format!("https://example.com/{name}.cfg");
    let first = builder.offer(&url("first"), &[1; 400]);
    let second = builder.offer(&url("second"), &[2; 400]);
    builder.put(&first).await.unwrap();
    lab.let_pass(1);
    builder.put(&second).await.unwrap();
    // Who takes it has it stay.
    lab.let_pass(2 * 3600);
    takes(&lab, who, &first).await;
    let third = builder.offer(&url("third"), &[3; 400]);
    builder.put(&third).await.unwrap();
    has_not(&lab, who, &second).await;
    takes(&lab, who, &first).await;
    takes(&lab, who, &third).await;
    assert_eq!(files(&lab, "cache"), 2);
}

#[tokio::test]
async fn what_was_cached_outlives_a_restart_and_a_lost_file_is_forgotten() {
    let mut lab = Lab::open().await;
    let operator = lab.operator().await;
    let builder = Builder::new(&lab, &operator).await;
    operator.set_trusted(&builder.node.id, true).await.unwrap();
    let offer = builder.offer(URL, b"built");
    builder.put(&offer).await.unwrap();
    std::fs::File::create(lab.data().join("cache/left")).unwrap();
    lab.restart().await;
    let who = &builder.node.identity;
    takes(&lab, who, &offer).await;
    assert_eq!(files(&lab, "cache"), 1);
    std::fs::remove_file(lab.data().join("cache").join(offer.entry.sha256.as_str())).unwrap();
    if lab.is_in_a_file() {
        let archive = CacheFile::Archive(offer.entry.sha256.clone());
        assert_eq!(get(&lab, who, &archive).await.0, StatusCode::NOT_FOUND);
        has_not(&lab, who, &offer).await;
    } else {
        takes(&lab, who, &offer).await;
    }
}

#[tokio::test]
async fn what_one_master_keeps_another_serves() {
    let lab = Lab::open().await;
    let other = lab.beside().await;
    // Where the database is a file, each master has its own.
    if lab.is_in_a_file() {
        return;
    }
    let operator = lab.operator().await;
    let builder = Builder::new(&lab, &operator).await;
    operator.set_trusted(&builder.node.id, true).await.unwrap();
    let content: Vec<u8> = (0..600_000_u32).flat_map(u32::to_le_bytes).collect();
    let offer = builder.offer(URL, &content);
    builder.put(&offer).await.unwrap();
    takes(&other, &builder.node.identity, &offer).await;
}

#[tokio::test]
async fn an_open_master_has_no_cache() {
    let lab = Lab::open_to_anyone("local").await;
    let url = format!("{}/v1/", lab.url());
    let client = lab.http(None);
    let text = client.get(url).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("watch") && !text.contains("cache"), "{text}");
}
