//! Amounts of money, exact: whole numbers of a trillionth of a currency's unit.
//!
//! **Why.** A million calls at a hundred-thousandth of a cent each are added up here. Sums of floating-point
//! numbers depend on their order and end in `…0000004`; a bill must not.
//!
//! **How.** A price per GB-second has ten decimals at most (`0.0000166667`), so twelve are enough for any
//! single product, and 128 bits hold a hundred quintillion units of the currency. Currencies are never
//! converted: what is in two currencies is not added.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign, Neg, Sub};

/// Trillionths in one unit of a currency.
const PICO: i128 = 1_000_000_000_000;
/// Decimals of a [`Money`].
const DECIMALS: usize = 12;

/// An amount of money without its currency. On the wire a decimal number as text, such as `"0.0000166667"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Money(i128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many trillionths of the currency's unit.
    pub const fn pico(pico: i128) -> Self {
        Self(pico)
    }

    /// Trillionths of the currency's unit.
    pub const fn as_pico(self) -> i128 {
        self.0
    }

    /// Reads a decimal number such as `5`, `0.20` or `-1.5`, with at most twelve decimals.
    ///
    /// # Errors
    /// A sentence that names the accepted form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no amount; write for example `0.20`");
        let trimmed = text.trim();
        let (sign, digits) = trimmed.strip_prefix('-').map_or((1, trimmed), |rest| (-1, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let numeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !numeric(whole) || !numeric(fraction) || whole.len() > 15 || fraction.len() > DECIMALS {
            return Err(wrong());
        }
        let whole: i128 = whole.parse().map_err(|_| wrong())?;
        let fraction: i128 = format!("{fraction:0<DECIMALS$}").parse().map_err(|_| wrong())?;
        Ok(Self(sign * (whole * PICO + fraction)))
    }

    /// This price times `quantity / unit`, rounded to the nearest trillionth. `unit` is not 0; what does not
    /// fit in 128 bits is the largest amount.
    #[must_use]
    pub fn times(self, quantity: u128, unit: u128) -> Self {
        let unit = unit.max(1);
        let (sign, price) = (self.0.signum(), self.0.unsigned_abs());
        // Whole units first, so that only the rest is multiplied in full.
        let (whole, rest) = (quantity / unit, quantity % unit);
        let product = price.checked_mul(whole).zip(price.checked_mul(rest)).and_then(|(whole, rest)| {
            whole.checked_add(rest.checked_add(unit / 2)? / unit).and_then(|sum| i128::try_from(sum).ok())
        });
        Self(product.map_or(i128::MAX, |product| sign * product))
    }

    /// How much of `whole` this is, in thousandths of a percent; 0 of nothing.
    pub fn share_of(self, whole: Self) -> u32 {
        if whole.0 <= 0 || self.0 <= 0 {
            return 0;
        }
        let (part, whole) = (self.0.unsigned_abs(), whole.0.unsigned_abs());
        // Both are made smaller until the product fits: a share needs few digits.
        let shift = (128 - part.leading_zeros()).saturating_sub(100);
        let share = (part >> shift) * 100_000 / (whole >> shift).max(1);
        u32::try_from(share).unwrap_or(u32::MAX)
    }

    /// The amount for people: two decimals, or as many as show three digits of a small one.
    pub fn show(self) -> String {
        let pico = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let mut decimals = 2;
        // Below ten cents two decimals say nothing any more.
        while pico > 0 && pico < PICO.unsigned_abs() / 10 && decimals < DECIMALS {
            if pico >= 10u128.pow(u32_of(DECIMALS - decimals + 2)) {
                break;
            }
            decimals += 1;
        }
        let step = 10u128.pow(u32_of(DECIMALS - decimals));
        let rounded = (pico + step / 2) / step;
        let scale = 10u128.pow(u32_of(decimals));
        let text = format!("{sign}{}.{:0decimals$}", rounded / scale, rounded % scale);
        if decimals == 2 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
    }
}

fn u32_of(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl std::fmt::Display for Money {
    /// Every digit, none that says nothing: `0.0000166667`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) =
            (self.0.unsigned_abs() / PICO.unsigned_abs(), self.0.unsigned_abs() % PICO.unsigned_abs());
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{fraction:0DECIMALS$}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl TryFrom<String> for Money {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Money> for String {
    fn from(money: Money) -> Self {
        money.to_string()
    }
}

impl JsonSchema for Money {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^-?[0-9]+(\.[0-9]{1,12})?$",
            "description": "An amount of money, exact, without its currency."
        })
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Money {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// A currency by its three letters (ISO 4217), such as `USD`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(String);

impl Currency {
    /// Reads three capital letters.
    ///
    /// # Errors
    /// A sentence that names the accepted form.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("`{text}` is no currency; write its three letters, such as `USD` or `EUR`"))
    }
}

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.0
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[A-Z]{3}$",
            "description": "A currency by its three letters (ISO 4217)."
        })
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// An amount with its currency, as people write it: `5 USD`, `40EUR`, `0.50 USD`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// How much.
    pub amount: Money,
    /// Of what.
    pub currency: Currency,
}

impl Price {
    /// Reads an amount above zero and its currency.
    ///
    /// # Errors
    /// `why; fix`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no amount of money; write for example `5 USD` or `40EUR`");
        let end = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
        let amount = Money::parse(&text[..end]).map_err(|_| wrong())?;
        let currency = Currency::parse(text[end..].trim())?;
        if amount <= Money::ZERO {
            return Err(wrong());
        }
        Ok(Self { amount, currency })
    }
}

impl std::fmt::Display for Price {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.amount.show(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::{Money, Price};

    #[test]
    fn amounts_are_read_and_shown_exactly() {
        for (text, pico, shown) in [
            ("5", 5_000_000_000_000, "5.00"),
            ("0.20", 200_000_000_000, "0.20"),
            ("0.0000166667", 16_666_700, "0.0000167"),
            ("-1.5", -1_500_000_000_000, "-1.50"),
            ("0.000000000001", 1, "0.000000000001"),
            ("12.345", 12_345_000_000_000, "12.35"),
            ("0.0999", 99_900_000_000, "0.0999"),
            ("0", 0, "0.00"),
        ] {
            let money = Money::parse(text).unwrap();
            assert_eq!((money.as_pico(), money.show().as_str()), (pico, shown), "{text}");
            assert_eq!(Money::parse(&money.to_string()), Ok(money), "{text} comes back");
        }
        for bad in ["", ".", "1.", ".5", "1e3", "0.0000000000001", "1,5", "--1", "9999999999999999"] {
            assert!(Money::parse(bad).is_err(), "{bad}");
        }
        let json = serde_json::to_string(&Money::pico(16_666_700)).unwrap();
        assert_eq!(json, "\"0.0000166667\"");
    }

    #[test]
    fn products_and_shares_are_exact_however_large() {
        let price = Money::parse("0.0000166667").unwrap();
        for (quantity, unit, pico) in [
            (1u128, 1u128, 16_666_700i128),
            (1, 2, 8_333_350),
            (1, 3, 5_555_567),
            (6_000_000_000, 1, 100_000_200_000_000_000),
            (u128::MAX, 1, i128::MAX),
        ] {
            assert_eq!(price.times(quantity, unit).as_pico(), pico, "{quantity}/{unit}");
        }
        let share = |part: i128, whole: i128| Money::pico(part).share_of(Money::pico(whole));
        assert_eq!((share(1, 3), share(1, 1), share(0, 1), share(1, 0)), (33_333, 100_000, 0, 0));
        assert_eq!(share(1 << 120, 1 << 121), 50_000);
    }

    #[test]
    fn prices_have_a_currency() {
        for (text, shown) in [("5 USD", "5.00 USD"), ("40EUR", "40.00 EUR"), ("0.5 CHF", "0.50 CHF")] {
            assert_eq!(Price::parse(text).unwrap().to_string(), shown);
        }
        for bad in ["", "5", "USD", "5 usd", "5 EURO", "0 USD", "-5 USD", "5 $"] {
            assert!(Price::parse(bad).is_err(), "{bad}");
        }
    }
}
