//! Filters that look at one line: its length and its letters.

use unicode_script::{Script, UnicodeScript};

use super::{Cleaned, CleaningOptions};
use crate::drops::Reason;
use crate::error::{Error, Result};
use crate::sources::Document;

/// The filters of a request.
pub(super) struct Filters {
    min_line_chars: usize,
    scripts: Vec<Script>,
}

impl Filters {
    pub(super) fn new(opts: &CleaningOptions) -> Result<Self> {
        let scripts = opts.scripts.iter().map(|name| {
            script(name).ok_or_else(|| Error::Setting {
                name: "script",
                reason: format!("`{name}` is no Unicode script; Latin, Greek, Cyrillic, Arabic, Han, Hiragana, Katakana, Hangul and Devanagari are some"),
            })
        });
        Ok(Filters { min_line_chars: opts.min_line_chars, scripts: scripts.collect::<Result<_>>()? })
    }

    /// Takes the lines out that do not pass.
    pub(super) fn apply(&self, document: Document) -> Cleaned {
        let mut cleaned = Cleaned::of(document);
        if self.min_line_chars > 0 {
            cleaned.without_lines(Reason::ShortLine, |line| line.chars().count() < self.min_line_chars);
        }
        if !self.scripts.is_empty() {
            cleaned.without_lines(Reason::OtherScript, |line| !self.is_of_script(line));
        }
        cleaned
    }

    /// True when at least half of the letters are of the scripts; a line without letters passes.
    fn is_of_script(&self, line: &str) -> bool {
        let (mut letters, mut such) = (0, 0);
        for character in line.chars().filter(|c| c.is_alphabetic()) {
            let script = character.script();
            // Marks and letters that many scripts share say nothing.
            if !matches!(script, Script::Common | Script::Inherited) {
                letters += 1;
                such += usize::from(self.scripts.contains(&script));
            }
        }
        such * 2 >= letters
    }
}

/// A script by its Unicode name, in any case, or its code of four letters.
fn script(name: &str) -> Option<Script> {
    let capitalised: Vec<String> = name
        .split(['_', ' ', '-'])
        .map(|part| {
            let mut characters = part.chars();
            let first = characters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(characters.map(|c| c.to_ascii_lowercase())).collect()
        })
        .collect();
    let name = capitalised.join("_");
    Script::from_full_name(&name).or_else(|| Script::from_short_name(&name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn kept(opts: &CleaningOptions, lines: &[&str]) -> Vec<String> {
        let paragraphs = lines.iter().map(ToString::to_string).collect();
        let document = Document { paragraphs, ..Document::default() };
        Filters::new(opts).unwrap().apply(document).document.paragraphs
    }

    #[test]
    fn lines_of_other_scripts_are_taken_out() {
        let lines = ["English text", "Русский текст", "Πλάτων, that is Plato", "日本語 text", "1, 2, 3"];
        let opts = |scripts: &[&str]| CleaningOptions {
            scripts: scripts.iter().map(ToString::to_string).collect(),
            ..CleaningOptions::none()
        };
        assert_eq!(
            kept(&opts(&["latin"]), &lines),
            ["English text", "Πλάτων, that is Plato", "日本語 text", "1, 2, 3"]
        );
        assert_eq!(kept(&opts(&["Cyrillic", "GREK"]), &lines), ["Русский текст", "1, 2, 3"]);
        assert_eq!(kept(&opts(&[]), &lines), lines);
        assert_eq!(script("old italic"), Some(Script::Old_Italic));
    }

    #[test]
    fn length_is_counted_in_characters() {
        let opts = CleaningOptions { min_line_chars: 4, ..CleaningOptions::none() };
        assert_eq!(kept(&opts, &["abc", "абв", "日本語だ", "abcd"]), ["日本語だ", "abcd"]);
    }

    #[test]
    fn a_script_that_is_none_is_a_wrong_request() {
        let opts = CleaningOptions { scripts: vec!["klingon".into()], ..CleaningOptions::none() };
        let error = Filters::new(&opts).err().unwrap();
        assert!(error.is_request() && error.to_string().contains("klingon"), "{error}");
    }
}
