//! Layers of the Lambda API count against the storage of their space: what is unpacked of them, and their archives.

use crate::spaces::{In, ask_lambda};
use crate::support::node;
use hob_core::event::base64;
use serde_json::{Value, json};

/// Bytes of the one file of a layer: much beside what a space's facts take meanwhile.
const FILE_BYTES: usize = 1 << 20;

/// A zip archive of one file, which is stored as it is.
fn archive(content: &[u8]) -> Vec<u8> {
    let (name, size) = (b"data", u32::try_from(content.len()).unwrap().to_le_bytes());
    // From the version that is needed to the lengths of name and extra field (APPNOTE 4.3.7).
    let mut about = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    about.extend(crc32fast::hash(content).to_le_bytes());
    about.extend([size, size].concat());
    about.extend([4, 0, 0, 0]);
    let mut zip = [&b"PK\x03\x04"[..], &about, name, content].concat();
    let directory = u32::try_from(zip.len()).unwrap();
    zip.extend([&b"PK\x01\x02\x14\x00"[..], &about, &[0; 14], name].concat());
    let end = u32::try_from(zip.len()).unwrap();
    zip.extend([&b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..], &(end - directory).to_le_bytes()].concat());
    zip.extend([&directory.to_le_bytes()[..], &[0, 0]].concat());
    zip
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_count_against_the_storage_of_their_space() {
    let node = node(|settings| settings.lambda = Some("127.0.0.1:0".parse().unwrap())).await;
    let address = node.node.lambda().unwrap().rsplit('/').next().unwrap().to_owned();
    let team = In(&node, "team");
    assert_eq!(team.create(json!({ "storage": 0 })).await.status, 201);
    let id = team.json("/v1/keys").await[0]["id"].as_str().unwrap().to_owned();
    let key = team.json(&format!("/v1/keys/{id}")).await;
    let secret = key["key"]["secret"].as_str().unwrap();
    let content: Vec<u8> = (0..FILE_BYTES).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let body = json!({ "Content": { "ZipFile": base64::encode(&archive(&content)) } }).to_string();
    let publish =
        || ask_lambda(&address, (&id, secret), ("POST", "/2018-10-31/layers/l/versions"), body.clone());
    let used = async || team.json("/v1/space").await["use_of"]["storage"]["used"].as_u64().unwrap();
    // Room for nothing, for what is unpacked alone, and for the archive as well.
    let file = FILE_BYTES as u64;
    for (storage, status) in [(0, 400), (file + file / 2, 400), (4 * file, 201)] {
        let quotas = json!({ "quotas": { "storage": storage } }).to_string();
        assert_eq!(node.control("PATCH", "/v1/spaces/team", quotas).await.status, 200);
        let got = publish().await;
        assert_eq!(
            (got.status, got.body.contains("its quota is")),
            (status, status == 400),
            "{storage}: {got:?}"
        );
        let layers: Value = team.0.data().join("spaces/team/aws-layers").exists().into();
        assert_eq!(layers, status == 201, "{storage}");
    }
    assert!(used().await >= 2 * file, "the archive is measured with what was unpacked: {}", used().await);
    node.node.stop().await;
}
