//! What browsers send: forms and queries (`application/x-www-form-urlencoded`, URL Standard 5.1), and the
//! parts of a path.

use crate::control;
use crate::control::query::decode;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::DASHBOARD_FORM_BYTES_MAX;
use hob_runtime::body::Body;
use http_body_util::{BodyExt, Limited};

/// The fields of a form, or the names and values of a query, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `name=value&…`; what is not text is left out.
    pub(super) fn of(text: &str) -> Self {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            decode(name).zip(decode(value))
        };
        Self(text.split('&').filter(|pair| !pair.is_empty()).filter_map(pair).collect())
    }

    /// Reads the form that a request brings.
    ///
    /// # Errors
    /// `HOB-0704` when it is too large or ends early.
    pub(super) async fn read(body: Body) -> Result<Self> {
        let collected = Limited::new(body, DASHBOARD_FORM_BYTES_MAX).collect().await.map_err(|error| {
            let what = format!("the form is above {DASHBOARD_FORM_BYTES_MAX} bytes or ended early");
            Fault::new(Code::ControlRequest, what).hint("send less, or use `hob`").detail(error)
        })?;
        Ok(Self::of(&String::from_utf8_lossy(&collected.to_bytes())))
    }

    /// A field's text; empty when there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// A field that is there and not empty, without blanks around it.
    pub(super) fn some(&self, name: &str) -> Option<&str> {
        Some(self.get(name).trim()).filter(|text| !text.is_empty())
    }

    /// Every text of fields with that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The decoded parts of `path` that `pattern` names; `None` when it does not match.
pub(super) fn parts(pattern: &str, path: &str) -> Option<Vec<String>> {
    control::parts(pattern, path)?.iter().map(|part| decode(part)).collect()
}

#[cfg(test)]
mod tests {
    use super::Fields;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let fields = Fields::of("a=1+%26%0D%0A&b=&a=2&c&%ff=x&=y");
        assert_eq!((fields.get("a"), fields.get("c"), fields.get("d")), ("1 &\r\n", "", ""));
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1 &\r\n", "2"]);
        assert_eq!((fields.some("a"), fields.some("b")), (Some("1 &"), None));
    }
}
