//! Special tokens, by the part they play.

/// The special tokens of BERT in the order in which a vocabulary trained here begins.
pub const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// The special tokens of RoBERTa, in the order of their ids there.
pub const ROBERTA_SPECIAL_TOKENS: [&str; 5] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];

/// The special tokens of ALBERT, in the order of their ids there.
pub const ALBERT_SPECIAL_TOKENS: [&str; 5] = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"];

/// The names a part goes by: BERT's, RoBERTa's, XLNet's.
const PARTS: [[&str; 3]; 5] = [
    ["[PAD]", "<pad>", "<pad>"],
    ["[UNK]", "<unk>", "<unk>"],
    ["[CLS]", "<s>", "<cls>"],
    ["[SEP]", "</s>", "<sep>"],
    ["[MASK]", "<mask>", "<mask>"],
];

/// Ids of the special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialIds {
    /// `[PAD]`, `<pad>`: fills a padded batch.
    pub pad: u32,
    /// `[UNK]`, `<unk>`: stands for a word the vocabulary cannot spell.
    pub unk: u32,
    /// `[CLS]`, `<s>`: begins every sequence.
    pub cls: u32,
    /// `[SEP]`, `</s>`: ends every segment.
    pub sep: u32,
    /// `[MASK]`, `<mask>`: stands in place of a token to predict.
    pub mask: u32,
}

impl SpecialIds {
    /// Finds the special tokens under any of their names.
    pub(super) fn find(id_of: impl Fn(&str) -> Option<u32>) -> std::result::Result<Self, String> {
        let find = |part: usize| {
            let found = PARTS[part].iter().find_map(|name| id_of(name));
            found.ok_or_else(|| {
                let [bert, roberta, _] = PARTS[part];
                let all = PARTS.map(|[name, ..]| name).join(" ");
                format!("the token {bert} is missing (or {roberta}); a vocabulary needs {all}")
            })
        };
        Ok(SpecialIds { pad: find(0)?, unk: find(1)?, cls: find(2)?, sep: find(3)?, mask: find(4)? })
    }

    pub(super) fn all(self) -> [u32; 5] {
        [self.pad, self.unk, self.cls, self.sep, self.mask]
    }
}

/// How two texts stand in one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairLayout {
    /// `[CLS] a [SEP] b [SEP]`, told apart by segment ids.
    Segments,
    /// `<s> a </s></s> b </s>`, without segments (RoBERTa).
    DoubleSeparator,
}

/// True for placeholders that no text has: `[unusedN]` of the released BERT vocabularies, `madeupwordN` of RoBERTa's.
pub(super) fn is_unused(token: &str) -> bool {
    let number = match token.strip_prefix("[unused") {
        Some(rest) => rest.strip_suffix(']'),
        None => token.strip_prefix("madeupword"),
    };
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}
