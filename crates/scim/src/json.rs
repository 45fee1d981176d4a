//! The one reader of JSON, whose limits act while it reads.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Error, quote};

/// The bounds of one JSON text (SEC-IN-01); the size of the whole is the transport's to bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Objects and arrays within each other, at most 127.
    pub depth: usize,
    /// Members of one object.
    pub keys: usize,
    /// Bytes of one string or key, unescaped.
    pub string: usize,
}

impl Default for Limits {
    /// Depth 32, 1,000 keys, 64 KiB.
    fn default() -> Self {
        Self {
            depth: 32,
            keys: 1_000,
            string: 64 * 1024,
        }
    }
}

/// Reads one JSON text in UTF-8.
///
/// # Errors
/// [`InvalidSyntax`](crate::ErrorKind::InvalidSyntax) for what is no JSON, for data after the
/// value, a byte order mark, a limit passed, or two keys of one object that differ by case only;
/// [`InvalidValue`](crate::ErrorKind::InvalidValue) for U+0000 in a key or value, which no
/// database stores.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Value, Error> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Error::syntax(
            "the JSON starts with a byte order mark; send it without one",
        ));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Error::syntax("the JSON is not valid UTF-8; send it in UTF-8"))?;
    if text.trim_ascii().is_empty() {
        return Err(Error::syntax("the body is empty; send JSON"));
    }
    let fault = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = Seed {
        limits,
        depth: 0,
        fault: &fault,
    };
    let value = seed
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        let broken = || {
            Error::syntax(format!(
                "not valid JSON at line {}, column {}; correct the body there",
                error.line(),
                error.column()
            ))
        };
        fault.take().unwrap_or_else(broken)
    })
}

/// Reads one JSON text whose value has to be an object.
///
/// # Errors
/// As [`read`], and [`InvalidSyntax`](crate::ErrorKind::InvalidSyntax) for another type.
pub fn read_object(bytes: &[u8], limits: &Limits) -> Result<Map<String, Value>, Error> {
    match read(bytes, limits)? {
        Value::Object(object) => Ok(object),
        other => Err(Error::syntax(format!(
            "the body is {}; send a JSON object",
            type_name(&other)
        ))),
    }
}

/// The member of `object` that is named `name` in any letter case (S-7643-2.1-01).
#[must_use]
pub fn find<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        let mut members = object.iter();
        members.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    })
}

/// The JSON type of `value` as a person reads it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Whether the value says "unassigned": null, `""` or `[]` (S-7643-2.5-01, -03).
pub(crate) fn is_unassigned(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

#[derive(Clone, Copy)]
struct Seed<'l> {
    limits: &'l Limits,
    depth: usize,
    /// The first limit passed: serde carries only text.
    fault: &'l RefCell<Option<Error>>,
}

impl Seed<'_> {
    fn fail<E: de::Error>(&self, error: Error) -> E {
        let custom = E::custom(&error.detail);
        *self.fault.borrow_mut() = Some(error);
        custom
    }

    fn enter<E: de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > self.limits.depth {
            let most = self.limits.depth;
            return Err(self.fail(Error::syntax(format!(
                "the JSON is nested deeper than {most} levels; send it flatter"
            ))));
        }
        Ok(Self { depth, ..self })
    }

    fn check<E: de::Error>(&self, text: &str) -> Result<(), E> {
        let most = self.limits.string;
        if text.len() > most {
            return Err(self.fail(Error::syntax(format!(
                "a string is longer than {most} bytes: {}; shorten it",
                quote(text)
            ))));
        }
        if text.contains('\0') {
            return Err(self.fail(Error::value(format!(
                "U+0000 can't be stored; remove it from {}",
                quote(text)
            ))));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        self.check(text)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        self.check(&text)?;
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.enter()?;
        let mut elements = Vec::new();
        while let Some(element) = items.next_element_seed(inner)? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.enter()?;
        let mut object = Map::new();
        let mut seen = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            self.check(&key)?;
            if object.len() == self.limits.keys {
                let most = self.limits.keys;
                return Err(self.fail(Error::syntax(format!(
                    "an object has more than {most} keys; send fewer"
                ))));
            }
            // S-7643-2.1-03
            if !seen.insert(key.to_ascii_lowercase()) {
                return Err(self.fail(Error::syntax(format!(
                    "{} occurs twice in one object (letter case does not count); send it once",
                    quote(&key)
                ))));
            }
            let value = members.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn refused(text: &str) -> Error {
        read(text.as_bytes(), &Limits::default()).unwrap_err()
    }

    fn nested(levels: usize) -> String {
        format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn what_is_json_is_read_as_it_stands() {
        let text = r#"{"b": [1, -2, 2.5, true, null, "é\n\u00e9"], "a": {"": {}}}"#;
        let value = read(text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
        let keys: Vec<_> = value.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["b", "a"], "in the order they came");
    }

    #[test] // rule: S-7644-3.1-01 (part), S-7644-3.3-03 (part)
    fn what_is_no_json_in_utf_8_is_refused() {
        for bad in [
            "",
            " \n",
            "{",
            "{]",
            "{} {}",
            "{}x",
            "{'a': 1}",
            "[1,]",
            "nul",
            "\"\\ud800\"",
            "1e999",
            "\u{feff}{}",
        ] {
            assert_eq!(refused(bad).kind, ErrorKind::InvalidSyntax, "{bad:?}");
        }
        let latin1 = read(b"\"\xe9\"", &Limits::default()).unwrap_err();
        assert_eq!(latin1.kind, ErrorKind::InvalidSyntax);
        assert_eq!(
            refused("{\n  \"a\" 1}").detail,
            "not valid JSON at line 2, column 7; correct the body there"
        );
    }

    #[test] // rule: S-7644-3.3-03 (part)
    fn a_top_level_that_is_no_object_is_refused() {
        for bad in ["[]", "1", "\"x\"", "null", "true"] {
            let error = read_object(bad.as_bytes(), &Limits::default()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidSyntax, "{bad}");
        }
        let one = read_object(b"{\"a\": 1}", &Limits::default()).unwrap();
        assert_eq!(one.len(), 1);
    }

    #[test] // rule: S-7643-2.1-03
    fn keys_that_differ_by_letter_case_only_are_refused_at_any_depth() {
        for bad in [
            r#"{"userName": "a", "username": "b"}"#,
            r#"{"a": 1, "a": 1}"#,
            r#"{"x": [{"A": 1, "a": 1}]}"#,
        ] {
            let error = refused(bad);
            assert_eq!(error.kind, ErrorKind::InvalidSyntax, "{bad}");
            assert!(error.detail.contains("occurs twice"), "{}", error.detail);
        }
        assert!(read(br#"[{"a": 1}, {"A": 1}]"#, &Limits::default()).is_ok());
    }

    #[test] // rule: SEC-IN-01 (part)
    fn each_limit_holds_at_its_last_value_and_not_beyond() {
        let limits = Limits::default();
        let string = |bytes: usize| format!("\"{}\"", "a".repeat(bytes));
        let key = |bytes: usize| format!("{{{}: 1}}", string(bytes));
        let keys = |count: usize| {
            let members: Vec<String> = (0..count).map(|n| format!("\"k{n}\": 1")).collect();
            format!("{{{}}}", members.join(","))
        };
        for good in [nested(32), string(65_536), key(65_536), keys(1_000)] {
            assert!(read(good.as_bytes(), &limits).is_ok());
        }
        for (bad, word) in [
            (nested(33), "nested deeper than 32"),
            (nested(100_000), "nested deeper than 32"),
            (string(65_537), "longer than 65536"),
            (key(65_537), "longer than 65536"),
            (keys(1_001), "more than 1000 keys"),
        ] {
            let error = refused(&bad);
            assert_eq!(error.kind, ErrorKind::InvalidSyntax);
            assert!(error.detail.contains(word), "{}", error.detail);
            assert!(error.detail.len() < 300);
        }
    }

    #[test]
    fn u_0000_is_refused_in_keys_and_values() {
        for bad in [r#""a\u0000b""#, r#"{"\u0000": 1}"#, r#"{"x": ["\u0000"]}"#] {
            assert_eq!(refused(bad).kind, ErrorKind::InvalidValue, "{bad}");
        }
    }

    #[test] // rule: S-7643-2.1-01 (part)
    fn a_member_is_found_in_any_letter_case() {
        let object = read_object(br#"{"OPERATIONS": 1, "b": 2}"#, &Limits::default()).unwrap();
        assert_eq!(find(&object, "Operations"), Some(&Value::from(1)));
        assert_eq!(find(&object, "a"), None);
    }
}
