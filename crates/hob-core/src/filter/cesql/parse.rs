//! From tokens to a tree: a Pratt parser for CESQL.
//!
//! **How.** [`Parser::chain`] reads an operand and then every operator that binds at least so tightly,
//! left to right (CESQL 1.0, section 3.6). Operators in a row become the steps of one flat
//! [`Node::Chain`], so that thousands of `AND` are no deep tree; only brackets, calls and prefixes
//! nest, and those are limited.
//!
//! Two things surprise and are the specification's: `NOT` and `-` before a value bind more tightly than
//! anything behind it (`NOT a = b` is `(NOT a) = b`), and `AND`, `OR` and `XOR` bind equally
//! (`a OR b AND c` is `(a OR b) AND c`).
//!
//! One thing is more lenient: an attribute's name may be written in upper case, as the conformance kit
//! does. Names of attributes are always lower case, so it is clear which is meant.

use super::ParseError;
use super::function::{self, Function};
use super::like::Pattern;
use super::token::{Keyword, Kind, Sign, Token, tokens};
use crate::limit::FILTER_DEPTH_MAX;

/// A part of an expression. Positions are bytes from the expression's begin.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Boolean(bool),
    Integer(i32),
    Text(Box<str>),
    Attribute { name: Box<str>, position: usize },
    Exists(Box<str>),
    Not { operand: Box<Node>, position: usize },
    Negate { operand: Box<Node>, position: usize },
    Call { name: Box<str>, function: Option<&'static Function>, arguments: Vec<Node>, position: usize },
    Chain { first: Box<Node>, steps: Vec<Step> },
}

/// An operator and what is to its right; to its left is all that comes before it in the chain.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) position: usize,
    pub(super) action: Action,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Logic(Logic, Node),
    Compare(Comparison, Node),
    Arithmetic(Arithmetic, Node),
    In { negated: bool, set: Vec<Node> },
    Like { negated: bool, pattern: Pattern },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Logic {
    And,
    Or,
    Xor,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// An operator between or behind values.
#[derive(Clone, Copy)]
enum Operator {
    Logic(Logic),
    Compare(Comparison),
    Arithmetic(Arithmetic),
    In,
    Like,
}

impl Operator {
    fn of(kind: &Kind<'_>) -> Option<Self> {
        Some(match kind {
            Kind::Keyword(Keyword::And) => Operator::Logic(Logic::And),
            Kind::Keyword(Keyword::Or) => Operator::Logic(Logic::Or),
            Kind::Keyword(Keyword::Xor) => Operator::Logic(Logic::Xor),
            Kind::Keyword(Keyword::In) => Operator::In,
            Kind::Keyword(Keyword::Like) => Operator::Like,
            Kind::Sign(Sign::Equal) => Operator::Compare(Comparison::Equal),
            Kind::Sign(Sign::NotEqual) => Operator::Compare(Comparison::NotEqual),
            Kind::Sign(Sign::Less) => Operator::Compare(Comparison::Less),
            Kind::Sign(Sign::LessOrEqual) => Operator::Compare(Comparison::LessOrEqual),
            Kind::Sign(Sign::Greater) => Operator::Compare(Comparison::Greater),
            Kind::Sign(Sign::GreaterOrEqual) => Operator::Compare(Comparison::GreaterOrEqual),
            Kind::Sign(Sign::Plus) => Operator::Arithmetic(Arithmetic::Add),
            Kind::Sign(Sign::Minus) => Operator::Arithmetic(Arithmetic::Subtract),
            Kind::Sign(Sign::Star) => Operator::Arithmetic(Arithmetic::Multiply),
            Kind::Sign(Sign::Slash) => Operator::Arithmetic(Arithmetic::Divide),
            Kind::Sign(Sign::Percent) => Operator::Arithmetic(Arithmetic::Remainder),
            _ => return None,
        })
    }

    /// How tightly it binds (section 3.6).
    fn binding(self) -> u8 {
        match self {
            Operator::Logic(_) => 1,
            Operator::Compare(_) => 2,
            Operator::Arithmetic(Arithmetic::Add | Arithmetic::Subtract) => 3,
            Operator::Arithmetic(_) => 4,
            Operator::In => 5,
            Operator::Like => 6,
        }
    }
}

/// Reads a whole expression.
pub(super) fn parse(text: &str) -> Result<Node, ParseError> {
    let mut parser = Parser { tokens: tokens(text)?, text, at: 0, depth: 0 };
    if parser.peek().kind == Kind::End {
        return Err(ParseError { position: 0, message: "the expression is empty".to_owned() });
    }
    let node = parser.chain(1)?;
    match parser.peek().kind {
        Kind::End => Ok(node),
        Kind::Text(_) => {
            Err(parser
                .unexpected("an operator (a quote within a text is written with a backslash before it)"))
        }
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Never empty: [`Kind::End`] is the last and is never passed.
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &Token<'a> {
        &self.tokens[self.at]
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn take(&mut self, kind: &Kind<'_>) -> bool {
        let found = self.peek().kind == *kind;
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, sign: Sign, wanted: &str) -> Result<(), ParseError> {
        if self.take(&Kind::Sign(sign)) { Ok(()) } else { Err(self.unexpected(wanted)) }
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        let token = self.peek();
        let found = match token.kind {
            Kind::End => "the end".to_owned(),
            _ => format!("`{}`", &self.text[token.start..token.end]),
        };
        ParseError { position: token.start, message: format!("{found} is where {wanted} should be") }
    }

    /// An operand and the operators behind it that bind at least so tightly.
    fn chain(&mut self, least: u8) -> Result<Node, ParseError> {
        let first = self.operand()?;
        let mut steps = Vec::new();
        while let Some((operator, negated)) = self.operator()? {
            if operator.binding() < least {
                break;
            }
            let position = self.peek().start;
            self.at += 1 + usize::from(negated);
            let action = match operator {
                Operator::Logic(logic) => Action::Logic(logic, self.chain(operator.binding() + 1)?),
                Operator::Compare(how) => Action::Compare(how, self.chain(operator.binding() + 1)?),
                Operator::Arithmetic(how) => Action::Arithmetic(how, self.chain(operator.binding() + 1)?),
                Operator::In => {
                    self.expect(Sign::Open, "a list in brackets")?;
                    Action::In { negated, set: self.list()? }
                }
                Operator::Like => Action::Like { negated, pattern: self.pattern()? },
            };
            steps.push(Step { position, action });
        }
        Ok(if steps.is_empty() { first } else { Node::Chain { first: Box::new(first), steps } })
    }

    /// The operator that comes next and whether NOT is before it; it is not passed yet.
    fn operator(&self) -> Result<Option<(Operator, bool)>, ParseError> {
        let token = self.peek();
        if token.kind != Kind::Keyword(Keyword::Not) {
            return Ok(Operator::of(&token.kind).map(|operator| (operator, false)));
        }
        match self.tokens.get(self.at + 1).and_then(|token| Operator::of(&token.kind)) {
            Some(operator @ (Operator::In | Operator::Like)) => Ok(Some((operator, true))),
            _ => Err(ParseError {
                position: token.start,
                message: "NOT behind a value needs LIKE or IN behind it".to_owned(),
            }),
        }
    }

    fn pattern(&mut self) -> Result<Pattern, ParseError> {
        let Kind::Text(pattern) = &self.peek().kind else {
            return Err(self.unexpected("a pattern in quotes"));
        };
        let pattern = Pattern::new(pattern);
        self.next();
        Ok(pattern)
    }

    /// What is inside of brackets nests.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth == FILTER_DEPTH_MAX {
            let message = format!("the expression is nested more than {FILTER_DEPTH_MAX} deep");
            return Err(ParseError { position: self.peek().start, message });
        }
        self.depth += 1;
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    /// At least one expression, up to the closing bracket.
    fn list(&mut self) -> Result<Vec<Node>, ParseError> {
        self.nested(|parser| {
            let mut list = vec![parser.chain(1)?];
            while parser.take(&Kind::Sign(Sign::Comma)) {
                list.push(parser.chain(1)?);
            }
            parser.expect(Sign::Close, "`,` or `)`")?;
            Ok(list)
        })
    }

    fn operand(&mut self) -> Result<Node, ParseError> {
        let position = self.peek().start;
        match self.peek().kind.clone() {
            Kind::Keyword(Keyword::True) => self.passed(Node::Boolean(true)),
            Kind::Keyword(Keyword::False) => self.passed(Node::Boolean(false)),
            Kind::Text(text) => self.passed(Node::Text(text.into())),
            Kind::Digits(digits) => self.integer("", digits),
            Kind::Keyword(Keyword::Not) => {
                self.next();
                let operand = Box::new(self.nested(Self::operand)?);
                Ok(Node::Not { operand, position })
            }
            Kind::Keyword(Keyword::Exists) => {
                self.next();
                match self.peek().kind {
                    Kind::Name(name) => self.attribute(name).map(Node::Exists),
                    Kind::Digits(name) => self.passed(Node::Exists(name.into())),
                    _ => Err(self.unexpected("the name of an attribute")),
                }
            }
            Kind::Sign(sign @ (Sign::Minus | Sign::Plus)) => self.signed(sign),
            Kind::Sign(Sign::Open) => {
                self.next();
                self.nested(|parser| {
                    let inner = parser.chain(1)?;
                    parser.expect(Sign::Close, "an operator or `)`")?;
                    Ok(inner)
                })
            }
            Kind::Name(name) if self.tokens[self.at + 1].kind == Kind::Sign(Sign::Open) => self.call(name),
            Kind::Name(name) => self.attribute(name).map(|name| Node::Attribute { name, position }),
            Kind::Keyword(_) | Kind::Sign(_) | Kind::End => Err(self.unexpected("a value")),
        }
    }

    fn passed(&mut self, node: Node) -> Result<Node, ParseError> {
        self.next();
        Ok(node)
    }

    /// A number with its sign, or `-` before another value. The sign belongs to the number, since the
    /// least integer has no positive counterpart.
    fn signed(&mut self, sign: Sign) -> Result<Node, ParseError> {
        let token = self.next();
        match (sign, self.peek().kind.clone()) {
            (Sign::Minus, Kind::Digits(digits)) => self.integer("-", digits),
            (Sign::Plus, Kind::Digits(digits)) if self.peek().start == token.end => self.integer("", digits),
            (Sign::Minus, _) => {
                let operand = Box::new(self.nested(Self::operand)?);
                Ok(Node::Negate { operand, position: token.start })
            }
            _ => Err(self.unexpected("a number")),
        }
    }

    fn integer(&mut self, sign: &str, digits: &str) -> Result<Node, ParseError> {
        let position = self.next().start;
        let number = format!("{sign}{digits}");
        number
            .parse()
            .map(Node::Integer)
            .map_err(|_| ParseError { position, message: format!("`{number}` is not a 32-bit integer") })
    }

    fn attribute(&mut self, name: &str) -> Result<Box<str>, ParseError> {
        let position = self.next().start;
        if name.contains('_') {
            let message =
                format!("`{name}` is not the name of an attribute: those have only letters and digits");
            return Err(ParseError { position, message });
        }
        Ok(name.to_ascii_lowercase().into())
    }

    /// A function that is not known is an error of the evaluation (section 3.5), not of the syntax.
    fn call(&mut self, name: &str) -> Result<Node, ParseError> {
        let position = self.next().start;
        if name.bytes().any(|byte| byte.is_ascii_digit()) || name.starts_with('_') {
            let message = format!("`{name}` is not the name of a function: those have only letters and `_`");
            return Err(ParseError { position, message });
        }
        self.next();
        let arguments = if self.take(&Kind::Sign(Sign::Close)) { Vec::new() } else { self.list()? };
        let function = function::find(name, arguments.len());
        Ok(Node::Call { name: name.into(), function, arguments, position })
    }
}
