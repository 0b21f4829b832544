//! The corpus itself: documents of the grammar as text files.

use crate::floor::documents;
use crate::grammar::Grammar;
use crate::readme::Sizes;

/// Everything random follows from it.
pub const SEED: u64 = 20;
/// Fewest and most sentences of a document.
pub const SENTENCES: (usize, usize) = (12, 40);
/// Number of documents.
const DOCUMENTS: usize = 760;
/// Number of files they are spread over.
const FILES: usize = 4;

/// The sample's texts.
#[derive(Debug)]
pub struct Corpus {
    /// (name, text), in the `text` format.
    pub files: Vec<(String, String)>,
    /// How often each word of the grammar occurs, as a share; none is 0.
    pub frequencies: Vec<f64>,
    /// How large it is.
    pub sizes: Sizes,
}

impl Corpus {
    /// Writes all documents.
    pub fn new(grammar: &Grammar) -> Self {
        let documents = documents(grammar, DOCUMENTS, SENTENCES, SEED, 1);
        // Half a count for a word that never came.
        let mut counts = vec![0.5; grammar.words.list.len()];
        for &word in documents.iter().flatten().flatten() {
            counts[word as usize] += 1.0;
        }
        let total: f64 = counts.iter().sum();
        let texts: Vec<String> = documents
            .iter()
            .map(|document| {
                let lines = document.iter().map(|sentence| grammar.spell(sentence) + "\n");
                lines.collect()
            })
            .collect();
        let files = texts
            .chunks(DOCUMENTS.div_ceil(FILES))
            .enumerate()
            .map(|(number, texts)| (format!("stories-{}.txt", number + 1), texts.join("\n")))
            .collect();
        Corpus {
            files,
            frequencies: counts.iter().map(|count| count / total).collect(),
            sizes: Sizes {
                documents: documents.len(),
                sentences: documents.iter().map(Vec::len).sum(),
                words: documents.iter().flatten().map(Vec::len).sum(),
                vocabulary: grammar.words.list.len(),
                states: grammar.classes[0].states.len(),
                classes: grammar.classes.len(),
            },
        }
    }
}
