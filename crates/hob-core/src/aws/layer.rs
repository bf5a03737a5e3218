//! Layers: archives with a name and a number, whose files functions have below `opt` (Lambda developer guide, "Managing
//! Lambda dependencies with layers").
//!
//! **Invariant.** A version's number is never used twice.

use super::name::ACCOUNT;
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::{AWS_LAYER_VERSIONS_MAX, AWS_LAYERS_MAX};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest name of a layer.
const NAME_BYTES_MAX: usize = 140;

/// What is stored of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// The number of the newest version there ever was.
    pub newest: u32,
    /// Its versions.
    pub versions: BTreeMap<u32, LayerVersion>,
}

/// A version of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerVersion {
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Runtimes that it is meant for; without meaning here.
    #[serde(default)]
    pub runtimes: Vec<String>,
    /// Its licence.
    #[serde(default)]
    pub license: String,
    /// SHA-256 of the archive, in base64.
    pub code_sha256: String,
    /// The same in hexadecimal: the name of the archive's file.
    pub file: String,
    /// Bytes of the archive.
    pub code_bytes: u64,
    /// When it was published, milliseconds since the Unix epoch.
    pub created_ms: u64,
}

impl Layer {
    /// Gives a version its number.
    ///
    /// # Errors
    /// `HOB-0109` above the limit.
    pub fn publish(&mut self, name: &str, version: LayerVersion) -> Result<u32> {
        if self.versions.len() >= AWS_LAYER_VERSIONS_MAX {
            let what = format!("layer `{name}` has {AWS_LAYER_VERSIONS_MAX} versions, which is the limit");
            return Err(Fault::new(Code::SettingOverLimit, what).hint("delete versions that nobody needs"));
        }
        self.newest += 1;
        self.versions.insert(self.newest, version);
        Ok(self.newest)
    }
}

/// The name of a layer: itself, or the end of its ARN.
///
/// # Errors
/// `HOB-0622` for another form.
pub fn layer_name(text: &str) -> Result<String> {
    let parts: Vec<&str> = text.split(':').collect();
    let name = match parts[..] {
        ["arn", _, "lambda", _, _, "layer", name] | [name] => name,
        _ => return Err(refuse(format!("`{text}` does not name a layer"))),
    };
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(fine) {
        true => Ok(name.to_owned()),
        false => Err(refuse(format!("`{name}` is no name of a layer"))),
    }
}

/// The layer and the number that the ARN of a version names.
///
/// # Errors
/// `HOB-0622` for another form.
pub fn layer_version(text: &str) -> Result<(String, u32)> {
    let wrong = || {
        let what = format!("`{text}` is no ARN of a layer's version");
        refuse(what).hint(format!("write `arn:aws:lambda:<region>:{ACCOUNT}:layer:<name>:<number>`"))
    };
    let (layer, number) = text.rsplit_once(':').ok_or_else(wrong)?;
    if !layer.contains(":layer:") {
        return Err(wrong());
    }
    Ok((layer_name(layer)?, number.parse().map_err(|_| wrong())?))
}

/// The ARN of a layer.
pub fn layer_arn(region: &str, name: &str) -> String {
    format!("arn:aws:lambda:{region}:{ACCOUNT}:layer:{name}")
}

/// Checks how many layers a function has.
///
/// # Errors
/// `HOB-0622` above the limit.
pub fn check_count(count: usize) -> Result<()> {
    match count <= AWS_LAYERS_MAX {
        true => Ok(()),
        false => Err(refuse(format!("`Layers` has {count} layers, a function has {AWS_LAYERS_MAX} at most"))),
    }
}

fn refuse(what: String) -> Fault {
    Fault::new(Code::AwsRequest, what)
}

#[cfg(test)]
mod tests {
    use super::{Layer, LayerVersion, layer_arn, layer_name, layer_version};

    #[test]
    fn layers_are_named_as_aws_does() {
        for (text, expected) in [
            ("tools", Some("tools")),
            ("arn:aws:lambda:eu-west-1:1:layer:tools", Some("tools")),
            ("arn:aws:lambda:eu-west-1:1:function:tools", None),
            ("a b", None),
            ("../x", None),
            ("", None),
        ] {
            assert_eq!(layer_name(text).ok().as_deref(), expected, "{text}");
        }
        let arn = layer_arn("us-east-1", "tools");
        assert_eq!(layer_version(&format!("{arn}:3")).unwrap(), ("tools".to_owned(), 3));
        for text in [&*arn, "tools:3", "arn:aws:lambda:us-east-1:1:function:tools:3", "3"] {
            assert_eq!(layer_version(text).unwrap_err().code().text(), "HOB-0622", "{text}");
        }
    }

    #[test]
    fn numbers_are_never_used_twice() {
        let mut layer = Layer::default();
        assert_eq!(layer.publish("a", LayerVersion::default()).unwrap(), 1);
        layer.versions.clear();
        assert_eq!(layer.publish("a", LayerVersion::default()).unwrap(), 2);
    }
}
