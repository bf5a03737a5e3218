//! Layers: published, listed, shown, deleted, and laid below the files of functions (Lambda API reference,
//! "PublishLayerVersion" and its relatives).
//!
//! **How.** The archive of a version lies in the data folder under its digest; a record in the store says what it is. A
//! function that names layers gets their files into the folder `opt` of its package when it is created or changed, later
//! ones over earlier ones, as the contract expects them. So a function keeps what it has got when a version is deleted.

use super::answer::{Answered, Refusal, json, nothing};
use super::page::page;
use super::{Ask, Handled, Lambda, Operation, operation};
use crate::allowance::LAYERS;
use crate::clock::now_ms;
use hob_core::aws::error::Exception;
use hob_core::aws::function::archive;
use hob_core::aws::layer::{Layer, LayerVersion, check_count, layer_arn, layer_name, layer_version};
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::event::{base64, timestamp};
use hob_core::fault::{Fault, Result};
use hob_core::limit::AWS_ARCHIVE_BYTES_MAX;
use hob_core::port::{Expect, Write};
use hob_core::spec::PackageFile;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        body_bytes_max: AWS_ARCHIVE_BYTES_MAX,
        ..operation("PublishLayerVersion", "POST", VERSIONS, publish)
    },
    operation("ListLayerVersions", "GET", VERSIONS, versions),
    operation("ListLayers", "GET", "/2018-10-31/layers", list),
    operation("GetLayerVersion", "GET", VERSION, get),
    operation("DeleteLayerVersion", "DELETE", VERSION, delete),
];

const VERSIONS: &str = "/2018-10-31/layers/{}/versions";
const VERSION: &str = "/2018-10-31/layers/{}/versions/{}";
/// What the keys of layers in the store begin with.
const KEYS: &str = "aws-layers/";
/// Where the files of layers are in a package.
pub(super) const OPT: &str = "opt/";
/// Layers or versions of a page, unless the request wants fewer.
const PAGE: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Publish {
    content: Map<String, Value>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    compatible_runtimes: Vec<String>,
    #[serde(default)]
    license_info: String,
    /// Without meaning here, as the runtimes are.
    #[serde(default, rename = "CompatibleArchitectures")]
    _compatible_architectures: Vec<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Lambda {
    async fn layer(&self, name: &str) -> Result<(Layer, Option<u64>)> {
        match self.records.state().get(&format!("{KEYS}{name}")).await? {
            Some(entry) => Ok((read(name, &entry.value)?, Some(entry.version))),
            None => Ok((Layer::default(), None)),
        }
    }

    async fn store_layer(&self, name: &str, layer: &Layer, version: Option<u64>) -> Result<()> {
        let value = Some(serde_json::to_vec(layer).map_err(Fault::internal)?);
        let expect = version.map_or(Expect::Absent, Expect::Version);
        self.records.state().commit(vec![Write { key: format!("{KEYS}{name}"), expect, value }]).await
    }

    fn archive_of(&self, file: &str) -> PathBuf {
        self.control.data.join(LAYERS).join(format!("{file}.zip"))
    }

    /// A version of a layer.
    async fn layer_version(&self, name: &str, number: u32) -> Answered<LayerVersion> {
        let (layer, _) = self.layer(name).await?;
        layer.versions.get(&number).cloned().ok_or_else(|| {
            let fault = Fault::new(Code::LambdaNotFound, format!("layer `{name}` has no version {number}"));
            Refusal::new(
                Exception::ResourceNotFound,
                fault.hint("publish it, then name the number that it gets"),
            )
        })
    }

    /// Lays layers below a function's files, in the place of those that it has; none: it has none any more.
    pub(super) async fn lay(
        &self,
        package: &mut BTreeMap<String, PackageFile>,
        layers: &[String],
    ) -> Answered<()> {
        check_count(layers.len())?;
        package.retain(|path, _| !path.starts_with(OPT));
        for arn in layers {
            let (name, number) = layer_version(arn)?;
            let version = self.layer_version(&name, number).await?;
            let archive = tokio::fs::read(self.archive_of(&version.file)).await.map_err(Fault::internal)?;
            let files = self.unpack(archive).await?;
            package.extend(files.into_iter().map(|(path, file)| (format!("{OPT}{path}"), file)));
        }
        Ok(())
    }
}

fn read(name: &str, value: &[u8]) -> Result<Layer> {
    serde_json::from_slice(value).map_err(|error| {
        Fault::new(Code::StoreCorrupt, format!("the record of layer `{name}` cannot be understood"))
            .hint("start the version of Hob that wrote it, or restore the data folder from a backup")
            .detail(error)
    })
}

/// `LayerVersionsListItem`, and with the archive's digest what the others show.
fn shown(region: &str, name: &str, number: u32, version: &LayerVersion) -> Value {
    let arn = layer_arn(region, name);
    json!({
        "LayerArn": arn,
        "LayerVersionArn": format!("{arn}:{number}"),
        "Version": number,
        "Description": version.description,
        "CreatedDate": timestamp(version.created_ms),
        "CompatibleRuntimes": version.runtimes,
        "LicenseInfo": version.license,
    })
}

fn in_full(region: &str, name: &str, number: u32, version: &LayerVersion) -> Value {
    let mut all = shown(region, name, number, version);
    all["Content"] = json!({ "CodeSha256": version.code_sha256, "CodeSize": version.code_bytes });
    all
}

fn publish(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: Publish = ask.json()?;
        hob_core::aws::function::check_rest(&asked.rest)?;
        let name = layer_name(ask.part(0))?;
        let archive = archive(&asked.content)?;
        let digest = Digest::of(&archive);
        let version = LayerVersion {
            description: asked.description,
            runtimes: asked.compatible_runtimes,
            license: asked.license_info,
            code_sha256: base64::encode(digest.bytes()),
            file: digest.hex(),
            code_bytes: archive.len() as u64,
            created_ms: now_ms(),
        };
        // What cannot be unpacked is refused now, not when a function asks for it.
        lambda.unpack(archive.clone()).await?;
        let (mut layer, stored) = lambda.layer(&name).await?;
        let number = layer.publish(&name, version.clone())?;
        // First the archive is there, then it has a name.
        let file = lambda.archive_of(&version.file);
        if !tokio::fs::try_exists(&file).await.map_err(Fault::internal)? {
            lambda.control.bus.allowance().keep(version.code_bytes).await?;
        }
        let part = file.with_extension(format!("{}.part", crate::identity::invocation()));
        let write = async {
            tokio::fs::create_dir_all(lambda.control.data.join(LAYERS)).await?;
            tokio::fs::write(&part, &archive).await?;
            tokio::fs::File::open(&part).await?.sync_all().await?;
            tokio::fs::rename(&part, &file).await
        };
        write.await.map_err(Fault::internal)?;
        lambda.store_layer(&name, &layer, stored).await?;
        json(StatusCode::CREATED, &in_full(&ask.region, &name, number, &version))
    })
}

fn versions(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let name = layer_name(ask.part(0))?;
        let (layer, _) = lambda.layer(&name).await?;
        // The newest comes first, as AWS lists them.
        let all = layer.versions.iter().map(|(number, version)| {
            (format!("{:010}", u32::MAX - number), shown(&ask.region, &name, *number, version))
        });
        json(StatusCode::OK, &page("LayerVersions", all.collect(), &ask, PAGE)?)
    })
}

fn list(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        if let Some(arn) = ask.query("Arn") {
            let (name, number) = layer_version(&arn)?;
            let version = lambda.layer_version(&name, number).await?;
            return json(StatusCode::OK, &in_full(&ask.region, &name, number, &version));
        }
        let mut all = BTreeMap::new();
        for (key, entry) in lambda.records.state().scan(KEYS).await? {
            let name = key.strip_prefix(KEYS).unwrap_or_default();
            let layer = read(name, &entry.value)?;
            if let Some((number, version)) = layer.versions.last_key_value() {
                let latest = shown(&ask.region, name, *number, version);
                let arn = layer_arn(&ask.region, name);
                let item = json!({ "LayerName": name, "LayerArn": arn, "LatestMatchingVersion": latest });
                all.insert(name.to_owned(), item);
            }
        }
        json(StatusCode::OK, &page("Layers", all, &ask, PAGE)?)
    })
}

/// The layer and the number in the path.
fn asked(ask: &Ask) -> Answered<(String, u32)> {
    let text = ask.part(1);
    let number = text.parse().map_err(|_| Refusal::value(format!("`{text}` is no number of a version")))?;
    Ok((layer_name(ask.part(0))?, number))
}

fn get(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (name, number) = asked(&ask)?;
        let version = lambda.layer_version(&name, number).await?;
        json(StatusCode::OK, &in_full(&ask.region, &name, number, &version))
    })
}

fn delete(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (name, number) = asked(&ask)?;
        let (mut layer, stored) = lambda.layer(&name).await?;
        // One that is not there is deleted, as AWS has it. Its archive may be another layer's as well.
        if let Some(version) = layer.versions.remove(&number) {
            lambda.store_layer(&name, &layer, stored).await?;
            let mut used = false;
            for (key, entry) in lambda.records.state().scan(KEYS).await? {
                let other = read(&key, &entry.value)?;
                used |= other.versions.values().any(|other| other.file == version.file);
            }
            if !used {
                // What stays behind takes space, and nothing else.
                let _ = tokio::fs::remove_file(lambda.archive_of(&version.file)).await;
            }
        }
        Ok(nothing(StatusCode::NO_CONTENT))
    })
}
