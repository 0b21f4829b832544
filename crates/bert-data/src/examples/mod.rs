//! Reading a dataset: the Arrow files of a split, memory-mapped, any example at once and without a copy.

mod shard;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::build::{Pairing, TOKENIZER_FOLDER};
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use shard::Shard;

/// Which part of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// What the model learns from.
    Train,
    /// Documents held out, none of whose text is in the training split.
    Validation,
}

impl Split {
    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
        }
    }
}

/// Token ids where they lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenIds<'a> {
    /// Two bytes an id: vocabularies of fewer than 65,536 tokens.
    U16(&'a [u16]),
    /// Four bytes an id.
    U32(&'a [u32]),
}

impl TokenIds<'_> {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        match self {
            TokenIds::U16(ids) => ids.len(),
            TokenIds::U32(ids) => ids.len(),
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let (narrow, wide): (&[u16], &[u32]) = match self {
            TokenIds::U16(ids) => (ids, &[]),
            TokenIds::U32(ids) => (&[], ids),
        };
        narrow.iter().map(|&id| u32::from(id)).chain(wide.iter().copied())
    }

    /// A copy of the ids.
    pub fn to_vec(&self) -> Vec<u32> {
        self.iter().collect()
    }
}

/// One example as it is stored: unmasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example<'a> {
    /// `[CLS] A [SEP] B [SEP]`, or `[CLS] A [SEP]`.
    pub tokens: TokenIds<'a>,
    /// Index of the first token of segment B; the number of tokens when there is none.
    pub second_start: usize,
    /// What is to be told of a pair. `nsp`: B comes from another document; `sop`: the segments are not in their order. None where
    /// examples are no pairs.
    pub pair_label: Option<bool>,
    /// Masks drawn while building; none: the example is unmasked.
    pub masks: Option<Masks<'a>>,
}

/// The masks of an example whose tokens are masked already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masks<'a> {
    /// Positions to predict, ascending.
    pub positions: &'a [u16],
    /// The tokens that stood there.
    pub labels: TokenIds<'a>,
}

/// Which columns the files of a dataset have.
///
/// Always `tokens`; for pairs `second_start` and the label, `is_random_next` or `is_swapped`; with static masks
/// `masked_positions` and `masked_labels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Columns {
    /// Four bytes an id instead of two.
    pub(crate) wide: bool,
    /// What an example is.
    pub(crate) pairing: Pairing,
    /// Whether masks were drawn while building.
    pub(crate) masked: bool,
}

impl Columns {
    /// The columns of a dataset.
    fn of(manifest: &Manifest) -> Self {
        Columns {
            wide: manifest.tokenizer.id_type == "uint32",
            pairing: manifest.settings.pairing,
            masked: manifest.settings.static_masks.is_some(),
        }
    }
}

/// The field of one id in a list of tokens.
pub(crate) fn token_field(wide: bool) -> FieldRef {
    let ids = if wide { DataType::UInt32 } else { DataType::UInt16 };
    Arc::new(Field::new("item", ids, false))
}

/// The field of one position in a list of masked positions.
pub(crate) fn position_field() -> FieldRef {
    Arc::new(Field::new("item", DataType::UInt16, false))
}

/// The schema of an Arrow file of examples. Its metadata name the pairing.
pub(crate) fn schema(columns: Columns) -> SchemaRef {
    let Columns { wide, pairing, masked } = columns;
    let mut fields = vec![Field::new("tokens", DataType::List(token_field(wide)), false)];
    if pairing.has_pairs() {
        let label = if pairing == Pairing::Sop { "is_swapped" } else { "is_random_next" };
        fields.push(Field::new("second_start", DataType::UInt16, false));
        fields.push(Field::new(label, DataType::Boolean, false));
    }
    if masked {
        fields.push(Field::new("masked_positions", DataType::List(position_field()), false));
        fields.push(Field::new("masked_labels", DataType::List(token_field(wide)), false));
    }
    let metadata = HashMap::from([("pairing".to_string(), pairing.name().to_string())]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// All examples of one split.
#[derive(Debug)]
pub struct ExampleSet {
    manifest: Manifest,
    split: Split,
    shards: Vec<Shard>,
    /// Number of examples in the shards up to and including each.
    ends: Vec<usize>,
    tokenizer: PathBuf,
}

impl ExampleSet {
    /// Maps the files of a split and checks them against the manifest: layout, lengths, schema, number of examples. Ids are
    /// not read; [`verify`](crate::verify::verify) checks every byte.
    ///
    /// A split that was not asked for when the dataset was built is an empty set.
    ///
    /// # Errors
    /// [`Error::Io`] for a missing file, [`Error::Damaged`] for one that does not fit the manifest.
    pub fn open(dir: &Path, split: Split) -> Result<Self> {
        let manifest = Manifest::read(dir)?;
        let columns = Columns::of(&manifest);
        let mut shards = Vec::new();
        let mut ends = Vec::new();
        let mut examples = 0;
        for record in manifest.files.iter().filter(|file| file.split == split) {
            let path = dir.join(&record.name);
            let shard = Shard::open(&path, columns)?;
            if shard.len() as u64 != record.examples {
                return Err(Error::Damaged {
                    path,
                    reason: format!(
                        "it holds {} examples and the manifest says {}; build the dataset again",
                        shard.len(),
                        record.examples
                    ),
                });
            }
            examples += shard.len();
            shards.push(shard);
            ends.push(examples);
        }
        Ok(ExampleSet { manifest, split, shards, ends, tokenizer: dir.join(TOKENIZER_FOLDER) })
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// True when the split has no examples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Example `i`, counted through all files of the split.
    ///
    /// # Panics
    /// When `i` is not below [`len`](Self::len), as a slice does.
    pub fn get(&self, i: usize) -> Example<'_> {
        let shard = self.ends.partition_point(|&end| end <= i);
        let before = if shard == 0 { 0 } else { self.ends[shard - 1] };
        self.shards[shard].get(i - before)
    }

    /// What the dataset was made from and how.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The split this set holds.
    pub fn split(&self) -> Split {
        self.split
    }

    /// The dataset's own copy of its tokenizer, for [`Tokenizer::open`](crate::tokenizer::Tokenizer::open).
    pub fn tokenizer_dir(&self) -> &Path {
        &self.tokenizer
    }
}
