//! The text that goes with the sample: what it is, and the best that is possible on it.

use std::fmt::Write;

use crate::floor::{Estimate, Floor};
use crate::inference::Corruption;

/// The command that makes all of it.
pub const COMMAND: &str = "cargo run --release -p bert-data --example sample_corpus -- data";

/// Sizes of the corpus.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Number of documents.
    pub documents: usize,
    /// Number of sentences.
    pub sentences: usize,
    /// Number of words and full stops.
    pub words: usize,
    /// Number of different words.
    pub vocabulary: usize,
    /// Number of sentence patterns' states in one class.
    pub states: usize,
    /// Number of classes: topics times people.
    pub classes: usize,
}

fn pair(estimate: Estimate) -> String {
    format!("{:.3} ± {:.3}", estimate.mean, estimate.error)
}

/// `floor.toml`: the figures for programs.
pub fn floor_toml(floors: &[Floor], corruption: Corruption) -> String {
    let mut text = format!(
        "# The best that any model can reach on the sample, by exact inference in its grammar; README.md says how.\n\
         # Losses in nats for each predicted token; `_error` is the standard error. Made by\n#   {COMMAND}\n\n\
         [corruption]\nrate = {:?}\nmask = {:?}\nrandom = {:?}\nvocabulary = {}\n",
        corruption.rate, corruption.mask, corruption.random, corruption.vocabulary
    );
    for floor in floors {
        let _ = write!(
            text,
            "\n[[context]]\nseq_len = {}\nexamples = {}\npredictions = {}\n",
            floor.seq_len, floor.examples, floor.predictions
        );
        for (name, estimate) in [
            ("mlm_loss", floor.mlm_loss),
            ("mlm_accuracy", floor.mlm_accuracy),
            ("unigram_loss", floor.unigram_loss),
            ("unigram_accuracy", floor.unigram_accuracy),
            ("nsp_loss", floor.nsp_loss),
            ("nsp_accuracy", floor.nsp_accuracy),
        ] {
            let _ = write!(text, "{name} = {:.4}\n{name}_error = {:.4}\n", estimate.mean, estimate.error);
        }
    }
    text
}

/// `README.md` of the sample.
pub fn readme(floors: &[Floor], corruption: Corruption, sizes: Sizes) -> String {
    let mut table = String::new();
    for floor in floors {
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            floor.seq_len,
            pair(floor.mlm_loss),
            pair(floor.mlm_accuracy),
            pair(floor.unigram_loss),
            pair(floor.unigram_accuracy),
            pair(floor.nsp_loss),
            pair(floor.nsp_accuracy),
            floor.examples,
        );
    }
    let Sizes { documents, sentences, words, vocabulary, states, classes } = sizes;
    let (percent, vocabulary_size) = (100.0 * corruption.rate, corruption.vocabulary);
    format!(
        r#"# The sample corpus

Little stories, written by a grammar that belongs to this project: {documents} documents, {sentences} sentences,
{words} words and full stops, {vocabulary} different ones. One sentence a line, a blank line between documents.
Nothing in them was copied from elsewhere; they have the licence of the project. The files are made, byte for byte
the same each time, by

    {COMMAND}

which also works out the figures below (minutes). The words are in
`crates/bert-data/examples/sample_corpus/topics.txt`, the sentence patterns in `grammar.rs` beside it.

## The grammar

A document has a class: one of eight topics and one of eight people, {classes} in all, each as likely. A class is a
hidden Markov model of {states} states or so. Its first sentence tells where the person arrives; after that a
sentence's pattern depends on the pattern before it (a story has an order that it keeps with probability .4), and
within a sentence who, what, where, with what and why depend on one another. Number agrees: it was, they were.

So a masked word can be guessed from its sentence, better from the person and topic of the whole text, and never
quite; and whether two segments belong together shows in person and topic, except when two documents share both.

## The best that is possible

Because the grammar is known, so is the best prediction: the probability of every word at a masked position given all
that the model sees, by the forward-backward algorithm in every class, summed over classes and over the two kinds of
pairs. Averaged over examples from fresh documents of the same grammar, in nats for each predicted token, with
standard errors (examples as independent units):

| length | MLM loss | MLM accuracy | unigram loss | unigram accuracy | NSP loss | NSP accuracy | examples |
|---|---|---|---|---|---|---|---|
{table}
The unigram columns are what the word frequencies of the corpus reach without any context. `floor.toml` has the
same figures for programs.

What was assumed, and which way it errs:

- Pairs are made and cut as in pre-training, short sequences with probability .1 included; {percent}% of the positions
  are predicted, 80% of them masked, 10% replaced by one of {vocabulary_size} tokens, 10% left. Every word of the
  grammar is one token: true when the vocabulary has every word whole. A vocabulary that splits words gives other
  figures for each token.
- The reader knows how often segments continue, begin and end where, counted over other pairs, but not what a
  segment's exact length or cut tells, and takes positions as selected independently although their number is
  fixed. It uses slightly less than there is to know, so the true floor is a trifle lower than the loss printed, and
  a loss a few thousandths below is no contradiction.
- Everything else is exact: the inference agrees with enumeration of all paths on a tiny grammar
  (`crates/bert-data/tests/sample_inference.rs`), and the loss that the reader expects of itself equals the one it
  makes, within their errors.
"#
    )
}
