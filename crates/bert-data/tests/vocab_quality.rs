//! A vocabulary trained here needs as few tokens for held-out text as one of the `tokenizers` library's own trainer.

#![allow(clippy::unwrap_used)]

use std::fs;

use bert_data::progress::Silent;
use bert_data::sample;
use bert_data::vocab::{VocabOptions, train};
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{AddedToken, Model, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl};

/// Small enough that most words of the sample are cut into pieces.
const SIZE: usize = 400;

type Library =
    TokenizerImpl<WordPiece, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, tokenizers::DecoderWrapper>;

#[test]
fn tokens_per_word_are_within_one_percent_of_the_librarys() {
    let dir = tempfile::tempdir().unwrap();
    let (held_out, training) = sample::corpus().split_last().unwrap();
    let mut options = VocabOptions { size: SIZE, ..Default::default() };
    options.cleaning.duplicates = false;
    options.cleaning.line_repeats = 0;
    for (name, text) in training {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        options.input.push(path.to_str().unwrap().to_string());
    }
    let ours = train(&options, &Silent).unwrap();

    let model = WordPiece::builder().unk_token("[UNK]".into()).build().unwrap();
    let mut library: Library = TokenizerImpl::new(model);
    library.with_normalizer(Some(BertNormalizer::new(true, true, None, true))).unwrap();
    library.with_pre_tokenizer(Some(BertPreTokenizer));
    let special = bert_data::tokenizer::SPECIAL_TOKENS.map(|token| AddedToken::from(token, true));
    let mut trainer = WordPieceTrainer::builder()
        .vocab_size(SIZE)
        .min_frequency(2)
        .limit_alphabet(1000)
        .special_tokens(special.to_vec())
        .show_progress(false)
        .build();
    let lines: Vec<&str> = training.iter().flat_map(|(_, text)| text.lines()).collect();
    library.train(&mut trainer, lines.into_iter()).unwrap();
    assert_eq!((ours.vocab_size(), library.get_model().get_vocab_size()), (SIZE, SIZE));

    let (mut words, mut our_tokens, mut their_tokens) = (0, 0, 0);
    for line in held_out.1.lines() {
        words += line.split_whitespace().count();
        our_tokens += ours.encode(line).len();
        their_tokens += library.encode(line, false).unwrap().len();
    }
    assert!(words > 1000 && their_tokens > words * 5 / 4, "{words} words, {their_tokens} tokens");
    let ratio = our_tokens as f64 / their_tokens as f64;
    assert!(ratio < 1.01, "{our_tokens} tokens, the library's trainer {their_tokens}");
}
