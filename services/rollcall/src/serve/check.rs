//! `rollcall config check`: what holds, and where each value comes from.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use figment::value::{Dict, Value};
use figment::{Figment, Source};

use super::config;
use crate::cli::Error;

/// What to do with the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Read it, and print every value with its origin; secrets are not shown.
    #[command(after_help = "Example:\n  rollcall config check --config rollcall.toml")]
    Check {
        /// The configuration file (TOML).
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// Reads the configuration and prints it.
///
/// # Errors
/// One line that names the key and where it stands.
pub fn run(command: Command) -> Result<ExitCode, Error> {
    let Command::Check { config } = command;
    // First, so that nothing is printed of what is misspelt: it may be a secret.
    let typed = config::load(config.as_deref())?;
    let tree = config::layers(config.as_deref())?;
    let values: Dict = tree.extract().map_err(|error| config::unreadable(&error))?;
    let mut lines = Vec::new();
    for (key, value) in &values {
        walk(&tree, key, value, &mut lines);
    }
    let width = lines.iter().map(|(line, _)| line.chars().count()).max();
    for (line, origin) in &lines {
        println!("{line:width$}  {origin}", width = width.unwrap_or_default());
    }
    typed.check_transport()?;
    typed.callers()?;
    Ok(ExitCode::SUCCESS)
}

fn walk(tree: &Figment, key: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Dict(_, values) => {
            for (name, value) in values {
                walk(tree, &format!("{key}.{name}"), value, lines);
            }
        }
        Value::Array(_, values) if values.iter().any(|it| matches!(it, Value::Dict(..))) => {
            for (n, value) in values.iter().enumerate() {
                walk(tree, &format!("{key}[{n}]"), value, lines);
            }
        }
        value => {
            let line = format!("{key} = {}", shown(key, value));
            lines.push((line, origin(tree, value)));
        }
    }
}

fn shown(key: &str, value: &Value) -> String {
    let is_secret = |name| matches!(name, "url" | "owner_url");
    let of_database = key.rsplit_once(".database.");
    let names_a_user = |text: &str| {
        let place = text.split_once("://").map(|(_, place)| place);
        place.is_some_and(|place| place.split('/').next().unwrap_or_default().contains('@'))
    };
    if of_database.is_some_and(|(_, name)| is_secret(name))
        || value.as_str().is_some_and(names_a_user)
    {
        return "[redacted]".to_owned();
    }
    match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Char(_, letter) => format!("{:?}", letter.to_string()),
        Value::Bool(_, yes) => yes.to_string(),
        Value::Num(_, number) => number
            .to_i128()
            .map(|whole| whole.to_string())
            .or_else(|| number.to_f64().map(|real| real.to_string()))
            .unwrap_or_default(),
        Value::Array(_, values) => {
            let values: Vec<String> = values.iter().map(|value| shown(key, value)).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Empty(..) | Value::Dict(..) => String::new(),
    }
}

/// Where a value comes from: a file, the environment, or nobody said it.
fn origin(tree: &Figment, value: &Value) -> String {
    let Some(from) = tree.get_metadata(value.tag()) else {
        return "default".to_owned();
    };
    match &from.source {
        Some(Source::File(file)) => file.display().to_string(),
        _ if from.name.contains("environment") => "environment".to_owned(),
        _ => "default".to_owned(),
    }
}
