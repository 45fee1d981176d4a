//! The grammar of filters and of PATCH paths, resolved against the schema as it is read.

use serde_json::Value;
use winnow::ascii::{Caseless, space0, space1};
use winnow::combinator::{alt, eof, opt, peek};
use winnow::error::ParserError;
use winnow::stream::{LocatingSlice, Location, Stateful, Stream};
use winnow::token::{literal, one_of, take_while};
use winnow::{Parser, Result};

use super::{Filter, Literal, MAX_BYTES, MAX_DEPTH, MAX_TERMS, Operator};
use crate::attribute::{AttrRef, Resolved, resolve};
use crate::canonical::boolean;
use crate::error::{Error, ErrorKind, quote};
use crate::schema::Kind;
use crate::value;

/// The type of the resources that a filter selects from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    User,
    Group,
}

/// Parses a whole filter.
pub(super) fn filter(text: &str, of: Of) -> Result<Filter, Error> {
    if text.trim_ascii().is_empty() {
        return Err(Error::filter(
            "the filter is empty; leave it out to select everything",
        ));
    }
    check_text(text, "filter").map_err(Error::filter)?;
    let mut input = input(text, of);
    let filter = expression(&mut input).map_err(|fault| fault.0)?;
    space0::<_, Fault>(&mut input).map_err(|fault| fault.0)?;
    if !input.input.is_empty() {
        return Err(malformed(&input, "write and or or there, or end the filter").0);
    }
    Ok(filter)
}

/// A PATCH path in its parts: a name, the filter in brackets, the name after them.
pub(crate) struct PathParts<'t> {
    pub(crate) target: Resolved<'t>,
    pub(crate) filter: Option<Filter>,
}

/// Parses a whole PATCH path (RFC 7644, figure 7).
pub(crate) fn path(text: &str) -> Result<PathParts<'_>, Error> {
    check_text(text, "path").map_err(Error::path)?;
    let mut input = input(text, Of::User);
    let unreadable = || malformed_path(text);
    let token = name(&mut input).map_err(|_| unreadable())?;
    let mut target =
        resolve(token).ok_or_else(|| unknown(ErrorKind::InvalidPath, token, Of::User))?;
    if input.input.is_empty() {
        let filter = None;
        return Ok(PathParts { target, filter });
    }
    open(&mut input).map_err(|_| unreadable())?;
    let Resolved::Attribute(attribute) = target else {
        return Err(unreadable());
    };
    if !takes_value_path(&attribute) {
        return Err(Error::path(format!(
            "{attribute} has no elements with sub-attributes; remove the brackets"
        )));
    }
    let filter = element_filter(&mut input, attribute);
    if input.input.is_empty() {
        return Err(Error::path(format!(
            "the path {} lacks its closing bracket; write ] after the filter",
            quote(text)
        )));
    }
    let filter = filter.map_err(|fault| fault.0)?;
    close(&mut input).map_err(|fault| fault.0)?;
    if !input.input.is_empty() {
        let sub = sub_name(&mut input).map_err(|_| unreadable())?;
        if !input.input.is_empty() {
            return Err(unreadable());
        }
        let sub = attribute.attribute.sub(sub).ok_or_else(|| {
            unknown(
                ErrorKind::InvalidPath,
                &format!("{attribute}.{sub}"),
                Of::User,
            )
        })?;
        target = Resolved::Attribute(attribute.with_sub(sub));
    }
    let filter = Some(filter);
    Ok(PathParts { target, filter })
}

type Input<'t> = Stateful<LocatingSlice<&'t str>, State<'t>>;

/// What has been read so far.
#[derive(Debug)]
struct State<'t> {
    text: &'t str,
    of: Of,
    /// The attribute whose brackets are open.
    element: Option<AttrRef>,
    depth: usize,
    terms: usize,
}

/// Why reading stopped. Where something else might still follow, `opt` takes it back.
#[derive(Debug)]
struct Fault(Error);

impl<'t> ParserError<Input<'t>> for Fault {
    type Inner = Self;

    fn from_input(input: &Input<'t>) -> Self {
        malformed(input, "write it like userName eq \"alice@example.com\"")
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

fn input(text: &str, of: Of) -> Input<'_> {
    Stateful {
        input: LocatingSlice::new(text),
        state: State {
            text,
            of,
            element: None,
            depth: 0,
            terms: 0,
        },
    }
}

fn check_text(text: &str, what: &str) -> Result<(), String> {
    if text.len() > MAX_BYTES {
        return Err(format!(
            "the {what} is longer than {MAX_BYTES} bytes; shorten it"
        ));
    }
    if text.contains('\0') {
        return Err(format!("the {what} has U+0000 in it; remove it"));
    }
    Ok(())
}

/// The error of a PATCH path that has none of the forms of RFC 7644, figure 7.
pub(crate) fn malformed_path(text: &str) -> Error {
    Error::path(format!(
        "the path {} is malformed; write it like title, name.givenName or \
         emails[type eq \"work\"].value",
        quote(text)
    ))
}

/// An error at the present position, counted in characters from 1, with what to do there.
fn malformed(input: &Input<'_>, fix: &str) -> Fault {
    let before = input.state.text.get(..input.current_token_start());
    let position = before.map_or(0, |before| before.chars().count()) + 1;
    Fault(Error::filter(format!(
        "the filter is malformed at character {position}; {fix}"
    )))
}

fn unknown(kind: ErrorKind, name: &str, of: Of) -> Error {
    let name = quote(name);
    Error::new(
        kind,
        match of {
            Of::User => {
                format!("{name} is no attribute of a user; use a name that /Schemas lists")
            }
            Of::Group => {
                format!("{name} is no attribute of a group; use another, such as displayName")
            }
        },
    )
}

fn expression(input: &mut Input<'_>) -> Result<Filter, Fault> {
    let mut any = vec![conjunction(input)?];
    while word(input, "or") {
        any.push(conjunction(input)?);
    }
    Ok(one_or(any, Filter::Or))
}

fn conjunction(input: &mut Input<'_>) -> Result<Filter, Fault> {
    let mut all = vec![factor(input)?];
    while word(input, "and") {
        all.push(factor(input)?);
    }
    Ok(one_or(all, Filter::And))
}

fn one_or(mut filters: Vec<Filter>, many: impl Fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        Some(last) => {
            filters.push(last);
            many(filters)
        }
        None => many(filters),
    }
}

/// Takes `and` or `or` if it comes next.
fn word(input: &mut Input<'_>, word: &'static str) -> bool {
    let follows = peek(one_of([' ', '\t', '(']));
    let taken: Result<_, Fault> = opt((space0, literal(Caseless(word)), follows)).parse_next(input);
    matches!(taken, Ok(Some(_)))
}

fn factor(input: &mut Input<'_>) -> Result<Filter, Fault> {
    skip_spaces(input)?;
    // Erratum 7319: the space after `not` may be missing (S-7644-3.4.2.2-03).
    let not: Option<_> = opt((literal(Caseless("not")), space0, '(')).parse_next(input)?;
    if not.is_some() {
        return Ok(Filter::Not(Box::new(group(input)?)));
    }
    let parenthesis: Option<char> = opt('(').parse_next(input)?;
    if parenthesis.is_some() {
        return group(input);
    }
    term(input)
}

/// The rest of a group whose parenthesis is open.
fn group(input: &mut Input<'_>) -> Result<Filter, Fault> {
    descend(input)?;
    let filter = expression(input)?;
    skip_spaces(input)?;
    expect(input, ')')?;
    input.state.depth -= 1;
    Ok(filter)
}

fn descend(input: &mut Input<'_>) -> Result<(), Fault> {
    input.state.depth += 1;
    if input.state.depth > MAX_DEPTH {
        return Err(Fault(Error::filter(format!(
            "the filter is nested deeper than {MAX_DEPTH} levels; simplify it"
        ))));
    }
    Ok(())
}

fn term(input: &mut Input<'_>) -> Result<Filter, Fault> {
    input.state.terms += 1;
    if input.state.terms > MAX_TERMS {
        return Err(Fault(Error::filter(format!(
            "the filter has more than {MAX_TERMS} comparisons; split it"
        ))));
    }
    let Ok(token) = name(input) else {
        return Err(malformed(input, "write the name of an attribute there"));
    };
    let path = resolve_term(input, token).map_err(Fault)?;
    if peek_is(input, '[') {
        return value_path(input, path);
    }
    comparison(input, path)
}

/// The attribute that a term names; inside brackets, a sub-attribute (S-7644-3.4.2.2-11).
fn resolve_term(input: &Input<'_>, token: &str) -> Result<AttrRef, Error> {
    let of = input.state.of;
    let path = match input.state.element {
        Some(element) => {
            let sub = element.attribute.sub(token).ok_or_else(|| {
                let name = format!("{element}.{token}");
                unknown(ErrorKind::InvalidFilter, &name, of)
            })?;
            element.with_sub(sub)
        }
        None => {
            let found = match of {
                Of::User => AttrRef::find(token),
                Of::Group => AttrRef::find_of_group(token),
            };
            found.ok_or_else(|| unknown(ErrorKind::InvalidFilter, token, of))?
        }
    };
    if path.attribute.is_secret() || path.leaf().is_secret() {
        // S-7644-3.4.2.2-16: before anything is known of the operator and the literal.
        return Err(Error::new(
            ErrorKind::Sensitive,
            format!(
                "{path} can't be used in a filter; compare another attribute, such as userName"
            ),
        ));
    }
    // S-7644-3.9-06: the gateway makes up URLs, nobody stores them.
    if path.leaf().name == "$ref" || path.leaf().name == "location" {
        return Err(Error::filter(format!(
            "{path} is a URL of this service and can't be used in a filter; \
             compare another attribute, such as id"
        )));
    }
    Ok(path)
}

fn takes_value_path(path: &AttrRef) -> bool {
    path.sub.is_none() && path.attribute.multi_valued && path.attribute.kind == Kind::Complex
}

fn value_path(input: &mut Input<'_>, path: AttrRef) -> Result<Filter, Fault> {
    if input.state.element.is_some() {
        return Err(malformed(input, "remove the brackets within brackets"));
    }
    if !takes_value_path(&path) {
        return Err(Fault(Error::filter(format!(
            "{path} has no elements with sub-attributes; remove the brackets"
        ))));
    }
    open(input)?;
    let mut filter = element_filter(input, path)?;
    close(input)?;
    // Entra: asks `emails[type eq "work"].value eq "x"`; both hold of one element.
    if peek_is(input, '.') {
        let sub = sub_name(input)?;
        input.state.element = Some(path);
        let sub = resolve_term(input, sub).map_err(Fault)?;
        input.state.terms += 1;
        let last = comparison(input, sub)?;
        input.state.element = None;
        filter = match filter {
            Filter::And(mut all) => {
                all.push(last);
                Filter::And(all)
            }
            other => Filter::And(vec![other, last]),
        };
    }
    let filter = Box::new(filter);
    Ok(Filter::ValuePath { path, filter })
}

fn open(input: &mut Input<'_>) -> Result<(), Fault> {
    '['.void().parse_next(input)
}

/// What stands between the brackets of `path`.
fn element_filter(input: &mut Input<'_>, path: AttrRef) -> Result<Filter, Fault> {
    descend(input)?;
    input.state.element = Some(path);
    let filter = expression(input)?;
    input.state.element = None;
    input.state.depth -= 1;
    skip_spaces(input)?;
    Ok(filter)
}

fn close(input: &mut Input<'_>) -> Result<(), Fault> {
    expect(input, ']')
}

fn sub_name<'t>(input: &mut Input<'t>) -> Result<&'t str, Fault> {
    '.'.parse_next(input)?;
    name(input)
}

fn comparison(input: &mut Input<'_>, path: AttrRef) -> Result<Filter, Fault> {
    let op = operator(input).map_err(|_| {
        let words = "eq, ne, co, sw, ew, pr, gt, ge, lt, le";
        malformed(input, &format!("write an operator there: {words}"))
    })?;
    let Some(op) = op else {
        end_of_term(input)?;
        return Ok(Filter::Present { path });
    };
    space1::<_, Fault>(input).map_err(|_| malformed(input, "write a space and a value there"))?;
    let value = json_literal(input)?;
    end_of_term(input)?;
    compare(path, op, value).map_err(|detail| Fault(Error::filter(detail)))
}

/// The operator that comes next; `None` for `pr`. A fault leaves the input before the word.
fn operator(input: &mut Input<'_>) -> Result<Option<Operator>, Fault> {
    space1.parse_next(input)?;
    let start = input.checkpoint();
    let word = take_while(1.., |c: char| c.is_ascii_alphabetic()).parse_next(input)?;
    if word.eq_ignore_ascii_case("pr") {
        return Ok(None);
    }
    let mut all = Operator::ALL.into_iter();
    let found = all.find(|one| word.eq_ignore_ascii_case(one.as_str()));
    found.map(Some).ok_or_else(|| {
        input.reset(&start);
        Fault::from_input(input)
    })
}

fn end_of_term(input: &mut Input<'_>) -> Result<(), Fault> {
    let end: Result<_, Fault> =
        peek(alt((one_of([' ', '\t', ')', ']']).void(), eof.void()))).parse_next(input);
    end.map_err(|_| malformed(input, "write a space after the comparison"))
}

/// A string, number, true, false or null as JSON writes them (S-7644-3.4.2.2-04).
fn json_literal(input: &mut Input<'_>) -> Result<Value, Fault> {
    let rest: &str = &input.input;
    let length = if rest.starts_with('"') {
        quoted_length(rest)
    } else {
        rest.find([' ', '\t', ')', ']']).unwrap_or(rest.len())
    };
    let value = rest.get(..length).and_then(|text| {
        let value = serde_json::from_str::<Value>(text).ok()?;
        (!value.is_array() && !value.is_object()).then_some(value)
    });
    let Some(value) = value else {
        return Err(malformed(
            input,
            "write a value there: text in double quotes, a number, true, false or null",
        ));
    };
    if value.as_str().is_some_and(|text| text.contains('\0')) {
        return Err(malformed(input, "remove U+0000 from the value there"));
    }
    take_bytes(input, length)?;
    Ok(value)
}

fn take_bytes(input: &mut Input<'_>, length: usize) -> Result<(), Fault> {
    winnow::token::take(
        input
            .input
            .get(..length)
            .map_or(0, |text| text.chars().count()),
    )
    .void()
    .parse_next(input)
}

/// The bytes of the JSON string that `text` starts with, or all when it does not end.
fn quoted_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What the schema makes of a comparison.
fn compare(mut path: AttrRef, op: Operator, value: Value) -> Result<Filter, String> {
    if value.is_null() {
        // S-7644-3.4.2.2-12
        let present = Filter::Present { path };
        return match op {
            Operator::Eq => Ok(Filter::Not(Box::new(present))),
            Operator::Ne => Ok(present),
            _ => Err(format!(
                "{path} can't be {} null, which has no order; use eq or ne",
                op.as_str()
            )),
        };
    }
    if path.leaf().kind == Kind::Complex {
        // S-7644-3.4.2.2-09, -15
        let value = path.leaf().sub("value");
        let value = value.ok_or_else(|| {
            format!(
                "{path} has parts; name one of them, such as {path}.{}",
                first_part(&path)
            )
        })?;
        path = path.with_sub(value);
    }
    let kind = path.leaf().kind;
    let textual = matches!(kind, Kind::String | Kind::Reference);
    let unordered = matches!(kind, Kind::Boolean | Kind::Binary);
    if (op.is_substring() && !textual) || (op.is_order() && unordered) {
        return Err(format!(
            "{path} is of type {}, which {} can't compare; use eq, ne or pr",
            kind.as_str(),
            op.as_str()
        ));
    }
    let value = literal_of(kind, value).ok_or_else(|| {
        format!(
            "{path} can't be compared with this; write {}",
            literal_words(kind)
        )
    })?;
    Ok(Filter::Compare { path, op, value })
}

fn first_part(path: &AttrRef) -> &'static str {
    let mut parts = path.leaf().sub_attributes.iter();
    parts.next().map_or("value", |part| part.name)
}

/// What an attribute of `kind` compares with, in words.
fn literal_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "true or false",
        Kind::Integer | Kind::Decimal => "a number",
        Kind::DateTime => "a time such as \"2026-11-24T09:10:11Z\"",
        Kind::String | Kind::Reference | Kind::Binary | Kind::Complex => "text in double quotes",
    }
}

/// S-7644-3.4.2.2-08
fn literal_of(kind: Kind, value: Value) -> Option<Literal> {
    match (kind, value) {
        (Kind::Boolean, Value::Bool(value)) => Some(Literal::Bool(value)),
        // Entra: asks for `primary eq "True"`.
        (Kind::Boolean, Value::String(text)) => boolean(&text).map(Literal::Bool),
        (Kind::Integer | Kind::Decimal, Value::Number(number)) => Some(Literal::Number(number)),
        (Kind::DateTime, Value::String(text)) => value::date_time(&text).map(Literal::DateTime),
        (Kind::String | Kind::Reference | Kind::Binary, Value::String(text)) => {
            Some(Literal::String(text))
        }
        _ => None,
    }
}

/// A name with its URN: all up to a space, bracket, parenthesis or quotation mark.
fn name<'t>(input: &mut Input<'t>) -> Result<&'t str, Fault> {
    let part = |c: char| !c.is_ascii_control() && !" []()\"".contains(c);
    take_while(1.., part).parse_next(input)
}

fn skip_spaces(input: &mut Input<'_>) -> Result<(), Fault> {
    space0.void().parse_next(input)
}

fn expect(input: &mut Input<'_>, closing: char) -> Result<(), Fault> {
    let taken: Option<char> = opt(closing).parse_next(input)?;
    match taken {
        Some(_) => Ok(()),
        None => Err(malformed(input, &format!("write {closing} there"))),
    }
}

fn peek_is(input: &Input<'_>, letter: char) -> bool {
    input.input.starts_with(letter)
}
