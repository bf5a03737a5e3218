//! Price sheets: what somewhere charges, read from dated files.
//!
//! **How.** A list sheet has a [`Tariff`] for each thing that is charged; a machine has one price for all of
//! it. The shipped files are in `sheets/`; a person's own `price.toml` says one thing, `per-month`.

use super::money::{Currency, Money, Price};
use crate::code::Code;
use crate::fault::{Fault, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The shipped sheets, each with its name.
const SHIPPED: [(Place, &str); 3] = [
    (Place::Own, include_str!("sheets/own.toml")),
    (Place::AwsLambda, include_str!("sheets/aws-lambda.toml")),
    (Place::CloudRun, include_str!("sheets/cloud-run.toml")),
];

/// Where functions run, or would.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// On the machine of the node.
    #[default]
    Own,
    /// At AWS Lambda.
    AwsLambda,
    /// At Google Cloud Run.
    CloudRun,
}

impl Place {
    /// Every place, with its word.
    pub const WORDS: [(&'static str, Self); 3] =
        [("own", Self::Own), ("aws-lambda", Self::AwsLambda), ("cloud-run", Self::CloudRun)];

    /// Its word, as in manifests and on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::AwsLambda => "aws-lambda",
            Self::CloudRun => "cloud-run",
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What a place charges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sheet {
    /// Where.
    pub name: Place,
    /// Its name for people.
    pub title: String,
    /// The day on which the prices were true, such as `2025-10-28`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// The currency of a list; that of a machine is in `per-month`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// For which region and kind of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Where the current prices are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What a machine costs in a month, all of it; absent while nobody has said so.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "price_text")]
    #[schemars(with = "Option<String>")]
    pub per_month: Option<Price>,
    /// Billed time is rounded up to multiples of this, milliseconds; 0: it is not.
    #[serde(default)]
    pub round_ms: u64,
    /// Whether calls that run at once in one instance share its time.
    #[serde(default)]
    pub shared: bool,
    /// The least memory that is billed, MiB.
    #[serde(default)]
    pub memory_min_mib: u64,
    /// Processors of an instance, where they are charged.
    #[serde(default)]
    pub vcpus: u64,
    /// For a number of calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Tariff>,
    /// For memory while a call runs, GiB-seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Tariff>,
    /// For processors while a call runs, vCPU-seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Tariff>,
    /// For local disk that a function asks for besides what it has anyway, GiB-seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Tariff>,
    /// For bytes to the internet, GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Tariff>,
    /// For an instance that is kept while no call runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

/// What one thing costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tariff {
    /// The price is for so many of the unit.
    #[serde(default = "one")]
    pub per: u64,
    /// Prices, for more and more in a month.
    pub tiers: Vec<Tier>,
    /// What is free in a month, of the unit.
    #[serde(default)]
    pub free: u64,
}

/// A price that holds up to some quantity of a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Up to here, of the unit; absent: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// The price.
    pub price: Money,
}

/// What an instance costs while it waits for calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// For a GiB-second of memory.
    pub memory: Money,
    /// For a vCPU-second.
    #[serde(default)]
    pub cpu: Money,
}

const fn one() -> u64 {
    1
}

/// `per-month = "40 EUR"`.
mod price_text {
    use super::Price;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(price: &Option<Price>, serializer: S) -> Result<S::Ok, S::Error> {
        match price {
            Some(price) => serializer.collect_str(&format_args!("{} {}", price.amount, price.currency)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Price>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        text.map(|text| Price::parse(&text).map_err(D::Error::custom)).transpose()
    }
}

fn refuse(why: &str, file: &str) -> Fault {
    let why = why.lines().collect::<Vec<_>>().join(", ");
    Fault::new(Code::ManifestValue, format!("the price sheet cannot be read: {why}")).at(file)
}

impl Sheet {
    /// Reads a sheet; `file` names it in messages.
    ///
    /// # Errors
    /// `HOB-0103` for text that is no sheet, or one whose tiers do not rise.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let refuse = |why: String| refuse(&why, file);
        let sheet: Self = toml::from_str(text).map_err(|error| refuse(error.message().to_owned()))?;
        let tariffs = [&sheet.requests, &sheet.memory, &sheet.cpu, &sheet.storage, &sheet.egress];
        if tariffs.iter().any(|tariff| tariff.is_some()) && sheet.currency.is_none() {
            return Err(refuse("it has prices and no `currency`".to_owned()));
        }
        for tariff in tariffs.into_iter().flatten() {
            let (ends, last) = tariff.tiers.split_at(tariff.tiers.len().saturating_sub(1));
            let rising = ends.windows(2).all(|pair| pair[0].to < pair[1].to);
            let ended = ends.iter().all(|tier| tier.to.is_some());
            if tariff.per == 0 || !rising || !ended || last.iter().all(|tier| tier.to.is_some()) {
                return Err(refuse("tiers have to rise, and the last one has no `to`".to_owned()));
            }
        }
        Ok(sheet)
    }

    /// The shipped sheet of a place. The machine's has no price.
    pub fn shipped(place: Place) -> Self {
        let found = SHIPPED.iter().find(|(name, _)| *name == place);
        let (_, text) = found.expect("every place has a sheet, which a test reads");
        Self::parse(text, place.word()).expect("shipped sheets can be read, as a test shows")
    }

    /// Reads a person's own price: `per-month = "40 EUR"`; `file` names it in messages.
    ///
    /// # Errors
    /// As [`Sheet::parse`].
    pub fn parse_own(text: &str, file: &str) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        struct Own {
            per_month: String,
        }
        let own = toml::from_str::<Own>(text).map_err(|error| error.message().to_owned());
        let price = own.and_then(|own| Price::parse(&own.per_month));
        let price = price.map_err(|why| refuse(&why, file).hint("write `per-month = \"40 EUR\"`"))?;
        Ok(Self::own(Some(price)))
    }

    /// The sheet of a machine with this price.
    pub fn own(per_month: Option<Price>) -> Self {
        Self { per_month, ..Self::shipped(Place::Own) }
    }

    /// The currency of what it charges; `None`: it has no price.
    pub fn currency(&self) -> Option<&Currency> {
        self.currency.as_ref().or_else(|| self.per_month.as_ref().map(|price| &price.currency))
    }

    /// One line about where the prices are from and when they were true.
    pub fn about(&self) -> String {
        match (&self.as_of, &self.region, &self.per_month) {
            (Some(as_of), Some(region), _) => {
                format!("{} list prices as of {as_of}, {region}, without free tier", self.title)
            }
            (_, _, Some(price)) => format!("{} at {price} per month", self.title),
            _ => self.title.clone(),
        }
    }
}
