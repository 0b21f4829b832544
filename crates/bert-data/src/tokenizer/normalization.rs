//! BERT's way of normalising text and of cutting it into words.

use serde::{Deserialize, Serialize};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

/// How text is normalised before it is split into words; the names are Hugging Face's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Normalization {
    /// Lower-case the text (`do_lower_case`).
    pub lowercase: bool,
    /// Remove accents; none: when lower-casing.
    pub strip_accents: Option<bool>,
    /// Put spaces around CJK ideographs, so that each becomes a word (`tokenize_chinese_chars`).
    pub chinese_chars: bool,
    /// Remove control characters and turn all white space into spaces.
    pub clean_text: bool,
}

impl Normalization {
    /// What the released BERT vocabularies use: `lowercase` for the uncased ones.
    pub fn bert(lowercase: bool) -> Self {
        Normalization { lowercase, strip_accents: None, chinese_chars: true, clean_text: true }
    }

    pub(super) fn normalizer(self) -> BertNormalizer {
        BertNormalizer::new(self.clean_text, self.chinese_chars, self.strip_accents, self.lowercase)
    }

    /// The words of a text as the model sees them: normalised, split at white space and around punctuation. Word pieces
    /// never cross a word.
    pub(super) fn words(self, text: &str, mut each: impl FnMut(&str)) {
        let mut normalized = NormalizedString::from(text);
        // Neither step has a way to fail; the signatures are those of the library's traits.
        if self.normalizer().normalize(&mut normalized).is_err() {
            return;
        }
        let mut words = PreTokenizedString::from(normalized.get());
        if BertPreTokenizer.pre_tokenize(&mut words).is_err() {
            return;
        }
        for (word, _, _) in words.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            each(word);
        }
    }
}
