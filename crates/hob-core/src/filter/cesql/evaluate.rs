//! What an expression is for one event.
//!
//! **How.** The first error ends the evaluation ("fail fast", CESQL 1.0, section 4.1, which section
//! 1.2 asks filters to do): whatever encloses the failed operation returns the zero value of its own
//! type, the failed operation itself the value that its definition gives. Text is borrowed from the
//! event and the expression where it can be.
//!
//! **Why fail fast.** The conformance kit expects it: `true AND (1 != 1 / 0)` is `false`.
//!
//! **Invariants.** It never panics, and the text that it makes is limited, since joins within joins
//! multiply.

use super::function::{Type, cast};
use super::parse::{Action, Arithmetic, Comparison, Logic, Node, Step};
use super::{ErrorKind, TOO_LONG};
use crate::filter::{Attributes, Value};
use crate::limit::CESQL_TEXT_BYTES_MAX;
use std::borrow::Cow;
use std::cell::Cell;

/// An error, and what is returned all the same.
pub(super) struct Failure<'v> {
    pub(super) value: Value<'v>,
    pub(super) kind: ErrorKind,
    pub(super) position: usize,
    pub(super) message: Message<'v>,
}

/// Put into words only when somebody asks: a missing attribute is an everyday matter.
pub(super) enum Message<'v> {
    Text(&'static str),
    Missing(&'v str),
    Function(&'v str, usize),
    Cast(Value<'v>, Type),
}

type Outcome<'v> = Result<Value<'v>, Failure<'v>>;

impl Failure<'_> {
    /// The same error of an enclosing operation with that type.
    fn of(mut self, result: Type) -> Self {
        self.value = result.zero();
        self
    }
}

impl std::fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Message::Text(text) => f.write_str(text),
            Message::Missing(name) => write!(f, "the event has no attribute `{name}`"),
            Message::Function(name, arguments) => {
                write!(f, "there is no function `{name}` with {arguments} arguments")
            }
            Message::Cast(value, to) => {
                // Attributes can be long; the begin is enough to recognise one.
                let text: String = value.text().chars().take(64).collect();
                write!(f, "`{text}` is not a value of type {}", to.name())
            }
        }
    }
}

/// One evaluation.
pub(super) struct Evaluation<'v, A: ?Sized> {
    event: &'v A,
    /// Bytes of text that may still be made.
    text_left: Cell<usize>,
}

impl<'v, A: Attributes + ?Sized> Evaluation<'v, A> {
    pub(super) fn new(event: &'v A) -> Self {
        Self { event, text_left: Cell::new(CESQL_TEXT_BYTES_MAX) }
    }

    pub(super) fn node(&self, node: &'v Node) -> Outcome<'v> {
        match node {
            Node::Boolean(value) => Ok(Value::Boolean(*value)),
            Node::Integer(value) => Ok(Value::Integer(*value)),
            Node::Text(text) => Ok(Value::String(Cow::Borrowed(text))),
            Node::Attribute { name, position } => self.event.attribute(name).ok_or(Failure {
                // The type of an attribute that is not there is not known (section 3.2).
                value: Value::Boolean(false),
                kind: ErrorKind::MissingAttribute,
                position: *position,
                message: Message::Missing(name),
            }),
            Node::Exists(name) => Ok(Value::Boolean(self.event.attribute(name).is_some())),
            Node::Not { operand, position } => {
                self.boolean(operand, *position).map(|value| Value::Boolean(!value))
            }
            Node::Negate { operand, position } => {
                let value = self.integer(operand, *position).map_err(|failure| failure.of(Type::Integer))?;
                value.checked_neg().map(Value::Integer).ok_or_else(|| overflow(*position))
            }
            Node::Call { .. } => self.call(node),
            Node::Chain { first, steps } => self.chain(first, steps),
        }
    }

    fn call(&self, node: &'v Node) -> Outcome<'v> {
        let Node::Call { name, function, arguments, position } = node else {
            return Ok(Type::Boolean.zero());
        };
        let Some(function) = function else {
            return Err(Failure {
                value: Value::Boolean(false),
                kind: ErrorKind::MissingFunction,
                position: *position,
                message: Message::Function(name, arguments.len()),
            });
        };
        let mut values = Vec::with_capacity(arguments.len());
        for (at, argument) in arguments.iter().enumerate() {
            let value = self.node(argument).and_then(|value| match function.parameter(at) {
                Some(wanted) => to(value, wanted, *position),
                None => Ok(value),
            });
            values.push(value.map_err(|failure| failure.of(function.result))?);
        }
        let value = (function.work)(&values, self.text_left.get()).map_err(|failed| Failure {
            value: failed.value,
            kind: failed.kind,
            position: *position,
            message: Message::Text(failed.message),
        })?;
        if let Value::String(Cow::Owned(text)) = &value {
            let Some(left) = self.text_left.get().checked_sub(text.len()) else {
                return Err(Failure {
                    value: function.result.zero(),
                    kind: ErrorKind::FunctionEvaluation,
                    position: *position,
                    message: Message::Text(TOO_LONG),
                });
            };
            self.text_left.set(left);
        }
        Ok(value)
    }

    /// Step for step from the left; after an error only the last step's type matters.
    fn chain(&self, first: &'v Node, steps: &'v [Step]) -> Outcome<'v> {
        let result = steps.last().map_or(Type::Boolean, |step| match step.action {
            Action::Arithmetic(..) => Type::Integer,
            _ => Type::Boolean,
        });
        let mut value = self.node(first).map_err(|failure| failure.of(result))?;
        for step in steps {
            value = self.step(value, step).map_err(|failure| failure.of(result))?;
        }
        Ok(value)
    }

    fn step(&self, left: Value<'v>, step: &'v Step) -> Outcome<'v> {
        let position = step.position;
        match &step.action {
            Action::Logic(logic, right) => {
                let left = truth(left, position)?;
                match (logic, left) {
                    (Logic::And, false) => Ok(Value::Boolean(false)),
                    (Logic::Or, true) => Ok(Value::Boolean(true)),
                    (Logic::And | Logic::Or, _) => self.boolean(right, position).map(Value::Boolean),
                    (Logic::Xor, left) => Ok(Value::Boolean(left != self.boolean(right, position)?)),
                }
            }
            Action::Compare(how @ (Comparison::Equal | Comparison::NotEqual), right) => {
                let right = self.node(right)?;
                // The right operand decides which `=` it is (section 3.7).
                let left = to(left, Type::of(&right), position)?;
                Ok(Value::Boolean((left == right) == matches!(how, Comparison::Equal)))
            }
            Action::Compare(how, right) => {
                let (left, right) = (number(left, position)?, self.integer(right, position)?);
                Ok(Value::Boolean(match how {
                    Comparison::Less => left < right,
                    Comparison::LessOrEqual => left <= right,
                    Comparison::Greater => left > right,
                    Comparison::GreaterOrEqual => left >= right,
                    Comparison::Equal | Comparison::NotEqual => return Ok(Value::Boolean(false)),
                }))
            }
            Action::Arithmetic(how, right) => {
                let (left, right) = (number(left, position)?, self.integer(right, position)?);
                arithmetic(*how, left, right, position)
            }
            Action::In { negated, set } => {
                let wanted = Type::of(&left);
                for element in set {
                    if to(self.node(element)?, wanted, position)? == left {
                        return Ok(Value::Boolean(!negated));
                    }
                }
                Ok(Value::Boolean(*negated))
            }
            Action::Like { negated, pattern } => {
                Ok(Value::Boolean(pattern.matches(&left.text()) != *negated))
            }
        }
    }

    fn boolean(&self, node: &'v Node, position: usize) -> Result<bool, Failure<'v>> {
        self.node(node).and_then(|value| truth(value, position)).map_err(|failure| failure.of(Type::Boolean))
    }

    fn integer(&self, node: &'v Node, position: usize) -> Result<i32, Failure<'v>> {
        self.node(node).and_then(|value| number(value, position))
    }
}

fn arithmetic<'v>(how: Arithmetic, left: i32, right: i32, position: usize) -> Outcome<'v> {
    let value = match how {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide | Arithmetic::Remainder if right == 0 => {
            return Err(math(position, "the division is by zero"));
        }
        Arithmetic::Divide => left.checked_div(right),
        // Only the quotient of the least integer and -1 is too large; the remainder is 0.
        Arithmetic::Remainder => Some(left.wrapping_rem(right)),
    };
    value.map(Value::Integer).ok_or_else(|| overflow(position))
}

fn overflow<'v>(position: usize) -> Failure<'v> {
    math(position, "the result is not a 32-bit integer")
}

fn math<'v>(position: usize, message: &'static str) -> Failure<'v> {
    Failure { value: Value::Integer(0), kind: ErrorKind::Math, position, message: Message::Text(message) }
}

fn to(value: Value<'_>, wanted: Type, position: usize) -> Outcome<'_> {
    cast(value, wanted).map_err(|value| Failure {
        value: wanted.zero(),
        kind: ErrorKind::Cast,
        position,
        message: Message::Cast(value, wanted),
    })
}

fn truth(value: Value<'_>, position: usize) -> Result<bool, Failure<'_>> {
    Ok(to(value, Type::Boolean, position)? == Value::Boolean(true))
}

fn number(value: Value<'_>, position: usize) -> Result<i32, Failure<'_>> {
    match to(value, Type::Integer, position)? {
        Value::Integer(number) => Ok(number),
        _ => Ok(0),
    }
}
