//! `model`: the name of a preset, or a table of the keys of `config.json` on top of one.

use bert_model::BertConfig;
use toml::{Table, Value};

use super::builtin::{self, Kind, did_you_mean};
use super::checks::Checks;
use super::raw::Raw;
use crate::error::Result;

/// The vocabulary's size where a configuration leaves it open: taken from the tokenizer later.
pub const OPEN_VOCABULARY: usize = 0;

/// The configuration of a named model: a file of `configs/models`, or one of the released grid such as `L-4_H-512`.
pub fn model_config(name: &str) -> Result<BertConfig> {
    if let Ok(text) = builtin::text(Kind::Models, name) {
        return Raw::parse(text, format!("configs/models/{name}.toml"))?.typed();
    }
    BertConfig::preset(name).map_err(|_| match builtin::text(Kind::Models, name) {
        Err(error) => error,
        Ok(_) => crate::Error::Request(format!("{name}: no such model")),
    })
}

/// Replaces `model = "tiny"` or `[model] preset = "tiny", ..` by the whole table of keys.
pub(super) fn expand(raw: &mut Raw) -> Result<()> {
    let (preset, own) = match raw.values.remove("model") {
        Some(Value::String(name)) => (Some(name), Table::new()),
        Some(Value::Table(mut table)) => match table.remove("preset") {
            None => (None, table),
            Some(Value::String(name)) => (Some(name), table),
            Some(other) => {
                let problem = format!("a {}, not a name", other.type_str());
                return Err(raw.error("model.preset", problem, "give a name such as \"tiny\""));
            }
        },
        Some(other) => {
            let problem = format!("a {}, not a name or a table", other.type_str());
            return Err(raw.error("model", problem, "give a name such as \"tiny\""));
        }
        None => {
            let cure = "add a line such as `model = \"tiny\"`";
            return Err(raw.error("model", "the key is missing".into(), cure));
        }
    };
    let mut all = match &preset {
        Some(name) => {
            let config = model_config(name).map_err(|error| match error {
                crate::Error::Config(e) => raw.error("model", format!("{name:?}: {}", e.problem), &e.cure),
                other => other,
            })?;
            table_of(&config)
        }
        None => Table::new(),
    };
    if !own.contains_key("vocab_size") {
        all.insert("vocab_size".into(), Value::Integer(OPEN_VOCABULARY as i64));
    }
    // BertConfig itself accepts foreign keys, as config.json files carry them; here they are mistakes.
    let known = table_of(&BertConfig::preset("tiny")?);
    for (key, value) in own {
        if !known.contains_key(&key) {
            let guess = did_you_mean(&key, known.keys().map(String::as_str));
            let keys: Vec<_> = known.keys().map(String::as_str).collect();
            let cure = format!("{guess}the keys here are preset, {}", keys.join(", "));
            return Err(raw.error(&format!("model.{key}"), "there is no such key".into(), &cure));
        }
        all.insert(key, value);
    }
    raw.values.insert("model".into(), Value::Table(all));
    Ok(())
}

/// Shapes that cannot be built.
pub(super) fn check(config: &BertConfig, checks: &Checks<'_>) -> Result<()> {
    let BertConfig { hidden_size, num_attention_heads, .. } = *config;
    checks.at_least_one("model.hidden_size", hidden_size as u64)?;
    checks.at_least_one("model.num_attention_heads", num_attention_heads as u64)?;
    checks.that(
        hidden_size % num_attention_heads == 0,
        "model.num_attention_heads",
        || format!("{num_attention_heads} heads do not divide hidden_size {hidden_size}"),
        "make hidden_size a multiple of the number of heads",
    )?;
    let mut with_vocabulary = config.clone();
    if config.vocab_size == OPEN_VOCABULARY {
        with_vocabulary.vocab_size = 30_522;
    }
    with_vocabulary
        .validate()
        .map_err(|error| checks.0.error("model", error.to_string(), "change that key of the model"))
}

fn table_of(config: &BertConfig) -> Table {
    // A plain structure of numbers and strings always has a TOML form; an empty table would show in every test.
    Table::try_from(config).unwrap_or_default()
}
