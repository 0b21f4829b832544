//! A vocabulary trained here needs as few tokens for held-out text as one of the `tokenizers` library's own trainer.

#![allow(clippy::unwrap_used)]

use std::fs;

use bert_data::progress::Silent;
use bert_data::sample;
use bert_data::tokenizer::Tokenizer;
use bert_data::vocab::{Algorithm, VocabOptions, train};
use tokenizers::models::unigram::{Unigram, UnigramTrainer};
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::normalizers::{BertNormalizer, Lowercase};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::punctuation::Punctuation;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::{AddedToken, Model, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl};

/// Small enough that most words of the sample are cut into pieces.
const SIZE: usize = 400;

type Library<M> =
    TokenizerImpl<M, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, tokenizers::DecoderWrapper>;

#[test]
fn tokens_per_word_are_within_one_percent_of_the_librarys() {
    let (ours, training, held_out) = trained(Algorithm::WordPiece);

    let model = WordPiece::builder().unk_token("[UNK]".into()).build().unwrap();
    let mut library: Library<WordPiece> = TokenizerImpl::new(model);
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
    library.train(&mut trainer, training.lines()).unwrap();
    assert_eq!((ours.vocab_size(), library.get_model().get_vocab_size()), (SIZE, SIZE));
    compare(&ours, &library, held_out);
}

#[test]
fn tokens_per_word_of_unigram_are_within_one_percent_of_the_librarys() {
    let (ours, training, held_out) = trained(Algorithm::Unigram);

    // The same words: where ours ends them by the kinds of characters, in this text the library's steps do.
    let mut library: Library<Unigram> = TokenizerImpl::new(Unigram::default());
    library.with_normalizer(Some(NormalizerWrapper::from(Lowercase))).unwrap();
    let metaspace = Metaspace::new('▁', PrependScheme::Always, true);
    let steps: Vec<PreTokenizerWrapper> =
        vec![WhitespaceSplit.into(), metaspace.into(), Punctuation::default().into(), Digits::new(false).into()];
    library.with_pre_tokenizer(Some(PreTokenizerWrapper::from(Sequence::new(steps))));
    let special = bert_data::tokenizer::ALBERT_SPECIAL_TOKENS.map(|token| AddedToken::from(token, true));
    let mut trainer = UnigramTrainer::builder()
        .vocab_size(SIZE as u32)
        .special_tokens(special.to_vec())
        .unk_token(Some("<unk>".into()))
        .show_progress(false)
        .build()
        .unwrap();
    library.train(&mut trainer, training.lines()).unwrap();
    assert_eq!((ours.vocab_size(), library.get_model().get_vocab_size()), (SIZE, SIZE));
    compare(&ours, &library, held_out);
}

/// A vocabulary of ours on all but the last of the sample's texts, and both.
fn trained(algorithm: Algorithm) -> (Tokenizer, String, &'static str) {
    let dir = tempfile::tempdir().unwrap();
    let (held_out, training) = sample::corpus().split_last().unwrap();
    let text: String = training.iter().map(|(_, text)| format!("{text}\n")).collect();
    let path = dir.path().join("text.txt");
    fs::write(&path, &text).unwrap();
    let input = vec![path.to_str().unwrap().to_string()];
    let mut options = VocabOptions { input, algorithm, size: SIZE, ..Default::default() };
    options.cleaning.duplicates = false;
    options.cleaning.line_repeats = 0;
    (train(&options, &Silent).unwrap(), text, held_out.1)
}

fn compare<M: Model>(ours: &Tokenizer, library: &Library<M>, held_out: &str) {
    let (mut words, mut our_tokens, mut their_tokens) = (0, 0, 0);
    for line in held_out.lines() {
        words += line.split_whitespace().count();
        our_tokens += ours.encode(line).len();
        their_tokens += library.encode(line, false).unwrap().len();
    }
    println!("{words} words: {our_tokens} tokens, with the library's vocabulary {their_tokens}");
    assert!(words > 1000 && their_tokens > words * 5 / 4, "{words} words, {their_tokens} tokens");
    let ratio = our_tokens as f64 / their_tokens as f64;
    assert!(ratio < 1.01, "{our_tokens} tokens, the library's trainer {their_tokens}");
}
