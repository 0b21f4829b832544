//! The files under `configs/`, embedded, so that `--config base` works anywhere.

use crate::error::{ConfigError, Result};

/// What a configuration is for; names are looked up in the folder of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `configs/models`: shapes of models.
    Models,
    /// `configs/pretrain`: whole pre-training runs.
    Pretrain,
    /// `configs/finetune`: fine-tuning settings.
    Finetune,
}

macro_rules! embedded {
    ($folder:literal: $($name:literal)*) => {
        &[$((
            $name,
            include_str!(concat!("../../../../configs/", $folder, "/", $name, ".toml")),
        )),*]
    };
}

const MODELS: &[(&str, &str)] = embedded!("models": "tiny" "mini" "small" "medium" "base" "large");
const PRETRAIN: &[(&str, &str)] = embedded!("pretrain": "quickstart" "tiny" "mini" "small" "base" "large");
const FINETUNE: &[(&str, &str)] = embedded!("finetune": "default");

impl Kind {
    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Models => MODELS,
            Self::Pretrain => PRETRAIN,
            Self::Finetune => FINETUNE,
        }
    }

    /// The folder's name under `configs/`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Pretrain => "pretrain",
            Self::Finetune => "finetune",
        }
    }
}

/// The names that `--config` (or `model = ..`) knows.
pub fn names(kind: Kind) -> impl Iterator<Item = &'static str> {
    kind.files().iter().map(|(name, _)| *name)
}

/// The text of a built-in configuration.
pub(super) fn text(kind: Kind, name: &str) -> Result<&'static str> {
    let found = kind.files().iter().find(|(known, _)| *known == name);
    let (_, text) = found.ok_or_else(|| {
        let known: Vec<_> = names(kind).collect();
        ConfigError {
            origin: format!("{name:?}"),
            key: String::new(),
            problem: "no built-in configuration has this name".into(),
            cure: format!(
                "{}give one of {}, or the path of a .toml file",
                did_you_mean(name, known.iter().copied()),
                known.join(", ")
            ),
        }
    })?;
    Ok(text)
}

/// `did you mean "x"? ` when a known name is near, otherwise nothing.
pub(super) fn did_you_mean<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len().min(wrong.len()) / 3)
        .map_or_else(String::new, |(_, name)| format!("did you mean `{name}`? "))
}
