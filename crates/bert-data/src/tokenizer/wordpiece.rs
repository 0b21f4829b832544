//! WordPiece behind BERT's normaliser, from a list of tokens.

use std::collections::HashMap;
use std::path::Path;

use tokenizers::decoders::wordpiece::WordPiece as Decoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Tokenizer as Library};

use super::cuts::Cuts;
use super::special::{PairLayout, SPECIAL_TOKENS, SpecialIds};
use super::words::Marks;
use super::{Algorithm, Normalization, Parts, Tokenizer};
use crate::checksum::sha256_hex;
use crate::error::{Error, Result};

/// A tokenizer with these tokens in the order of their ids. `origin` is named in errors.
pub(super) fn assemble(tokens: Vec<String>, normalization: Normalization, origin: &Path) -> Result<Tokenizer> {
    let fail = |reason: String| Error::Vocabulary { path: origin.to_owned(), reason };
    let mut ids = HashMap::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        let id = u32::try_from(id).map_err(|_| fail("more than 2^32 tokens".into()))?;
        if let Some(first) = ids.insert(token.clone(), id) {
            return Err(fail(format!(
                "the token `{token}` stands on line {} and again on line {}; every token may come once",
                first + 1,
                id + 1
            )));
        }
    }
    let bert = |token: &str| SPECIAL_TOKENS.contains(&token).then(|| ids.get(token).copied()).flatten();
    let special = SpecialIds::find(bert).map_err(fail)?;
    let library = library(&ids, special, normalization).map_err(|e| fail(e.to_string()))?;
    let mut described = tokens.join("\n");
    described.push_str(&format!("\n{normalization:?}"));
    Ok(Tokenizer::from_parts(Parts {
        algorithm: Algorithm::WordPiece(normalization),
        digest: sha256_hex(described.as_bytes()),
        added: SPECIAL_TOKENS.iter().map(|token| AddedToken::from(*token, true)).collect(),
        tokens,
        ids,
        special,
        pairs: PairLayout::Segments,
        marks: Marks::Continuation,
        cuts: Cuts::AtPunctuation,
        library,
    }))
}

fn library(
    ids: &HashMap<String, u32>,
    special: SpecialIds,
    normalization: Normalization,
) -> tokenizers::Result<Library> {
    let model = WordPiece::builder()
        .vocab(ids.iter().map(|(token, id)| (token.clone(), *id)).collect::<ahash::AHashMap<_, _>>())
        .build()?;
    let mut library = Library::new(model);
    library.with_normalizer(Some(normalization.normalizer()))?;
    library.with_pre_tokenizer(Some(BertPreTokenizer));
    library
        .with_post_processor(Some(BertProcessing::new(("[SEP]".into(), special.sep), ("[CLS]".into(), special.cls))));
    library.with_decoder(Some(Decoder::default()));
    Ok(library)
}
