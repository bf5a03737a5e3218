//! Filters that were checked once and are asked for every event.
//!
//! **Why.** A mistake in a filter is told when it is written, not found out by events that never come.
//! Asking is done for every event and every subscription, so it builds no text; saying why is done for
//! a person, so it may.
//!
//! **How.** Maps with several attributes become one clause each, in the order of their names. The
//! check and the explanation walk the same clauses, so they cannot disagree.
//!
//! **Not here:** the written form ([`super::Filter`]) and CESQL ([`super::cesql`]).

use super::attribute::{Attributes, Value};
use super::cesql::{Expression, nearest_function};
use super::pattern::Pattern;
use super::{DIALECTS, Filter};
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::{CESQL_BYTES_MAX, FILTER_DEPTH_MAX, FILTERS_MAX};
use std::collections::BTreeMap;

/// The filters of one subscription: all must match. Without filters everything matches.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    clauses: Vec<Clause>,
}

/// The first clause that did not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Which clause, such as `exact.type`, `not.prefix.source`, `any` or `sql`.
    pub clause: String,
    /// What it asks for.
    pub wanted: String,
    /// What the event has; `None`: it does not have that attribute, or the clause is about several.
    pub seen: Option<String>,
}

#[derive(Clone, Debug)]
enum Clause {
    Text { how: How, attribute: Box<str>, wanted: Box<str> },
    All(Vec<Clause>),
    Any(Vec<Clause>),
    Not(Box<Clause>),
    Sql(Box<Expression>),
    Data(Box<Pattern>),
}

/// How a text is compared: byte for byte (Subscriptions API 0.1, section 3.2.4.1.1).
#[derive(Clone, Copy, Debug)]
enum How {
    Exact,
    Prefix,
    Suffix,
}

impl Filters {
    /// Checks filters and makes them ready.
    ///
    /// # Errors
    /// `HOB-0809` with the place of the first mistake (`filters[1].any[0].exact.type`): too many or too
    /// deep, empty maps, lists or values, names that are none, CESQL that cannot be understood.
    pub fn compile(filters: &[Filter]) -> Result<Self> {
        let mut compiler = Compiler { count: 0 };
        let clauses = filters
            .iter()
            .enumerate()
            .map(|(at, filter)| compiler.clause(filter, &format!("filters[{at}]"), 1))
            .collect::<Result<Vec<Clause>>>()?;
        Ok(Self { clauses })
    }

    /// Whether there are none, so that everything matches.
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// Whether an event passes all filters.
    pub fn matches(&self, event: &(impl Attributes + ?Sized)) -> bool {
        self.clauses.iter().all(|clause| clause.matches(event))
    }

    /// The same answer as [`Filters::matches`], with the first clause that is in the way.
    ///
    /// # Errors
    /// The clause that does not match.
    pub fn explain(&self, event: &(impl Attributes + ?Sized)) -> Result<(), Mismatch> {
        self.clauses.iter().try_for_each(|clause| clause.explain(event))
    }
}

/// Counts filters while they are checked.
struct Compiler {
    count: usize,
}

impl Compiler {
    fn clause(&mut self, filter: &Filter, place: &str, depth: usize) -> Result<Clause> {
        self.count += 1;
        if self.count > FILTERS_MAX {
            let message = format!("there are more than {FILTERS_MAX} filters, nested ones included");
            return Err(invalid(message, place).hint("one `sql` filter can say what several say"));
        }
        if depth > FILTER_DEPTH_MAX {
            return Err(invalid(format!("filters are nested more than {FILTER_DEPTH_MAX} deep"), place));
        }
        match filter {
            Filter::Exact(map) => texts(How::Exact, map, place),
            Filter::Prefix(map) => texts(How::Prefix, map, place),
            Filter::Suffix(map) => texts(How::Suffix, map, place),
            Filter::All(list) => Ok(Clause::All(self.list(list, &format!("{place}.all"), depth)?)),
            Filter::Any(list) => Ok(Clause::Any(self.list(list, &format!("{place}.any"), depth)?)),
            Filter::Not(inner) => {
                Ok(Clause::Not(Box::new(self.clause(inner, &format!("{place}.not"), depth + 1)?)))
            }
            Filter::Sql(text) => sql(text, &format!("{place}.sql")),
            Filter::Data(value) => data(value, &format!("{place}.data")),
        }
    }

    fn list(&mut self, list: &[Filter], place: &str, depth: usize) -> Result<Vec<Clause>> {
        if list.is_empty() {
            return Err(invalid("a list of filters is empty", place)
                .hint(format!("give at least one filter with a dialect of {DIALECTS}")));
        }
        let clauses = list.iter().enumerate();
        clauses.map(|(at, filter)| self.clause(filter, &format!("{place}[{at}]"), depth + 1)).collect()
    }
}

/// The clauses of one map of attributes.
fn texts(how: How, map: &BTreeMap<String, String>, place: &str) -> Result<Clause> {
    let place = format!("{place}.{}", how.name());
    if map.is_empty() {
        return Err(invalid(format!("an `{}` filter names no attribute", how.name()), &place)
            .hint("name an attribute and its value, such as `type = \"com.example.created\"`"));
    }
    let mut clauses = Vec::with_capacity(map.len());
    for (attribute, wanted) in map {
        let place = format!("{place}.{attribute}");
        if attribute == "data" {
            return Err(invalid("this dialect sees an event's attributes, not its `data`", &place)
                .hint("write for example `data = { status = [\"paid\"] }` beside it"));
        }
        if attribute.is_empty() || !attribute.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(invalid(format!("`{attribute}` is not the name of an attribute"), &place)
                .hint("names of attributes have only the letters a to z and digits"));
        }
        if wanted.is_empty() {
            return Err(invalid(format!("the value for `{attribute}` is empty"), &place)
                .hint("to ask whether an attribute is there, write `sql = \"EXISTS …\"`"));
        }
        clauses.push(Clause::Text {
            how,
            attribute: attribute.as_str().into(),
            wanted: wanted.as_str().into(),
        });
    }
    Ok(if clauses.len() == 1 { clauses.remove(0) } else { Clause::All(clauses) })
}

fn data(value: &serde_json::Value, place: &str) -> Result<Clause> {
    let size = value.to_string().len();
    if size > CESQL_BYTES_MAX {
        let message = format!("a pattern has {size} bytes, more than the {CESQL_BYTES_MAX} allowed");
        return Err(invalid(message, place));
    }
    let pattern = Pattern::read(value, place).map_err(|(at, why)| {
        invalid(format!("a pattern of data cannot be understood: {why}"), &at)
            .hint("write for example `data = { status = [\"paid\"] }`")
    })?;
    Ok(Clause::Data(Box::new(pattern)))
}

/// An event's data as JSON, or as a text where it is none.
fn content(event: &(impl Attributes + ?Sized)) -> Option<serde_json::Value> {
    let data = event.data()?;
    let text = || serde_json::Value::from(String::from_utf8_lossy(data));
    Some(serde_json::from_slice(data).unwrap_or_else(|_| text()))
}

fn sql(text: &str, place: &str) -> Result<Clause> {
    if text.len() > CESQL_BYTES_MAX {
        let message =
            format!("a CESQL expression has {} bytes, more than the {CESQL_BYTES_MAX} allowed", text.len());
        return Err(invalid(message, place));
    }
    let character = |position: usize| text.get(..position).unwrap_or(text).chars().count() + 1;
    let expression = Expression::parse(text).map_err(|error| {
        let at = character(error.position);
        invalid(format!("the CESQL expression is wrong at character {at}: {}", error.message), place)
    })?;
    // Such an expression is never true where the call is reached, so it is refused (CESQL 1.0, section
    // 3.3, asks for errors early where that can be).
    if let Some((name, position)) = expression.missing_function() {
        let at = character(position);
        let message = format!(
            "the CESQL expression calls `{name}` at character {at}, which is no function with that many arguments"
        );
        let fault = invalid(message, place);
        return Err(match nearest_function(name) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault,
        });
    }
    Ok(Clause::Sql(Box::new(expression)))
}

fn invalid(message: impl Into<String>, place: &str) -> Fault {
    Fault::new(Code::FilterInvalid, message).at(place)
}

impl How {
    fn name(self) -> &'static str {
        match self {
            How::Exact => "exact",
            How::Prefix => "prefix",
            How::Suffix => "suffix",
        }
    }

    fn holds(self, value: &Value<'_>, wanted: &str) -> bool {
        let text = value.text();
        match self {
            How::Exact => *text == *wanted,
            How::Prefix => text.starts_with(wanted),
            How::Suffix => text.ends_with(wanted),
        }
    }
}

impl Clause {
    fn matches(&self, event: &(impl Attributes + ?Sized)) -> bool {
        match self {
            Clause::Text { how, attribute, wanted } => {
                event.attribute(attribute).is_some_and(|value| how.holds(&value, wanted))
            }
            Clause::All(clauses) => clauses.iter().all(|clause| clause.matches(event)),
            Clause::Any(clauses) => clauses.iter().any(|clause| clause.matches(event)),
            Clause::Not(clause) => !clause.matches(event),
            Clause::Sql(expression) => expression.is_true(event),
            Clause::Data(pattern) => pattern.matches(content(event).as_ref()),
        }
    }

    fn explain(&self, event: &(impl Attributes + ?Sized)) -> Result<(), Mismatch> {
        if self.matches(event) {
            return Ok(());
        }
        let (clause, wanted, seen) = match self {
            Clause::All(clauses) => {
                return clauses.iter().try_for_each(|clause| clause.explain(event));
            }
            Clause::Text { how, attribute, wanted } => {
                (format!("{}.{attribute}", how.name()), wanted.to_string(), self.seen(event))
            }
            Clause::Any(clauses) => {
                let wanted: Vec<String> = clauses.iter().map(Clause::describe).collect();
                let seen: Vec<Option<String>> = clauses.iter().map(|clause| clause.seen(event)).collect();
                let one = seen.first().cloned().flatten().filter(|_| seen.windows(2).all(|w| w[0] == w[1]));
                ("any".to_owned(), format!("one of: {}", wanted.join("; ")), one)
            }
            Clause::Not(inner) => (
                format!("not.{}", inner.name()),
                format!("anything but {}", inner.describe()),
                inner.seen(event),
            ),
            Clause::Sql(expression) => ("sql".to_owned(), expression.text().to_owned(), self.seen(event)),
            Clause::Data(pattern) => pattern
                .missed(content(event).as_ref(), "data")
                .unwrap_or_else(|| (self.name(), self.describe(), None)),
        };
        Err(Mismatch { clause, wanted, seen })
    }

    /// The clause's name, such as `exact.type`.
    fn name(&self) -> String {
        match self {
            Clause::Text { how, attribute, .. } => format!("{}.{attribute}", how.name()),
            Clause::All(_) => "all".to_owned(),
            Clause::Any(_) => "any".to_owned(),
            Clause::Not(inner) => format!("not.{}", inner.name()),
            Clause::Sql(_) => "sql".to_owned(),
            Clause::Data(_) => "data".to_owned(),
        }
    }

    /// The clause in words, for messages about clauses around it.
    fn describe(&self) -> String {
        let join = |clauses: &[Clause], word: &str| {
            let parts: Vec<String> = clauses.iter().map(Clause::describe).collect();
            format!("({})", parts.join(word))
        };
        match self {
            Clause::Text { wanted, .. } => format!("{} `{wanted}`", self.name()),
            Clause::All(clauses) => join(clauses, " and "),
            Clause::Any(clauses) => join(clauses, " or "),
            Clause::Not(inner) => format!("not {}", inner.describe()),
            Clause::Sql(expression) => format!("sql `{}`", expression.text()),
            Clause::Data(_) => "a pattern of data".to_owned(),
        }
    }

    /// What the event has where the clause looks, when that is one thing.
    fn seen(&self, event: &(impl Attributes + ?Sized)) -> Option<String> {
        match self {
            Clause::Text { attribute, .. } => event.attribute(attribute).map(|v| v.into_text().into_owned()),
            Clause::Not(inner) => inner.seen(event),
            Clause::Sql(expression) => {
                let (value, errors) = expression.evaluate(event);
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                Some(if errors.is_empty() { value.to_string() } else { errors.join("; ") })
            }
            Clause::All(_) | Clause::Any(_) | Clause::Data(_) => None,
        }
    }
}
