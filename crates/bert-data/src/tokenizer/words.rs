//! Which tokens belong to one word, seen from the tokens alone.

use super::bytes::bytes_of;

/// How a vocabulary marks words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// `##x` continues a word (WordPiece).
    Continuation,
    /// `Ġx` begins a word, and tokens are bytes (byte-level BPE).
    Bytes,
    /// `▁x` begins a word (SentencePiece).
    Beginning,
}

/// What stands at an end of a token. Tokens of one word have the same kind where they meet: `end`, `.`, `The` are three words
/// though no space stands between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Digit,
    /// A script without spaces between words: each token is taken for a word.
    Ideograph,
    Other,
    /// Part of a character, or nothing: goes with anything.
    Open,
}

#[derive(Debug, Clone, Copy)]
struct Edges {
    begins: bool,
    first: Kind,
    last: Kind,
}

/// The ends of every token of a vocabulary.
#[derive(Debug)]
pub(crate) struct WordEdges(Vec<Edges>);

impl WordEdges {
    pub(super) fn new(tokens: &[String], marks: Marks) -> Self {
        WordEdges(tokens.iter().map(|token| edges(token, marks)).collect())
    }

    /// Whether a token goes on with the word of the token before it.
    pub(crate) fn joins(&self, before: u32, id: u32) -> bool {
        let (Some(before), Some(after)) = (self.0.get(before as usize), self.0.get(id as usize)) else {
            return false;
        };
        if after.begins {
            return false;
        }
        match (before.last, after.first) {
            (Kind::Ideograph, _) | (_, Kind::Ideograph) => false,
            (Kind::Open, _) | (_, Kind::Open) => true,
            (last, first) => last == first,
        }
    }
}

fn edges(token: &str, marks: Marks) -> Edges {
    let open = |begins| Edges { begins, first: Kind::Open, last: Kind::Open };
    match marks {
        Marks::Continuation => open(!token.starts_with("##")),
        Marks::Beginning => {
            let text = token.strip_prefix('▁');
            of_text(text.is_some(), text.unwrap_or(token))
        }
        Marks::Bytes => {
            let Some(bytes) = bytes_of(token) else { return open(true) };
            let begins = bytes.first().is_some_and(u8::is_ascii_whitespace);
            let bytes = &bytes[usize::from(begins)..];
            match std::str::from_utf8(bytes) {
                Ok(text) => of_text(begins, text),
                // Characters cut in two; the whole ones at the ends still tell.
                Err(error) => {
                    let first = std::str::from_utf8(&bytes[..error.valid_up_to()]).ok();
                    let first = first.and_then(|text| text.chars().next()).map_or(Kind::Open, kind);
                    Edges { begins, first, last: Kind::Open }
                }
            }
        }
    }
}

fn of_text(begins: bool, text: &str) -> Edges {
    let end = |character: Option<char>| character.map_or(Kind::Open, kind);
    Edges { begins, first: end(text.chars().next()), last: end(text.chars().next_back()) }
}

fn kind(character: char) -> Kind {
    use unicode_script::{Script, UnicodeScript};
    let spaceless = [Script::Han, Script::Hiragana, Script::Katakana, Script::Thai, Script::Lao, Script::Khmer];
    match character {
        c if spaceless.contains(&c.script()) => Kind::Ideograph,
        c if c.is_numeric() => Kind::Digit,
        // Marks have no class of their own in the standard library; they stand inside words.
        c if c.is_alphabetic() || c.script() == Script::Inherited => Kind::Letter,
        _ => Kind::Other,
    }
}

/// A text cut where characters of different kinds meet: no token of a vocabulary trained here reaches over such a place, as in
/// SentencePiece. The mark of a beginning stays with what follows it.
pub(super) fn runs(text: &str, mut each: impl FnMut(&str)) {
    let mut start = 0;
    let mut before = None;
    for (at, character) in text.char_indices().filter(|&(_, character)| character != '▁') {
        let kind = kind(character);
        if before.is_some_and(|before| before != kind) {
            each(&text[start..at]);
            start = at;
        }
        before = Some(kind);
    }
    if start < text.len() {
        each(&text[start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(tokens: &[&str], marks: Marks) -> Vec<String> {
        let vocabulary: Vec<String> = tokens.iter().map(ToString::to_string).collect();
        let edges = WordEdges::new(&vocabulary, marks);
        let mut words: Vec<String> = Vec::new();
        for (id, token) in vocabulary.iter().enumerate() {
            match words.last_mut() {
                Some(word) if edges.joins(id as u32 - 1, id as u32) => word.push_str(token),
                _ => words.push(token.clone()),
            }
        }
        words
    }

    #[test]
    fn runs_are_of_one_kind() {
        let mut found = Vec::new();
        runs("▁(It's1945café東京", |run| found.push(run.to_string()));
        assert_eq!(found, ["▁(", "It", "'", "s", "1945", "café", "東京"]);
    }

    #[test]
    fn words_are_seen_from_marks_and_from_what_meets() {
        assert_eq!(words(&["un", "##aff", "##able", ",", "a"], Marks::Continuation), ["un##aff##able", ",", "a"]);
        assert_eq!(
            words(&["The", "Ġun", "aff", "able", ",", "Ġman", "'", "s", "Ġ19", "45", "th", ".", "Now"], Marks::Bytes),
            ["The", "Ġunaffable", ",", "Ġman", "'", "s", "Ġ1945", "th", ".", "Now"]
        );
        // é is two bytes, Ã and ©; a token may hold one of them.
        assert_eq!(words(&["Ġcaf", "Ã", "©", "s", "ĠÃ©t"], Marks::Bytes), ["ĠcafÃ©s", "ĠÃ©t"]);
        assert_eq!(words(&["▁un", "able", ".", "▁", "x", "▁東", "京", "へ"], Marks::Beginning).len(), 6);
    }
}
