//! The built-in functions of CESQL, and the casts between its types.
//!
//! **How.** One line of [`FUNCTIONS`] says a function's parameters and result; its work is one pure
//! function. Names are known in any case. Two functions may share a name when they differ in the
//! number of arguments (CESQL 1.0, section 3.5).
//!
//! `INT`, `BOOL` and `STRING` are the casts in words, which the conformance kit uses; `IS_INT` and
//! `IS_BOOL` come from its drafts and are kept, since the official SDKs have them.

use super::ErrorKind;
use crate::filter::Value;
use std::borrow::Cow;

/// A type of CESQL (section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Boolean,
    Integer,
    String,
}

/// What failed and what is returned all the same (section 3.5.3).
pub(super) struct Failed<'v> {
    pub(super) kind: ErrorKind,
    pub(super) value: Value<'v>,
    pub(super) message: &'static str,
}

/// Arguments are cast already; the number is the bytes of text that may still be made.
type Work = for<'v> fn(&[Value<'v>], usize) -> Result<Value<'v>, Failed<'v>>;

/// One built-in function.
pub(super) struct Function {
    pub(super) name: &'static str,
    /// Types of the first arguments; `None` takes any.
    parameters: &'static [Option<Type>],
    /// Any number of Strings may follow.
    variadic: bool,
    pub(super) result: Type,
    pub(super) work: Work,
}

const BOOLEAN: Option<Type> = Some(Type::Boolean);
const INTEGER: Option<Type> = Some(Type::Integer);
const STRING: Option<Type> = Some(Type::String);

const fn fixed(
    name: &'static str,
    parameters: &'static [Option<Type>],
    result: Type,
    work: Work,
) -> Function {
    Function { name, parameters, variadic: false, result, work }
}

static FUNCTIONS: [Function; 16] = [
    fixed("LENGTH", &[STRING], Type::Integer, |a, _| {
        Ok(Value::Integer(count(&text(a, 0)).try_into().unwrap_or(i32::MAX)))
    }),
    Function { name: "CONCAT", parameters: &[], variadic: true, result: Type::String, work: concat },
    Function {
        name: "CONCAT_WS",
        parameters: &[STRING],
        variadic: true,
        result: Type::String,
        work: concat_ws,
    },
    fixed("LOWER", &[STRING], Type::String, |a, _| Ok(string(text(a, 0).to_lowercase()))),
    fixed("UPPER", &[STRING], Type::String, |a, _| Ok(string(text(a, 0).to_uppercase()))),
    fixed("TRIM", &[STRING], Type::String, |a, _| {
        Ok(slice(&a[0], |text| (text.len() - text.trim_start().len(), text.trim_end().len())))
    }),
    fixed("LEFT", &[STRING, INTEGER], Type::String, left),
    fixed("RIGHT", &[STRING, INTEGER], Type::String, right),
    fixed("SUBSTRING", &[STRING, INTEGER], Type::String, substring),
    fixed("SUBSTRING", &[STRING, INTEGER, INTEGER], Type::String, substring),
    fixed("ABS", &[INTEGER], Type::Integer, abs),
    fixed("INT", &[INTEGER], Type::Integer, |a, _| Ok(a[0].clone())),
    fixed("BOOL", &[BOOLEAN], Type::Boolean, |a, _| Ok(a[0].clone())),
    fixed("STRING", &[STRING], Type::String, |a, _| Ok(a[0].clone())),
    fixed("IS_INT", &[None], Type::Boolean, |a, _| {
        Ok(Value::Boolean(cast(a[0].clone(), Type::Integer).is_ok()))
    }),
    fixed("IS_BOOL", &[None], Type::Boolean, |a, _| {
        Ok(Value::Boolean(cast(a[0].clone(), Type::Boolean).is_ok()))
    }),
];

/// The function with that name in any case that takes so many arguments.
pub(super) fn find(name: &str, arguments: usize) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| {
        let fits = if function.variadic {
            arguments >= function.parameters.len()
        } else {
            arguments == function.parameters.len()
        };
        fits && name.eq_ignore_ascii_case(function.name)
    })
}

/// The names of all functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

impl Function {
    /// The type to which argument `at` is cast; `None`: it is taken as it is.
    pub(super) fn parameter(&self, at: usize) -> Option<Type> {
        self.parameters.get(at).copied().unwrap_or(STRING)
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Type {
    /// The value that stands in where an error leaves none (section 3.1).
    pub(super) fn zero(self) -> Value<'static> {
        match self {
            Type::Boolean => Value::Boolean(false),
            Type::Integer => Value::Integer(0),
            Type::String => Value::String(Cow::Borrowed("")),
        }
    }

    pub(super) fn of(value: &Value<'_>) -> Type {
        match value {
            Value::Boolean(_) => Type::Boolean,
            Value::Integer(_) => Type::Integer,
            Value::String(_) => Type::String,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Type::Boolean => "Boolean",
            Type::Integer => "Integer",
            Type::String => "String",
        }
    }
}

/// Casts a value (section 3.7), or gives it back when there is no such cast.
pub(super) fn cast(value: Value<'_>, to: Type) -> Result<Value<'_>, Value<'_>> {
    match (value, to) {
        (value, Type::String) => Ok(Value::String(value.into_text())),
        (Value::Integer(value), Type::Boolean) => Ok(Value::Boolean(value != 0)),
        (Value::Boolean(value), Type::Integer) => Ok(Value::Integer(i32::from(value))),
        (Value::String(value), Type::Integer) => match value.parse() {
            Ok(number) => Ok(Value::Integer(number)),
            Err(_) => Err(Value::String(value)),
        },
        (Value::String(value), Type::Boolean) => {
            let found = [true, false]
                .into_iter()
                .find(|b| value.eq_ignore_ascii_case(if *b { "true" } else { "false" }));
            found.map(Value::Boolean).ok_or(Value::String(value))
        }
        (value, _) => Ok(value),
    }
}

/// Argument `at`, which is a String by its parameter.
fn text<'a>(arguments: &'a [Value<'_>], at: usize) -> Cow<'a, str> {
    arguments[at].text()
}

/// Argument `at`, which is an Integer by its parameter.
fn integer(arguments: &[Value<'_>], at: usize) -> i32 {
    match arguments[at] {
        Value::Integer(value) => value,
        _ => 0,
    }
}

fn string<'v>(text: String) -> Value<'v> {
    Value::String(Cow::Owned(text))
}

/// CESQL counts characters.
fn count(text: &str) -> usize {
    text.chars().count()
}

/// Byte position of character `at`, or the end.
fn byte(text: &str, at: usize) -> usize {
    text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte)
}

/// A part of a String; borrowed text stays borrowed. An end before the begin means nothing is left.
fn slice<'v>(value: &Value<'v>, bounds: impl Fn(&str) -> (usize, usize)) -> Value<'v> {
    match value {
        Value::String(Cow::Borrowed(text)) => {
            let (from, to) = bounds(text);
            Value::String(Cow::Borrowed(text.get(from..to).unwrap_or_default()))
        }
        other => {
            let text = other.text();
            let (from, to) = bounds(&text);
            string(text.get(from..to).unwrap_or_default().to_owned())
        }
    }
}

fn failed<'v>(value: Value<'v>, message: &'static str) -> Failed<'v> {
    Failed { kind: ErrorKind::FunctionEvaluation, value, message }
}

fn join<'v>(separator: &str, parts: &[Value<'v>], most: usize) -> Result<Value<'v>, Failed<'v>> {
    let parts: Vec<Cow<'_, str>> = parts.iter().map(Value::text).collect();
    // Measured before it is made: joins within joins would otherwise grow without bound.
    let separators = separator.len().saturating_mul(parts.len().saturating_sub(1));
    if parts.iter().fold(separators, |sum, part| sum.saturating_add(part.len())) > most {
        return Err(failed(Type::String.zero(), super::TOO_LONG));
    }
    Ok(string(parts.join(separator)))
}

fn concat<'v>(arguments: &[Value<'v>], most: usize) -> Result<Value<'v>, Failed<'v>> {
    join("", arguments, most)
}

fn concat_ws<'v>(arguments: &[Value<'v>], most: usize) -> Result<Value<'v>, Failed<'v>> {
    join(&text(arguments, 0), &arguments[1..], most)
}

fn left<'v>(arguments: &[Value<'v>], _: usize) -> Result<Value<'v>, Failed<'v>> {
    match usize::try_from(integer(arguments, 1)) {
        Ok(wanted) => Ok(slice(&arguments[0], |text| (0, byte(text, wanted)))),
        Err(_) => Err(failed(arguments[0].clone(), "the number of characters is negative")),
    }
}

fn right<'v>(arguments: &[Value<'v>], _: usize) -> Result<Value<'v>, Failed<'v>> {
    match usize::try_from(integer(arguments, 1)) {
        Ok(wanted) => {
            Ok(slice(&arguments[0], |text| (byte(text, count(text).saturating_sub(wanted)), text.len())))
        }
        Err(_) => Err(failed(arguments[0].clone(), "the number of characters is negative")),
    }
}

/// `SUBSTRING` with and without a length (section 3.5.1).
fn substring<'v>(arguments: &[Value<'v>], _: usize) -> Result<Value<'v>, Failed<'v>> {
    let (position, characters) = (integer(arguments, 1), count(&text(arguments, 0)));
    let wanted =
        if arguments.len() == 3 { usize::try_from(integer(arguments, 2)).ok() } else { Some(usize::MAX) };
    let Some(wanted) = wanted else {
        return Err(failed(Type::String.zero(), "the length is negative"));
    };
    let distance = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    if distance > characters {
        return Err(failed(Type::String.zero(), "the position is outside of the text"));
    }
    let from = match position {
        0 => return Ok(Type::String.zero()),
        1.. => distance - 1,
        _ => characters - distance,
    };
    Ok(slice(&arguments[0], |text| (byte(text, from), byte(text, from.saturating_add(wanted)))))
}

fn abs<'v>(arguments: &[Value<'v>], _: usize) -> Result<Value<'v>, Failed<'v>> {
    integer(arguments, 0).checked_abs().map(Value::Integer).ok_or(Failed {
        kind: ErrorKind::Math,
        value: Value::Integer(i32::MAX),
        message: "the absolute value is no 32-bit integer",
    })
}
