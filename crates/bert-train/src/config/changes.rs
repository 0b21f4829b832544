//! Which keys of two configurations differ, and a digest that stands for one.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Tables whose keys say when to look and to save, and so do not change the weights.
const WITHOUT_EFFECT: [&str; 2] = ["evaluation", "checkpoint"];
/// A key, in whatever table, that trades time for memory and leaves every bit as it is.
const SAME_BITS: &str = "recompute";

/// SHA-256, in hexadecimal, of all keys that the weights depend on.
pub fn digest(config: &impl Serialize) -> String {
    let mut hash = Sha256::new();
    for (key, value) in effective(config) {
        hash.update(key);
        hash.update([0]);
        hash.update(value);
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The keys that the weights depend on and whose values differ, as `key: old -> new`.
pub fn changed_keys(old: &impl Serialize, new: &impl Serialize) -> Vec<String> {
    let old = effective(old);
    let new = effective(new);
    let value = |list: &[(String, String)], key: &str| {
        let found = list.iter().find(|(name, _)| name == key);
        found.map_or_else(|| "not set".to_owned(), |(_, value)| value.clone())
    };
    let mut keys: Vec<&String> = old.iter().chain(&new).map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .map(|key| (key, value(&old, key), value(&new, key)))
        .filter(|(_, old, new)| old != new)
        .map(|(key, old, new)| format!("{key}: {old} -> {new}"))
        .collect()
}

/// Dotted keys and values, in order of the keys.
fn effective(config: &impl Serialize) -> Vec<(String, String)> {
    // Numbers, strings, lists and tables with string keys always have a JSON form.
    let all = serde_json::to_value(config).unwrap_or(Value::Null);
    let mut flat = Vec::new();
    flatten("", &all, &mut flat);
    flat.retain(|(key, _)| {
        let mut names = key.split('.');
        !WITHOUT_EFFECT.contains(&names.next().unwrap_or_default()) && names.next_back() != Some(SAME_BITS)
    });
    flat.sort();
    flat
}

fn flatten(key: &str, value: &Value, into: &mut Vec<(String, String)>) {
    let below = |name: &str| {
        if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
    };
    match value {
        Value::Object(table) => {
            for (name, value) in table {
                flatten(&below(name), value, into);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (index, value) in list.iter().enumerate() {
                flatten(&below(&index.to_string()), value, into);
            }
        }
        other => into.push((key.to_owned(), other.to_string())),
    }
}
