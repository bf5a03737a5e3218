//! CESQL 1.0: the CloudEvents SQL expression language.
//!
//! **Why.** It is what the Subscriptions API has for everything that `exact`, `prefix` and `suffix`
//! cannot say, and it has a conformance kit.
//!
//! **How.** An [`Expression`] is understood once and evaluated for many events. `token` and `parse`
//! make a tree, `evaluate` walks it, `function` and `like` are its leaves. The kit's cases are data
//! in `tck.txt`.
//!
//! **Not here:** an event's data, which CESQL cannot reach, and functions of one's own.

mod evaluate;
mod function;
mod like;
mod parse;
mod token;

use super::{Attributes, Value};
use crate::limit::CESQL_BYTES_MAX;
use evaluate::{Evaluation, Failure};
use parse::{Action, Node};

/// What an expression makes of more text than it may.
const TOO_LONG: &str = "the expression makes more text than it may";

/// An expression that was understood.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Box<str>,
    root: Node,
}

/// Why an expression could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Where, in bytes from the expression's begin.
    pub position: usize,
    /// What is wrong there: one sentence without a period.
    pub message: String,
}

/// An error of an evaluation. The value that comes with it is defined all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", kind.name())]
pub struct Error {
    /// Which of the specification's kinds it is.
    pub kind: ErrorKind,
    /// Which operation failed, in bytes from the expression's begin.
    pub position: usize,
    /// What happened: one sentence without a period.
    pub message: String,
}

/// The kinds of errors (CESQL 1.0, section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The expression cannot be understood; such are [`ParseError`] here.
    Parse,
    /// A division by zero, or a result that is no 32-bit integer.
    Math,
    /// A value that is none of the type that is needed.
    Cast,
    /// The event does not have the attribute.
    MissingAttribute,
    /// There is no such function with so many arguments.
    MissingFunction,
    /// A function cannot work with these arguments.
    FunctionEvaluation,
    /// Anything else; nothing here makes it.
    Generic,
}

impl ErrorKind {
    /// The kind as the conformance kit writes it.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Parse => "parse",
            ErrorKind::Math => "math",
            ErrorKind::Cast => "cast",
            ErrorKind::MissingAttribute => "missingAttribute",
            ErrorKind::MissingFunction => "missingFunction",
            ErrorKind::FunctionEvaluation => "functionEvaluation",
            ErrorKind::Generic => "generic",
        }
    }
}

impl Expression {
    /// Understands an expression of at most [`CESQL_BYTES_MAX`] bytes, nested at most
    /// [`FILTER_DEPTH_MAX`](crate::limit::FILTER_DEPTH_MAX) deep.
    ///
    /// # Errors
    /// The first mistake and where it is.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > CESQL_BYTES_MAX {
            let message = format!("the expression has more than {CESQL_BYTES_MAX} bytes");
            return Err(ParseError { position: CESQL_BYTES_MAX, message });
        }
        Ok(Self { root: parse::parse(text)?, text: text.into() })
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The expression's value for an event, and the error that ended the evaluation, if one did (the
    /// list has at most one, since the evaluation fails fast).
    pub fn evaluate<'v, A: Attributes + ?Sized>(&'v self, event: &'v A) -> (Value<'v>, Vec<Error>) {
        match self.outcome(event) {
            Ok(value) => (value, Vec::new()),
            Err(Failure { value, kind, position, message }) => {
                (value, vec![Error { kind, position, message: message.to_string() }])
            }
        }
    }

    /// Whether an event passes: the value is the Boolean true and there was no error (section 1.2).
    pub fn is_true<A: Attributes + ?Sized>(&self, event: &A) -> bool {
        matches!(self.outcome(event), Ok(Value::Boolean(true)))
    }

    fn outcome<'v, A: Attributes + ?Sized>(&'v self, event: &'v A) -> Result<Value<'v>, Failure<'v>> {
        Evaluation::new(event).node(&self.root)
    }

    /// The first call of a function that does not exist with so many arguments, and its position.
    pub fn missing_function(&self) -> Option<(&str, usize)> {
        missing(&self.root)
    }
}

/// The function whose name is nearest to a mistyped one.
pub fn nearest_function(name: &str) -> Option<&'static str> {
    crate::near::nearest(&name.to_ascii_uppercase(), function::names())
}

fn missing(node: &Node) -> Option<(&str, usize)> {
    match node {
        Node::Call { name, function: None, position, .. } => Some((name, *position)),
        Node::Call { arguments, .. } => arguments.iter().find_map(missing),
        Node::Not { operand, .. } | Node::Negate { operand, .. } => missing(operand),
        Node::Chain { first, steps } => missing(first).or_else(|| {
            steps.iter().find_map(|step| match &step.action {
                Action::Logic(_, right) | Action::Compare(_, right) | Action::Arithmetic(_, right) => {
                    missing(right)
                }
                Action::In { set, .. } => set.iter().find_map(missing),
                Action::Like { .. } => None,
            })
        }),
        Node::Boolean(_) | Node::Integer(_) | Node::Text(_) | Node::Attribute { .. } | Node::Exists(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests;
