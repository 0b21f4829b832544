//! An example as a person reads it.

use std::fmt::Write;

use crate::build::Pairing;
use crate::error::{Error, Result};
use crate::examples::ExampleSet;
use crate::loader::MaskedExample;
use crate::masking::Masker;
use crate::tokenizer::Tokenizer;

/// Columns of the text.
const WIDTH: usize = 100;

/// Example `index` as a training run with this seed sees it in this epoch. A masked token is shown as `[MASK](original)`, a
/// replaced one as `random(original)`, one to predict that was left alone as `token(=)`. Of permutation targets the rank is shown,
/// as `token(#rank)`.
///
/// # Errors
/// [`Error::Setting`] when the split has no such example.
pub fn describe(
    set: &ExampleSet,
    tok: &Tokenizer,
    masker: &Masker,
    seed: u64,
    epoch: u64,
    index: usize,
) -> Result<String> {
    if index >= set.len() {
        return Err(Error::Setting {
            name: "example",
            reason: format!(
                "{index} is not there; the {} split has {} examples, counted from 0",
                set.split().name(),
                set.len()
            ),
        });
    }
    let example = MaskedExample::new(set, masker, seed, epoch, index);
    let words = words(&example, tok);
    let (first, second) = words.split_at(example.second_start);
    let next = match (example.pair_label, set.manifest().settings.pairing) {
        (None, _) => "one segment",
        (Some(true), Pairing::Sop) => "A and B are not in their order",
        (Some(true), _) => "B comes from another document",
        (Some(false), _) => "B follows A in its document",
    };
    let masks = match set.manifest().settings.static_masks {
        Some(_) => "masks drawn while building".to_string(),
        None => format!("masks of seed {seed}, epoch {epoch}"),
    };
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{} example {index} of {}, {masks}", set.split().name(), set.len());
    let _ = writeln!(text, "{} tokens, {} to predict; {next}\n", words.len(), example.positions.len());
    for (name, segment) in [("A", first), ("B", second)].into_iter().filter(|(_, segment)| !segment.is_empty()) {
        let _ = writeln!(text, "{name}  {}\n", wrap(segment));
    }
    Ok(text)
}

/// The tokens as they are shown.
fn words(example: &MaskedExample, tok: &Tokenizer) -> Vec<String> {
    let mut words: Vec<String> = example.input_ids.iter().map(|&id| tok.readable_token(id).into_owned()).collect();
    for (&position, &label) in example.positions.iter().zip(&example.labels) {
        let position = position as usize;
        let original = match example.ranks.get(position) {
            Some(rank) => format!("#{rank}").into(),
            None if example.input_ids[position] == label => "=".into(),
            None => tok.readable_token(label),
        };
        words[position] = format!("{}({original})", words[position]);
    }
    words
}

/// Words in lines of [`WIDTH`] columns, with room for the segment's name at the left.
fn wrap(words: &[String]) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in words {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH {
            text.push_str("\n   ");
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text
}
