//! What was left out of a dataset, and why: every text that is read but not used is counted here under its reason.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a document, a line or a record was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A wiki page that only points to another one.
    Redirect,
    /// A wiki page that lists the meanings of a word.
    Disambiguation,
    /// A wiki page that is no article: talk, user, file, template, category and so on.
    OtherNamespace,
    /// A wiki page in another language than wikitext: style sheets, scripts, JSON.
    NotWikitext,
    /// A wiki page whose XML cannot be read.
    MalformedXml,
    /// A record that is not valid JSON (only with `skip`, else it is an error).
    MalformedJson,
    /// A record without the text field, or with an empty value in it.
    NoTextField,
    /// A line, record or page with bytes that are not UTF-8 (only with `skip`, else it is an error).
    InvalidUtf8,
    /// A line, record or page longer than [`LONGEST_RECORD`](crate::sources::LONGEST_RECORD).
    TooLong,
    /// A document that holds no text once markup and the title are taken off.
    NoText,
    /// A document that came before, word for word.
    DuplicateDocument,
    /// A document that is nearly the same as one that came before.
    NearDuplicateDocument,
    /// A line that came too often before.
    RepeatedLine,
    /// A line with fewer characters than asked for.
    ShortLine,
    /// A document with fewer characters than asked for.
    ShortDocument,
    /// A line most of whose letters are of scripts that were not asked for.
    OtherScript,
}

impl Reason {
    /// The reason as a person reads it.
    pub fn in_words(self) -> &'static str {
        match self {
            Reason::Redirect => "redirects",
            Reason::Disambiguation => "disambiguation pages",
            Reason::OtherNamespace => "pages that are no articles",
            Reason::NotWikitext => "pages that are not wikitext",
            Reason::MalformedXml => "pages of malformed XML",
            Reason::MalformedJson => "records of malformed JSON",
            Reason::NoTextField => "records without the text field",
            Reason::InvalidUtf8 => "not UTF-8",
            Reason::TooLong => "too long to read",
            Reason::NoText => "documents without text",
            Reason::DuplicateDocument => "duplicate documents",
            Reason::NearDuplicateDocument => "near-duplicate documents",
            Reason::RepeatedLine => "repeated lines",
            Reason::ShortLine => "short lines",
            Reason::ShortDocument => "short documents",
            Reason::OtherScript => "lines of other scripts",
        }
    }
}

/// How much was left out for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dropped {
    /// Whole documents: articles, records, books.
    pub documents: u64,
    /// Lines (paragraphs), those of dropped documents included where they were told apart.
    pub lines: u64,
    /// Length of the text in bytes; of a page or record that was not read as text, the length of its raw form.
    pub bytes: u64,
    /// Sentences with at least one token; known for what cleaning drops, 0 for what a source drops.
    pub sentences: u64,
    /// Tokens; known for what cleaning drops, 0 for what a source drops.
    pub tokens: u64,
}

impl Dropped {
    fn add(&mut self, other: &Dropped) {
        self.documents += other.documents;
        self.lines += other.lines;
        self.bytes += other.bytes;
        self.sentences += other.sentences;
        self.tokens += other.tokens;
    }
}

/// What was left out, by reason.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Drops(BTreeMap<Reason, Dropped>);

impl Drops {
    /// Counts something.
    pub fn add(&mut self, reason: Reason, dropped: Dropped) {
        self.0.entry(reason).or_default().add(&dropped);
    }

    /// Counts a document that was left out before its lines were told apart.
    pub(crate) fn document(&mut self, reason: Reason, bytes: usize) {
        self.add(reason, Dropped { documents: 1, bytes: bytes as u64, ..Dropped::default() });
    }

    /// Counts a line.
    pub(crate) fn line(&mut self, reason: Reason, bytes: usize) {
        self.add(reason, Dropped { lines: 1, bytes: bytes as u64, ..Dropped::default() });
    }

    /// Adds all counts of another list.
    pub fn merge(&mut self, other: &Drops) {
        for (&reason, dropped) in &other.0 {
            self.add(reason, *dropped);
        }
    }

    /// The count for one reason.
    pub fn get(&self, reason: Reason) -> Dropped {
        self.0.get(&reason).copied().unwrap_or_default()
    }

    /// Reasons and counts, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, Dropped)> + '_ {
        self.0.iter().map(|(&reason, &dropped)| (reason, dropped))
    }

    /// True when nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tokens left out for all reasons.
    pub fn tokens(&self) -> u64 {
        self.0.values().map(|dropped| dropped.tokens).sum()
    }
}

impl fmt::Display for Drops {
    /// One line: `12 redirects, 3 duplicate documents`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        for (i, (reason, dropped)) in self.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            // Lines of a dropped document are not what a person counts; lines that were dropped one by one are.
            let count = if dropped.documents > 0 { dropped.documents } else { dropped.lines };
            write!(f, "{comma}{count} {}", reason.in_words())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn counts_add_up_and_come_back_from_json() {
        let mut drops = Drops::default();
        drops.document(Reason::Redirect, 10);
        drops.line(Reason::RepeatedLine, 3);
        let mut other = Drops::default();
        other.document(Reason::Redirect, 5);
        drops.merge(&other);
        assert_eq!(drops.get(Reason::Redirect), Dropped { documents: 2, bytes: 15, ..Dropped::default() });
        assert_eq!(drops.to_string(), "2 redirects, 1 repeated lines");
        let json = serde_json::to_string(&drops).unwrap();
        assert!(json.starts_with("{\"redirect\":{\"documents\":2"), "{json}");
        assert_eq!(serde_json::from_str::<Drops>(&json).unwrap(), drops);
        assert_eq!(Drops::default().to_string(), "nothing");
    }
}
