//! One or two texts as a model's input.

use crate::tokenizer::{PairLayout, Tokenizer};

/// `[CLS] a [SEP]`, or `[CLS] a [SEP] b [SEP]`, of at most `max_len` tokens, and the index of the first token of `b` (the
/// number of tokens when there is none). Where the tokenizer has RoBERTa's layout, a pair is `<s> a </s></s> b </s>` and all of
/// it one segment.
///
/// Too long a pair loses tokens at the end of whichever text is longer, one at a time, the second on a tie, as BERT's
/// `run_classifier.py` does. A `max_len` too short for the special tokens is not obeyed: those always stand.
pub fn encode_pair(tok: &Tokenizer, a: &str, b: Option<&str>, max_len: usize) -> (Vec<u32>, usize) {
    let special = tok.special();
    let mut first = tok.encode(a);
    let mut second = b.map(|b| tok.encode(b)).unwrap_or_default();
    let double = b.is_some() && tok.pair_layout() == PairLayout::DoubleSeparator;
    let room = max_len.saturating_sub(if b.is_some() { 3 + usize::from(double) } else { 2 });
    while first.len() + second.len() > room {
        if first.len() > second.len() {
            first.pop();
        } else {
            second.pop();
        }
    }
    let mut ids = Vec::with_capacity(first.len() + second.len() + 3);
    ids.push(special.cls);
    ids.append(&mut first);
    ids.push(special.sep);
    let mut second_start = ids.len();
    if b.is_some() {
        if double {
            ids.push(special.sep);
        }
        ids.append(&mut second);
        ids.push(special.sep);
    }
    if double {
        second_start = ids.len();
    }
    (ids, second_start)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_longer_text_is_cut_first() {
        let tokens = "[PAD] [UNK] [CLS] [SEP] [MASK] a b c d e".split(' ').map(String::from).collect();
        let tok = Tokenizer::from_vocab(tokens, true).unwrap();
        let encode = |a, b, max_len| {
            let (ids, second_start) = encode_pair(&tok, a, b, max_len);
            let names: Vec<&str> = ids.iter().map(|&id| tok.decode_token(id)).collect();
            (names.join(" "), second_start)
        };
        assert_eq!(encode("a b", None, 9), ("[CLS] a b [SEP]".into(), 4));
        assert_eq!(encode("a b c", None, 4), ("[CLS] a b [SEP]".into(), 4));
        assert_eq!(encode("a b", Some("c"), 9), ("[CLS] a b [SEP] c [SEP]".into(), 4));
        assert_eq!(encode("a b c d", Some("d e"), 7), ("[CLS] a b [SEP] d e [SEP]".into(), 4));
        assert_eq!(encode("a b", Some("d e"), 6), ("[CLS] a b [SEP] d [SEP]".into(), 4));
        assert_eq!(encode("", Some(""), 8), ("[CLS] [SEP] [SEP]".into(), 2));
        assert_eq!(encode("a", Some("b"), 0), ("[CLS] [SEP] [SEP]".into(), 2));
    }
}
