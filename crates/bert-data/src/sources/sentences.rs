//! Paragraphs -> sentences, by rules for English and languages with similar punctuation.
//!
//! Next-sentence pairs need segments that are roughly sentences; a wrong boundary now and then does no harm, and no text is
//! ever lost: the sentences, joined by white space, are the paragraph.

/// Words before a full stop that seldom end a sentence, in lower case and without the stop.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "messrs", "mme", "mlle", "dr", "prof", "rev", "hon", "st", "sr", "jr", "gen", "col", "capt",
    "lt", "sgt", "maj", "gov", "sen", "rep", "pres", "vs", "etc", "e.g", "i.e", "cf", "al", "viz", "no", "nos", "vol",
    "vols", "fig", "figs", "pp", "ed", "eds", "ca", "approx", "inc", "ltd", "co", "corp", "dept", "univ", "jan", "feb",
    "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "u.s", "u.k", "u.n", "a.m", "p.m", "b.c",
    "a.d",
];

/// Cuts a paragraph into its sentences, trimmed and not empty.
///
/// A sentence ends after `.`, `!`, `?` or `…` (and closing quotation marks or brackets behind it) where white space and then
/// something that can begin a sentence follows: a capital letter, a digit, or an opening quotation mark or bracket. A full stop behind an
/// abbreviation or a single initial ends none. After `。`, `！` and `？` no white space is needed.
pub fn split_sentences(paragraph: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut characters = paragraph.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let wide = matches!(character, '。' | '！' | '？');
        if !wide && !matches!(character, '.' | '!' | '?' | '…') {
            continue;
        }
        // The end of a sentence takes further marks and closing quotation marks or brackets with it: `?!`, `."`, `.)`.
        let mut end = at + character.len_utf8();
        while let Some(&(next_at, next)) = characters.peek() {
            if !matches!(next, '.' | '!' | '?' | '…' | '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '」' | '』')
            {
                break;
            }
            end = next_at + next.len_utf8();
            characters.next();
        }
        if !wide && !sentence_may_begin(&paragraph[end..]) {
            continue;
        }
        if character == '.' && end == at + 1 && is_abbreviation(&paragraph[start..at]) {
            continue;
        }
        push_trimmed(&mut sentences, &paragraph[start..end]);
        start = end;
    }
    push_trimmed(&mut sentences, &paragraph[start..]);
    sentences
}

fn push_trimmed<'a>(sentences: &mut Vec<&'a str>, text: &'a str) {
    let text = text.trim();
    if !text.is_empty() {
        sentences.push(text);
    }
}

/// True when the text after a mark begins with white space and then something that can begin a sentence.
fn sentence_may_begin(rest: &str) -> bool {
    let trimmed = rest.trim_start();
    let after_space = trimmed.len() < rest.len();
    let opener = |c: char| matches!(c, '"' | '\'' | '(' | '[' | '“' | '‘' | '«' | '—' | '–');
    let first = trimmed.trim_start_matches(opener).chars().next();
    // Scripts without case, such as Arabic and Hindi, begin sentences with letters that are neither upper nor lower case.
    after_space && first.is_some_and(|c| c.is_numeric() || (c.is_alphabetic() && !c.is_lowercase()))
}

/// True when the text before a full stop ends in an abbreviation or in an initial ("J. S. Bach").
fn is_abbreviation(before: &str) -> bool {
    let word = before
        .rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '"' | '“' | '‘' | '—' | '–'))
        .next()
        .unwrap_or_default();
    let mut characters = word.chars();
    let is_initial = matches!((characters.next(), characters.next()), (Some(c), None) if c.is_uppercase() && c != 'I');
    is_initial || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_before_a_beginning_end_a_sentence() {
        assert_eq!(
            split_sentences("It rained. \"Did it?\" he asked. Yes! And (so it is said.) 3 days passed… Then nothing"),
            ["It rained.", "\"Did it?\" he asked.", "Yes!", "And (so it is said.)", "3 days passed…", "Then nothing"]
        );
    }

    #[test]
    fn abbreviations_initials_and_numbers_do_not() {
        for whole in [
            "Mr. Brown met Dr. J. S. Smith at 3.50 p.m. Monday in the U.S. Senate.",
            "Prices (approx. 3.5 million) rose, e.g. by half... or more.",
            "What? he said.",
        ] {
            assert_eq!(split_sentences(whole), [whole]);
        }
        assert_eq!(split_sentences("So did I. He left."), ["So did I.", "He left."]);
    }

    #[test]
    fn wide_marks_need_no_space() {
        assert_eq!(split_sentences("今日は。元気？はい"), ["今日は。", "元気？", "はい"]);
    }

    #[test]
    fn nothing_but_white_space_is_lost() {
        let text = " A. B! ?? C… (D.) \"E.\" f. G\u{a0}H. \u{2003}I.  ";
        let squeeze = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(squeeze(&split_sentences(text).join(" ")), squeeze(text));
        assert!(split_sentences("  ").is_empty() && split_sentences("").is_empty());
    }
}
