//! What commands print: tables, fields, times.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{ErrorKind, Write};

use rollcall_rpc::prost_types::Timestamp;

use crate::cli::Error;

/// What stands where there is nothing.
pub(crate) const NOTHING: &str = "-";

/// Prints a text and ends the line.
///
/// # Errors
/// When the output can't be written. A reader that has heard enough, such as `head`, ends the
/// program instead: nothing is wrong then.
pub(crate) fn print(text: impl Display) -> Result<(), Error> {
    if !reaches(text)? {
        std::process::exit(0);
    }
    Ok(())
}

/// Prints a text as [`print`] does, for a caller whose exit code says something: it goes on when
/// the reader has heard enough, and hears of it.
///
/// # Errors
/// When the output can't be written.
pub(crate) fn reaches(text: impl Display) -> Result<bool, Error> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("the output can't be written: {error}").into()),
        Ok(()) => Ok(true),
    }
}

/// Tells a person something beside the output, as far as anybody listens.
pub(crate) fn hint(text: impl Display) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// A text in one line that a terminal only shows: names and roles come from outside, and could
/// hold what moves the cursor or hides a line.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let escaped = text.chars().map(|c| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    });
    escaped.collect::<String>().into()
}

/// A table whose columns are as wide as they must be; a cell that is empty shows [`NOTHING`].
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &Vec<String>| row.iter().map(|cell| visible(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .chain(head.get(column).map(|cell| cell.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{:width$}", or_nothing(cell)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = vec![line(head.to_vec())];
    text.extend(
        rows.iter()
            .map(|row| line(row.iter().map(String::as_str).collect())),
    );
    text.join("\n")
}

/// One thing, a field a line, the values in one column; a value of several lines stays in it.
pub(crate) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0);
    let lines = fields.iter().flat_map(|(name, value)| {
        or_nothing(value)
            .lines()
            .enumerate()
            .map(move |(index, line)| {
                let name = if index == 0 { *name } else { "" };
                let line = visible(line);
                format!("{name:width$}  {line}").trim_end().to_owned()
            })
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A time to the second, in UTC; empty for none.
pub(crate) fn time(time: Option<&Timestamp>) -> String {
    let nanos = |time: &Timestamp| u32::try_from(time.nanos).unwrap_or(0);
    time.and_then(|time| chrono::DateTime::from_timestamp(time.seconds, nanos(time)))
        .map(|time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string())
        .unwrap_or_default()
}

/// A time for JSON, as RFC 3339 writes it; `null` for none.
pub(crate) fn json_time(time: Option<&Timestamp>) -> Option<String> {
    time.map(ToString::to_string)
}

/// `on` or `off`.
pub(crate) fn on_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { NOTHING } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_its_widest_cells_and_shows_what_is_empty() {
        let rows = [
            vec!["1".to_owned(), "Zoë Ångström".to_owned(), String::new()],
            vec!["1000".to_owned(), String::new(), "last".to_owned()],
        ];

        let text = table(&["ID", "NAME", "NOTE"], &rows);

        assert_eq!(
            text,
            "ID    NAME          NOTE\n\
             1     Zoë Ångström  -\n\
             1000  -             last"
        );
    }

    #[test]
    fn fields_stand_in_one_column_also_when_a_value_has_lines() {
        let text = fields(&[
            ("set", "Sales".to_owned()),
            ("description", String::new()),
            ("keys", "deals.read\ndeals.write".to_owned()),
        ]);

        assert_eq!(
            text,
            "set          Sales\n\
             description  -\n\
             keys         deals.read\n             deals.write"
        );
    }

    #[test]
    fn what_would_steer_a_terminal_is_shown_instead() {
        let name = "\u{1b}[2Jowner\u{9b}".to_owned();
        let shown = "\\u{1b}[2Jowner\\u{9b}";

        let rows = [vec![name.clone(), "two\nlines".to_owned()]];
        let wide = table(&["NAME", "ROLES"], &rows);

        assert_eq!(wide, format!("{:20}  ROLES\n{shown}  two\\nlines", "NAME"));
        assert_eq!(fields(&[("name", name)]), format!("name  {shown}"));
        assert_eq!(visible("Zoë “Ångström”"), "Zoë “Ångström”");
    }

    #[test]
    fn times_are_told_to_the_second_in_utc() {
        let at = Timestamp {
            seconds: 1_767_225_600,
            nanos: 250_000_000,
        };

        assert_eq!(time(Some(&at)), "2026-01-01 00:00:00 UTC");
        assert_eq!(json_time(Some(&at)).unwrap(), "2026-01-01T00:00:00.250Z");
        assert_eq!((time(None), json_time(None)), (String::new(), None));
    }
}
