//! The untyped stage: TOML text and overrides, which become a typed configuration at the end.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::builtin::{self, Kind, did_you_mean};
use crate::error::{ConfigError, Error, Result};

/// TOML values that remember where each came from.
#[derive(Debug, Clone)]
pub struct Raw {
    pub(super) values: Table,
    /// File or built-in name, as messages say it.
    origin: String,
    /// Keys given by `--set`, dotted.
    set: Vec<String>,
}

impl Raw {
    /// Reads a built-in configuration by name, or a file, and applies `--set key=value` overrides in order.
    ///
    /// What ends in `.toml` or has a folder in it is a file, everything else a name.
    pub fn open(kind: Kind, name_or_file: &str, overrides: &[String]) -> Result<Self> {
        let path = Path::new(name_or_file);
        let is_file = name_or_file.ends_with(".toml") || path.components().count() > 1;
        let (text, origin) = if is_file {
            let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
                origin: name_or_file.into(),
                key: String::new(),
                problem: format!("cannot read the file: {error}"),
                cure: "give the path of a TOML file or the name of a built-in configuration".into(),
            })?;
            (text, name_or_file.to_owned())
        } else {
            let text = builtin::text(kind, name_or_file)?.to_owned();
            let origin = format!("configs/{}/{name_or_file}.toml", kind.folder());
            (text, origin)
        };
        let mut raw = Self::parse(&text, origin)?;
        for text in overrides {
            raw.set(text)?;
        }
        Ok(raw)
    }

    /// Values from TOML text; `origin` is how messages call it.
    pub fn parse(text: &str, origin: String) -> Result<Self> {
        let values = text.parse::<Table>().map_err(|error| ConfigError {
            origin: origin.clone(),
            key: String::new(),
            problem: format!("not valid TOML: {}", error.to_string().trim_end()),
            cure: "correct that line".into(),
        })?;
        Ok(Self { values, origin, set: Vec::new() })
    }

    /// Applies one `key=value`: dotted keys, numbers index lists, the value is TOML or else a plain string.
    pub fn set(&mut self, text: &str) -> Result<()> {
        let wrong = |key: &str, problem: String, cure: &str| ConfigError {
            origin: format!("--set {text}"),
            key: key.into(),
            problem,
            cure: cure.into(),
        };
        let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            let cure = "write --set key=value, such as --set optimizer.lr=1e-4";
            return Err(wrong("", "there is no key and value".into(), cure).into());
        };
        let key = key.trim();
        let value = value.trim();
        let value = format!("value = {value}")
            .parse::<Table>()
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| Value::String(value.to_owned()));

        let (parents, last) = match key.rsplit_once('.') {
            Some((parents, last)) => (parents.split('.').collect(), last),
            None => (Vec::new(), key),
        };
        let mut place = Place::Table(&mut self.values);
        for name in parents {
            place = place.enter(name).map_err(|problem| wrong(key, problem, "name a key that exists"))?;
        }
        place.put(last, value).map_err(|problem| wrong(key, problem, "name a key that exists"))?;
        self.set.push(key.to_owned());
        Ok(())
    }

    /// The typed configuration; the first unknown key or wrong type is the error.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T> {
        let values = Value::Table(self.values.clone());
        serde_path_to_error::deserialize(values).map_err(|error| {
            let key = dotted(&error.path().to_string());
            self.explain(&key, error.inner().message()).into()
        })
    }

    /// An error at a key, with the place that gave its value.
    pub(super) fn error(&self, key: &str, problem: String, cure: &str) -> Error {
        let set = self.set.iter().rfind(|set| *set == key || key.starts_with(&format!("{set}.")));
        let origin = match set {
            Some(_) => format!("{} with --set {key}", self.origin),
            None => self.origin.clone(),
        };
        Error::Config(ConfigError { origin, key: key.into(), problem, cure: cure.into() })
    }

    /// Says what serde said, with a cure: the nearest known key, or the kind of value wanted.
    fn explain(&self, key: &str, message: &str) -> ConfigError {
        let mut quoted = message.split('`').skip(1).step_by(2);
        let (problem, cure) = if message.starts_with("unknown field") {
            let wrong = quoted.next().unwrap_or_default();
            let known: Vec<_> = quoted.collect();
            let guess = did_you_mean(wrong, known.iter().copied());
            let problem = "there is no such key".to_owned();
            (problem, format!("{guess}the keys here are {}", known.join(", ")))
        } else if message.starts_with("unknown variant") {
            let wrong = quoted.next().unwrap_or_default();
            let known: Vec<_> = quoted.collect();
            let guess = did_you_mean(wrong, known.iter().copied());
            let problem = format!("{wrong:?} is not one of its values");
            (problem, format!("{guess}give one of {}", known.join(", ")))
        } else if message.starts_with("missing field") {
            let missing = quoted.next().unwrap_or_default();
            let problem = format!("the key `{missing}` is missing");
            (problem, format!("add a line `{missing} = ..`"))
        } else {
            (message.to_owned(), "give a value of that kind".into())
        };
        match self.error(key, problem, &cure) {
            Error::Config(error) => error,
            other => ConfigError { origin: self.origin.clone(), key: key.into(), problem: other.to_string(), cure },
        }
    }
}

/// `phase[0].seq_len` as `--set` spells it: `phase.0.seq_len`.
fn dotted(path: &str) -> String {
    let path = path.replace('[', ".").replace(']', "");
    if path == "." { String::new() } else { path }
}

/// Where an override goes.
enum Place<'a> {
    Table(&'a mut Table),
    List(&'a mut Vec<Value>),
}

impl<'a> Place<'a> {
    /// Steps into `name`, making a table where there is nothing yet.
    fn enter(self, name: &str) -> Result<Self, String> {
        let value = match self {
            Self::Table(table) => {
                let value = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
                // `model = "tiny"` with `--set model.hidden_size=64`: the preset, then the key.
                if name == "model"
                    && let Value::String(preset) = value
                {
                    let preset = std::mem::take(preset);
                    *value = Value::Table(Table::from_iter([("preset".into(), preset.into())]));
                }
                value
            }
            Self::List(list) => item(list, name)?,
        };
        match value {
            Value::Table(table) => Ok(Self::Table(table)),
            Value::Array(list) => Ok(Self::List(list)),
            other => Err(format!("`{name}` is a {}, not a table", other.type_str())),
        }
    }

    fn put(self, name: &str, value: Value) -> Result<(), String> {
        match self {
            Self::Table(table) => {
                table.insert(name.to_owned(), value);
            }
            Self::List(list) => *item(list, name)? = value,
        }
        Ok(())
    }
}

fn item<'a>(list: &'a mut [Value], name: &str) -> Result<&'a mut Value, String> {
    let length = list.len();
    name.parse::<usize>()
        .ok()
        .and_then(|index| list.get_mut(index))
        .ok_or_else(|| format!("`{name}` is not an item of the list: it has items 0 to {}", length.saturating_sub(1)))
}
