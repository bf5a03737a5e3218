//! The conformance kit, and what it does not ask.

use super::{ErrorKind, Expression};
use crate::filter::{Attributes, Value};
use crate::limit::{CESQL_BYTES_MAX, CESQL_TEXT_BYTES_MAX, FILTER_DEPTH_MAX};
use crate::random::Random;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// An event as far as expressions see it.
struct Seen(BTreeMap<String, Value<'static>>);

impl Attributes for Seen {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        self.0.get(name).cloned()
    }
}

/// `a=text; b:=1; c:=true`, beside the attributes that every event has.
fn seen(attributes: &str) -> Seen {
    let given = attributes.split(';').map(str::trim).filter(|part| !part.is_empty()).map(|part| {
        match (part.split_once(":="), part.split_once('=')) {
            (Some((name, typed)), Some((short, _))) if short.len() > name.len() => {
                (name.to_owned(), value(typed))
            }
            (_, Some((name, text))) => (name.to_owned(), Value::String(Cow::Owned(text.to_owned()))),
            _ => panic!("an attribute without a value: {part}"),
        }
    });
    let required = [("id", "1"), ("source", "/test"), ("specversion", "1.0"), ("type", "test")];
    let required = required.map(|(name, text)| (name.to_owned(), Value::String(Cow::Borrowed(text))));
    Seen(required.into_iter().chain(given).collect())
}

fn value(text: &str) -> Value<'static> {
    match (text, text.strip_prefix('"').and_then(|text| text.strip_suffix('"'))) {
        (_, Some(text)) => Value::String(Cow::Owned(text.to_owned())),
        ("true" | "false", _) => Value::Boolean(text == "true"),
        _ => Value::Integer(text.parse().unwrap()),
    }
}

/// The value and the kinds of errors, as the kit writes them.
fn answer(expression: &str, attributes: &str) -> (Value<'static>, String) {
    let expression = match Expression::parse(expression) {
        Ok(expression) => expression,
        Err(_) => return (Value::Boolean(false), ErrorKind::Parse.name().to_owned()),
    };
    let seen = seen(attributes);
    let (value, errors) = expression.evaluate(&seen);
    let value = match value {
        Value::String(text) => Value::String(Cow::Owned(text.into_owned())),
        Value::Boolean(value) => Value::Boolean(value),
        Value::Integer(value) => Value::Integer(value),
    };
    let kinds: Vec<&str> = errors.iter().map(|error| error.kind.name()).collect();
    (value, kinds.join(" "))
}

#[test]
fn the_conformance_kit() {
    let (mut file, mut count, mut wrong) = ("", 0, Vec::new());
    for line in include_str!("tck.txt").lines() {
        if let Some(name) = line.strip_prefix("== ") {
            file = name;
        }
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, expression, attributes, result, error] = parts[..] else { continue };
        if line.starts_with('#') {
            continue;
        }
        count += 1;
        let expected = (value(result), error.to_owned());
        let found = answer(expression, attributes);
        if found != expected {
            wrong.push(format!("{file}, {name}: {expression}: {found:?} instead of {expected:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(count, 272, "cases of the kit");
}

#[test]
fn what_the_kit_does_not_ask() {
    for (expression, attributes, result, error) in [
        // Precedence and direction.
        ("2 + 3 * 4 - 6 / 2 % 2", "", "13", ""),
        ("10 - 4 - 3", "", "3", ""),
        ("100 / 10 / 5 * 2", "", "4", ""),
        ("1 + 1 = 2 AND 3 > 2 + 0", "", "true", ""),
        ("TRUE OR FALSE AND FALSE", "", "false", ""),
        ("TRUE XOR TRUE OR TRUE", "", "true", ""),
        ("NOT TRUE = FALSE", "", "true", ""),
        ("NOT type LIKE 'te%'", "", "false", "cast"),
        ("NOT (type LIKE 'te%')", "", "false", ""),
        ("- 3 + 5", "", "2", ""),
        ("1 = 1 = TRUE", "", "true", ""),
        ("1 IN (1, 2) AND 'ab' LIKE 'a_' AND EXISTS id", "", "true", ""),
        ("2 * 3 IN (3) + 1", "", "3", ""),
        ("4 -1", "", "3", ""),
        ("4 - -1 + +1", "", "6", ""),
        // Integers.
        ("-2147483648", "", "-2147483648", ""),
        ("2147483647 + 1", "", "0", "math"),
        ("-2147483648 - 1", "", "0", "math"),
        ("65536 * 65536", "", "0", "math"),
        ("-2147483648 / -1", "", "0", "math"),
        ("-2147483648 % -1", "", "0", ""),
        ("--2147483648", "", "0", "math"),
        ("-7 / 2", "", "-3", ""),
        ("-7 % 2", "", "-1", ""),
        ("7 % -2", "", "1", ""),
        ("INT('2147483648')", "", "0", "cast"),
        ("INT('+7') + INT('-7')", "", "0", ""),
        ("INT(' 7')", "", "0", "cast"),
        // Errors end the evaluation; who encloses them gives its own zero value.
        ("CONCAT('a', missing)", "", "\"\"", "missingAttribute"),
        ("LENGTH(missing) + 1", "", "0", "missingAttribute"),
        ("missing NOT IN (1)", "", "false", "missingAttribute"),
        ("missing NOT LIKE '%'", "", "false", "missingAttribute"),
        ("TRUE AND missing = ''", "", "false", "missingAttribute"),
        ("TRUE OR missing", "", "true", ""),
        ("1 IN (1, missing)", "", "true", ""),
        ("1 IN (2, missing)", "", "false", "missingAttribute"),
        ("1 IN ('a')", "", "false", "cast"),
        ("LEFT('abc', -1) = 'abc'", "", "false", "functionEvaluation"),
        ("ABS(-2147483648) + 0", "", "0", "math"),
        ("NOPE(1)", "", "false", "missingFunction"),
        ("LENGTH('a', 'b')", "", "false", "missingFunction"),
        ("'a' < 1", "", "false", "cast"),
        ("data", "", "false", "missingAttribute"),
        // Types of attributes.
        ("flag AND count > 2", "flag:=true; count:=3", "true", ""),
        ("flag = 'true' AND count = '3'", "flag:=true; count:=3", "true", ""),
        ("EXISTS flag AND NOT flag", "flag:=false", "true", ""),
        ("EXISTS 1a AND 1a = 'x' AND EXISTS 12", "1a=x; 12=y", "true", ""),
        ("TYPE = 'test'", "", "true", ""),
        // Texts are characters.
        ("LENGTH('日本語é')", "", "4", ""),
        ("LEFT('日本語', 2)", "", "\"日本\"", ""),
        ("RIGHT('日本語', 1)", "", "\"語\"", ""),
        ("SUBSTRING('日本語', -2, 1)", "", "\"本\"", ""),
        ("SUBSTRING('abc', 2, -1)", "", "\"\"", "functionEvaluation"),
        ("SUBSTRING('abc', -2147483648)", "", "\"\"", "functionEvaluation"),
        ("SUBSTRING('abc', 3, 2147483647)", "", "\"c\"", ""),
        ("UPPER('straße')", "", "\"STRASSE\"", ""),
        ("TRIM('\u{2003} a\u{85} ')", "", "\"a\"", ""),
        ("'日本語' LIKE '_本%'", "", "true", ""),
        ("'a\\\\b'", "", "\"a\\\\b\"", ""),
        ("'a\\'' = \"a'\"", "", "true", ""),
        ("'\\' = 1", "", "false", "parse"),
        ("IS_INT('5') AND NOT IS_INT('x') AND IS_BOOL('TRUE') AND NOT IS_BOOL('x')", "", "true", ""),
    ] {
        assert_eq!(answer(expression, attributes), (value(result), error.to_owned()), "{expression}");
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (expression, position, message) in [
        ("", 0, "the expression is empty"),
        ("  \n", 0, "the expression is empty"),
        ("id = ", 5, "the end is where a value should be"),
        ("id == 1", 4, "`=` is where a value should be"),
        ("id = 'a", 5, "a text is not closed with '"),
        ("id = 'a''b'", 8, "`'b'` is where an operator"),
        ("id LIKE source", 8, "`source` is where a pattern in quotes should be"),
        ("id IN 'a'", 6, "`'a'` is where a list in brackets should be"),
        ("id IN ()", 7, "`)` is where a value should be"),
        ("(id = 1", 7, "the end is where an operator or `)` should be"),
        ("id NOT = 1", 3, "NOT behind a value needs LIKE or IN"),
        ("EXISTS 'a'", 7, "`'a'` is where the name of an attribute should be"),
        ("2147483648", 0, "`2147483648` is not a 32-bit integer"),
        ("-2147483649", 1, "`-2147483649` is not a 32-bit integer"),
        ("+ 1", 2, "`1` is where a number should be"),
        ("my_ext = 1", 0, "`my_ext` is not the name of an attribute"),
        ("f1(2)", 0, "`f1` is not the name of a function"),
        ("data.amount > 5", 4, "`.` is not part of CESQL; an expression sees an event's attributes"),
        ("é = 1", 0, "`é` is not part of CESQL"),
        ("id = 1 && id", 7, "`&` is not part of CESQL; write AND or OR"),
    ] {
        let error = Expression::parse(expression).unwrap_err();
        assert_eq!(error.position, position, "{expression}: {error}");
        assert!(error.message.starts_with(message), "{expression}: {error}");
    }
}

#[test]
fn nesting_and_length_are_limited_but_rows_are_not() {
    for (open, close) in [("(", ")"), ("NOT ", ""), ("-", ""), ("LENGTH(", ")"), ("1 IN (", ")")] {
        let nested = |depth: usize| format!("{}TRUE{}", open.repeat(depth), close.repeat(depth));
        assert!(Expression::parse(&nested(FILTER_DEPTH_MAX)).is_ok(), "{open}");
        for depth in [FILTER_DEPTH_MAX + 1, 1000] {
            let error = Expression::parse(&nested(depth)).unwrap_err();
            assert!(error.message.contains("nested more than"), "{open}: {error}");
        }
    }
    let row = format!("TRUE{}", " AND TRUE".repeat((CESQL_BYTES_MAX - 4) / 9));
    assert_eq!(answer(&row, ""), (Value::Boolean(true), String::new()));
    assert!(Expression::parse(&" ".repeat(CESQL_BYTES_MAX + 1)).is_err());
}

#[test]
fn joins_within_joins_make_only_so_much_text() {
    let long = format!("a={}", "x".repeat(32 << 10));
    let row = ", ''".repeat(500);
    let joined = format!("LENGTH(CONCAT_WS(CONCAT_WS(CONCAT_WS(a{row}){row}){row}))");
    assert_eq!(answer(&joined, &long), (Value::Integer(0), "functionEvaluation".to_owned()));
    // What several functions make counts together.
    let upper = |times: usize| format!("LENGTH(CONCAT({}))", vec!["UPPER(a)"; times].join(", "));
    let fits = CESQL_TEXT_BYTES_MAX / (32 << 10) / 2;
    assert_eq!(answer(&upper(fits), &long).1, "");
    assert_eq!(answer(&upper(fits * 2 + 1), &long).1, "functionEvaluation");
}

#[test]
fn no_soup_of_tokens_makes_it_panic() {
    const TOKENS: &str = "( ) , + - * / % = != <> < <= > >= AND or XOR NOT not LIKE IN EXISTS TRUE false 0 7 \
        2147483647 -2147483648 'a' \"b\" 'a%_\\%' '5' 'é' ' id source missing count LENGTH( CONCAT( CONCAT_WS( \
        SUBSTRING( LEFT( RIGHT( ABS( INT( BOOL( UPPER( NOPE( 'abc' LIKE 'a_' IN (1, id) EXISTS \u{e9} . _ \\";
    let tokens: Vec<&str> = TOKENS.split(' ').filter(|token| !token.is_empty()).collect();
    let event = seen("count:=3; flag:=true");
    let mut random = Random(1);
    let mut next = |below: usize| random.place(below);
    let mut understood = 0;
    for _ in 0..60_000 {
        let length = next(9) + 1;
        let soup: Vec<&str> = (0..length).map(|_| tokens[next(tokens.len())]).collect();
        let text = soup.join(if next(3) == 0 { "" } else { " " });
        match Expression::parse(&text) {
            Ok(expression) => {
                understood += 1;
                let (value, errors) = expression.evaluate(&event);
                let passes = errors.is_empty() && value == Value::Boolean(true);
                assert_eq!(expression.is_true(&event), passes, "{text}");
            }
            Err(error) => assert!(text.is_char_boundary(error.position), "{text}: {error:?}"),
        }
    }
    assert!(understood > 1000, "some of it can be understood: {understood}");
}
