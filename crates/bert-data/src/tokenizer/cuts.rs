//! Where text may be cut without any effect on its tokens: the pieces in between are what the cache remembers.

/// The ASCII white space that separates words.
///
/// Only these four: other Unicode white space may be a control character, which BERT's normaliser removes, joining the words
/// beside it.
pub(super) const WHITE_SPACE: [char; 4] = [' ', '\n', '\t', '\r'];

/// Where the library's pipeline starts afresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cuts {
    /// At [`WHITE_SPACE`], which belongs to no token.
    AtWhiteSpace,
    /// At [`WHITE_SPACE`], and before and behind every ASCII punctuation mark, which is a token of its own (BERT). Nothing that
    /// the normaliser looks at together, a letter and the marks behind it, reaches over such a place.
    AtPunctuation,
    /// Before a space that follows something else than white space; the space belongs to the piece behind it. No match of
    /// GPT-2's pattern reaches over such a place, and what it looks ahead for lies inside the piece.
    BeforeSpaces,
    /// Nothing is known of the pipeline: the whole text is one piece, and is not remembered.
    Nowhere,
}

impl Cuts {
    /// Calls `each` with the pieces of a text, none of them empty.
    pub(super) fn pieces<'a>(self, text: &'a str, mut each: impl FnMut(&'a str)) {
        match self {
            Cuts::AtWhiteSpace => text.split(WHITE_SPACE).filter(|piece| !piece.is_empty()).for_each(each),
            Cuts::AtPunctuation => {
                let mut start = 0;
                for (at, byte) in text.bytes().enumerate() {
                    let is_mark = byte.is_ascii_punctuation();
                    if is_mark || matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                        if start < at {
                            each(&text[start..at]);
                        }
                        if is_mark {
                            each(&text[at..=at]);
                        }
                        start = at + 1;
                    }
                }
                if start < text.len() {
                    each(&text[start..]);
                }
            }
            Cuts::BeforeSpaces => {
                let mut start = 0;
                for at in memchr::memchr_iter(b' ', text.as_bytes()) {
                    if text[start..at].chars().next_back().is_some_and(|before| !before.is_whitespace()) {
                        each(&text[start..at]);
                        start = at;
                    }
                }
                if start < text.len() {
                    each(&text[start..]);
                }
            }
            Cuts::Nowhere if text.is_empty() => {}
            Cuts::Nowhere => each(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(cuts: Cuts, text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        cuts.pieces(text, |piece| found.push(piece));
        found
    }

    #[test]
    fn spaces_stay_with_what_follows_and_runs_of_white_space_stay_whole() {
        let text = " a  b\n c, d\u{a0} e ";
        assert_eq!(pieces(Cuts::BeforeSpaces, text), [" a", "  b\n c,", " d\u{a0} e", " "]);
        assert_eq!(pieces(Cuts::AtWhiteSpace, text), ["a", "b", "c,", "d\u{a0}", "e"]);
        assert_eq!(pieces(Cuts::AtPunctuation, text), ["a", "b", "c", ",", "d\u{a0}", "e"]);
        assert_eq!(pieces(Cuts::AtPunctuation, "(é-b)c"), ["(", "é", "-", "b", ")", "c"]);
        assert_eq!(pieces(Cuts::Nowhere, text), [text]);
        for cuts in [Cuts::BeforeSpaces, Cuts::AtWhiteSpace, Cuts::AtPunctuation, Cuts::Nowhere] {
            assert!(pieces(cuts, "").is_empty());
        }
    }
}
