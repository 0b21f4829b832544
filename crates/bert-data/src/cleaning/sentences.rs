//! Paragraphs -> sentences, by rules for English and languages with similar punctuation, and for CJK text.
//!
//! Next-sentence pairs need segments that are roughly sentences; a wrong boundary now and then does no harm, and no text is
//! ever lost: the sentences, joined by white space, are the paragraph.

/// Titles and the like before a full stop: a name follows, so the sentence goes on. In lower case, without the stop.
const BEFORE_NAMES: &[&str] = &[
    "mr", "mrs", "ms", "messrs", "mme", "mlle", "mx", "dr", "drs", "prof", "rev", "revd", "fr", "hon", "st", "ste",
    "sr", "sra", "srta", "gen", "col", "capt", "cpt", "cmdr", "lt", "sgt", "cpl", "pvt", "maj", "adm", "gov", "sen",
    "rep", "pres", "supt", "det", "insp", "mt", "ft", "herr", "hr", "frl", "mgr", "msgr", "vs", "viz", "cf", "e.g",
    "i.e", "eg", "ie", "z.b", "d.h", "u.a", "bzw", "ca", "approx", "al", "gebr", "nr", "med", "jur", "u", "av",
];
/// Words before a number: `No. 5`, `p. 12`, `Vol. II`.
const BEFORE_NUMBERS: &[&str] = &[
    "no", "nos", "vol", "vols", "fig", "figs", "p", "pp", "ch", "chap", "sec", "art", "op", "opp", "eq", "eqs", "ex",
    "pt", "bk", "ver", "abs", "bd", "s", "num", "tab", "c", "b", "d", "fl", "r", "ed", "eds",
];
/// Abbreviations that may also be the last word of a sentence.
const MAY_END: &[&str] = &[
    "jr", "etc", "inc", "ltd", "co", "corp", "bros", "dept", "univ", "assn", "ave", "blvd", "rd", "est", "jan", "feb",
    "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mon", "tue", "tues", "wed", "thu", "thurs",
    "fri", "u.s", "u.s.a", "u.k", "u.n", "e.u", "u.s.s.r", "a.m", "p.m", "b.c", "a.d", "b.c.e", "c.e", "ph.d", "m.d",
    "b.a", "m.a", "d.c", "l.a", "n.y", "esq", "usw",
];
/// Words that begin a sentence far more often than a name: behind an abbreviation that may end one, they tell that it did.
const BEGINNINGS: &[&str] = &[
    "a", "after", "again", "all", "also", "although", "an", "and", "another", "as", "at", "because", "before", "both",
    "but", "by", "despite", "during", "each", "for", "from", "he", "her", "here", "his", "how", "however", "i", "if",
    "in", "it", "its", "later", "many", "more", "most", "my", "no", "now", "of", "on", "once", "one", "or", "other",
    "our", "she", "since", "so", "some", "such", "that", "the", "their", "then", "there", "these", "they", "this",
    "those", "though", "through", "to", "two", "under", "until", "upon", "was", "we", "what", "when", "where", "while",
    "who", "why", "with", "yet", "you", "your",
];
/// Words behind ordinal numbers in languages that write those with a full stop: `3. Oktober`, `18. Jahrhundert`.
const BEHIND_ORDINALS: &[&str] = &[
    "januar",
    "jänner",
    "februar",
    "märz",
    "april",
    "mai",
    "juni",
    "juli",
    "august",
    "september",
    "oktober",
    "november",
    "dezember",
    "marts",
    "maj",
    "december",
    "oktobra",
    "januára",
    "jahrhundert",
    "jahrhunderts",
    "jahrtausend",
    "jh",
    "jahrestag",
    "geburtstag",
    "auflage",
];

/// Cuts a paragraph into its sentences, trimmed and not empty.
///
/// A sentence ends after `.`, `!`, `?`, `…` or the marks of other scripts (`؟`, `।`, `።` and others), and closing quotation
/// marks or brackets behind them, where white space follows and then something that can begin a sentence: a capital letter, a
/// letter of a script without case, a digit, or an opening quotation mark or bracket. No sentence ends at the full stop of an
/// abbreviation, an initial or an enumeration (`Mr.`, `J. S.`, `No. 5`, `2.`), unless a word follows that seldom goes on. After `。`, `！`, `？`
/// and `｡` no white space is needed, but what is quoted goes on with the sentence around it (`「行く。」と言った`).
pub fn split_sentences(paragraph: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut characters = paragraph.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let wide = is_wide_mark(character);
        if !wide && !is_mark(character) {
            continue;
        }
        // The end of a sentence takes further marks and closing quotation marks or brackets with it: `?!`, `."`, `.)`.
        let mut end = at + character.len_utf8();
        let mut closed = false;
        while let Some(&(next_at, next)) = characters.peek() {
            let closes = is_closing(next);
            if !closes && !is_mark(next) && !is_wide_mark(next) {
                break;
            }
            closed |= closes;
            end = next_at + next.len_utf8();
            characters.next();
        }
        let guillemet = spaced_guillemet(&paragraph[end..]);
        if guillemet > 0 {
            closed = true;
            end += guillemet;
            while characters.next_if(|&(next_at, _)| next_at < end).is_some() {}
        }
        let ends = match wide {
            true => !goes_on(&paragraph[end..], closed),
            false => {
                let plain = character == '.' && end == at + 1;
                sentence_may_begin(&paragraph[end..])
                    && !(plain && is_no_end(paragraph[start..at].trim_start(), paragraph[end..].trim_start()))
            }
        };
        if ends {
            push_trimmed(&mut sentences, &paragraph[start..end]);
            start = end;
        }
    }
    push_trimmed(&mut sentences, &paragraph[start..]);
    sentences
}

/// Marks behind which white space has to come.
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '.' | '!'
            | '?'
            | '…'
            | '‼'
            | '⁇'
            | '⁈'
            | '⁉'
            | '؟'
            | '۔'
            | '।'
            | '॥'
            | '።'
            | '፧'
            | '។'
            | '။'
            | '։'
    )
}

/// Marks of scripts that write without spaces.
fn is_wide_mark(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '｡')
}

/// What closes a quotation or a bracket directly behind a mark. German closes with what opens in English and French (`„Ja.“`).
fn is_closing(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | ')'
            | ']'
            | '”'
            | '’'
            | '“'
            | '‘'
            | '»'
            | '›'
            | '«'
            | '‹'
            | '」'
            | '』'
            | '）'
            | '】'
            | '》'
            | '〉'
    )
}

/// Length of a closing guillemet behind white space, as French writes it (`« Non ! »`); 0 where there is none. With a word
/// directly behind, it opens instead (`Er kam. »Ja«, sagte er.`).
fn spaced_guillemet(rest: &str) -> usize {
    let trimmed = rest.trim_start();
    match trimmed.strip_prefix('»') {
        Some(after) if trimmed.len() < rest.len() && !after.starts_with(char::is_alphanumeric) => {
            rest.len() - after.len()
        }
        _ => 0,
    }
}

fn is_opening(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | '('
            | '['
            | '“'
            | '‘'
            | '„'
            | '‚'
            | '«'
            | '‹'
            | '»'
            | '›'
            | '—'
            | '–'
            | '¿'
            | '¡'
            | '「'
            | '『'
            | '（'
    )
}

fn push_trimmed<'a>(sentences: &mut Vec<&'a str>, text: &'a str) {
    let text = text.trim();
    if !text.is_empty() {
        sentences.push(text);
    }
}

/// True when the text after a wide mark belongs to the same sentence: a comma, or, behind a quotation, the Japanese particle that
/// takes it up.
fn goes_on(rest: &str, closed: bool) -> bool {
    rest.starts_with(['、', '，', ','])
        || (closed && rest.starts_with(['と', 'っ', 'の', 'は', 'が', 'を', 'に', 'で', 'も']))
}

/// True when the text after a mark begins with white space and then something that can begin a sentence.
fn sentence_may_begin(rest: &str) -> bool {
    let trimmed = rest.trim_start();
    let after_space = trimmed.len() < rest.len();
    // French has a space behind `«`, and all languages behind a dash.
    let first = trimmed.trim_start_matches(|c| is_opening(c) || c.is_whitespace()).chars().next();
    // Scripts without case, such as Arabic and Hindi, begin sentences with letters that are neither upper nor lower case.
    after_space && first.is_some_and(|c| c.is_numeric() || (c.is_alphabetic() && !c.is_lowercase()))
}

/// True when the full stop between these two texts ends no sentence. `before` begins with the sentence, both are trimmed there.
fn is_no_end(before: &str, after: &str) -> bool {
    let word = before.rsplit(|c: char| c.is_whitespace() || is_opening(c)).next().unwrap_or_default();
    // Longer ones are in no list; and what begins a sentence is short.
    if word.len() > 16 {
        return false;
    }
    let lower = word.to_lowercase();
    let next = next_word(after);
    let next_begins = BEGINNINGS.contains(&next.as_str());
    if word.bytes().all(|byte| byte.is_ascii_digit()) && !word.is_empty() {
        // "1. First" numbers a line, "3. Oktober" is a day.
        return word.len() <= 2 && (word.len() == before.len() || BEHIND_ORDINALS.contains(&next.as_str()));
    }
    if is_initial(word) {
        // "vitamin C. The", but "J. Smith"; a single letter at the beginning numbers a line.
        return word.len() == before.len() || !next_begins;
    }
    if BEFORE_NAMES.contains(&lower.as_str()) {
        return true;
    }
    // "z. B." and "i. d. R." are one abbreviation with spaces.
    let one_small = |text: &str| text.chars().count() == 1 && text.chars().all(char::is_lowercase);
    if one_small(word) && next.chars().count() == 1 && after.get(next.len()..).is_some_and(|rest| rest.starts_with('.'))
    {
        return true;
    }
    if BEFORE_NUMBERS.contains(&lower.as_str()) {
        let roman = |c: char| matches!(c, 'I' | 'V' | 'X' | 'L' | 'C');
        let number = after.trim_start_matches(is_opening);
        return number.starts_with(char::is_numeric)
            || (number.starts_with(roman) && next.chars().all(|c| roman(c.to_ascii_uppercase())) && next != "i");
    }
    // "Hauptstr. 5" is an address.
    if lower.ends_with("str") && after.starts_with(char::is_numeric) {
        return true;
    }
    // "J.R." and "U.S." are initials in a row.
    let is_dotted = word.split('.').all(is_initial) && word.contains('.');
    (MAY_END.contains(&lower.as_str()) || is_dotted) && !next_begins
}

/// One capital letter, but not the word "I".
fn is_initial(word: &str) -> bool {
    let mut characters = word.chars();
    matches!((characters.next(), characters.next()), (Some(c), None) if c.is_uppercase() && c != 'I')
}

/// The word that a text begins with, in lower case; only its first characters when it is very long.
fn next_word(text: &str) -> String {
    let word = text.trim_start_matches(is_opening).chars().take_while(|c| c.is_alphabetic()).take(16);
    word.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_before_a_beginning_end_a_sentence() {
        assert_eq!(
            split_sentences("It rained. \"Did it?\" he asked. Yes! And (so it is said.) 3 days passed… Then nothing"),
            ["It rained.", "\"Did it?\" he asked.", "Yes!", "And (so it is said.)", "3 days passed…", "Then nothing"]
        );
        assert_eq!(
            split_sentences("He waited... Nothing came. ¿Por qué? «Non.» Was it 1984? 1985 it was."),
            ["He waited...", "Nothing came.", "¿Por qué?", "«Non.»", "Was it 1984?", "1985 it was."]
        );
    }

    #[test]
    fn abbreviations_initials_and_numbers_do_not() {
        for whole in [
            "Mr. Brown met Dr. J. S. Smith at 3.50 p.m. Monday in the U.S. Senate.",
            "Prices (approx. 3.5 million) rose, e.g. by half... or more.",
            "What? he said.",
            "See No. 5, vol. II, pp. 12 and fig. 3 of St. John.",
            "George W. Bush and J.R.R. Tolkien of Smith & Co. Ltd. London met.",
            "1. Introduction to the matter",
            "A. The first letter of a list",
            "Am 3. Oktober 1990 geschah es, d.h. Freitag.",
            "Version 2.0.1 of example.org/a.B is out",
        ] {
            assert_eq!(split_sentences(whole), [whole]);
        }
        assert_eq!(split_sentences("So did I. He left."), ["So did I.", "He left."]);
    }

    #[test]
    fn an_abbreviation_ends_a_sentence_before_a_word_that_begins_one() {
        assert_eq!(
            split_sentences("He lives in the U.S. The house is old."),
            ["He lives in the U.S.", "The house is old."]
        );
        assert_eq!(split_sentences("At 5 p.m. It rained."), ["At 5 p.m.", "It rained."]);
        assert_eq!(
            split_sentences("Vitamin C. It helps. He said no. Peter went."),
            ["Vitamin C.", "It helps.", "He said no.", "Peter went."]
        );
    }

    #[test]
    fn wide_marks_need_no_space() {
        assert_eq!(split_sentences("今日は。元気？はい"), ["今日は。", "元気？", "はい"]);
        assert_eq!(split_sentences("彼は「行く。」と言った。終わり。"), ["彼は「行く。」と言った。", "終わり。"]);
        assert_eq!(
            split_sentences("“你好。”他说。真的吗？！是的……好"),
            ["“你好。”", "他说。", "真的吗？！", "是的……好"]
        );
    }

    #[test]
    fn other_scripts_have_marks_of_their_own() {
        assert_eq!(split_sentences("यह घर है। वह पेड़ है।"), ["यह घर है।", "वह पेड़ है।"]);
        assert_eq!(split_sentences("هل هذا بيت؟ نعم."), ["هل هذا بيت؟", "نعم."]);
    }

    fn squeezed(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace()).collect()
    }

    #[test]
    fn nothing_but_white_space_is_lost() {
        let text = " A. B! ?? C… (D.) \"E.\" f. G\u{a0}H. \u{2003}I.  ";
        assert_eq!(squeezed(&split_sentences(text).join(" ")), squeezed(text));
        assert!(split_sentences("  ").is_empty() && split_sentences("").is_empty());
    }

    #[test]
    fn ten_megabytes_without_a_boundary_take_no_time() {
        for unit in ["a.", ". ", "。、", "((. ", "A. ", "U.S. x", "\u{3000}"] {
            let text = unit.repeat((10 << 20) / unit.len());
            let began = std::time::Instant::now();
            let sentences = split_sentences(&text);
            assert_eq!(sentences.iter().map(|s| squeezed(s).len()).sum::<usize>(), squeezed(&text).len());
            assert!(began.elapsed().as_secs() < 30, "{unit:?} took {:?}", began.elapsed());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_cut_without_loss(text in "([A-Z]\\.|[a-z]{1,3}|[.!?…。！？'\"”)(「」]|[ \u{a0}\n]|Mr|No|U\\.S|[0-9]|\\PC){0,60}") {
            let sentences = split_sentences(&text);
            prop_assert_eq!(squeezed(&sentences.concat()), squeezed(&text));
            for sentence in sentences {
                prop_assert_eq!(sentence, sentence.trim());
                prop_assert!(!sentence.is_empty());
            }
        }
    }
}
