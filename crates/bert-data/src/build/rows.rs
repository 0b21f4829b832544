//! Examples column by column, before they are an Arrow record batch.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, ListArray, PrimitiveArray, RecordBatch, UInt16Array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{SchemaRef, UInt16Type, UInt32Type};
use arrow::error::ArrowError;

use super::draft::Draft;
use crate::examples::{Columns, position_field, token_field};

/// Ids in two bytes or in four, as the vocabulary needs it.
#[derive(Debug)]
enum Ids {
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

impl Ids {
    fn new(wide: bool) -> Self {
        if wide { Ids::Wide(Vec::new()) } else { Ids::Narrow(Vec::new()) }
    }

    fn len(&self) -> usize {
        match self {
            Ids::Narrow(ids) => ids.len(),
            Ids::Wide(ids) => ids.len(),
        }
    }

    fn extend(&mut self, ids: &[u32]) {
        match self {
            // Two bytes are chosen only when every id of the vocabulary fits.
            Ids::Narrow(narrow) => narrow.extend(ids.iter().map(|&id| id as u16)),
            Ids::Wide(wide) => wide.extend_from_slice(ids),
        }
    }

    /// Appends some of these ids to `other`.
    fn copy_to(&self, range: std::ops::Range<usize>, other: &mut Ids) {
        match (self, other) {
            (Ids::Narrow(from), Ids::Narrow(to)) => to.extend_from_slice(&from[range]),
            (Ids::Wide(from), Ids::Wide(to)) => to.extend_from_slice(&from[range]),
            // Both are of one dataset, and a dataset has one width.
            _ => unreachable!("ids of two widths in one dataset"),
        }
    }

    fn into_array(self) -> ArrayRef {
        match self {
            Ids::Narrow(ids) => Arc::new(PrimitiveArray::<UInt16Type>::from(ids)),
            Ids::Wide(ids) => Arc::new(PrimitiveArray::<UInt32Type>::from(ids)),
        }
    }
}

/// Some examples.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Columns,
    tokens: Ids,
    token_ends: Vec<usize>,
    second_start: Vec<u16>,
    pair_label: Vec<bool>,
    positions: Vec<u16>,
    labels: Ids,
    mask_ends: Vec<usize>,
}

impl Rows {
    pub(super) fn new(columns: Columns) -> Self {
        Rows {
            columns,
            tokens: Ids::new(columns.wide),
            token_ends: Vec::new(),
            second_start: Vec::new(),
            pair_label: Vec::new(),
            positions: Vec::new(),
            labels: Ids::new(columns.wide),
            mask_ends: Vec::new(),
        }
    }

    /// Number of examples.
    pub(super) fn len(&self) -> usize {
        self.token_ends.len()
    }

    /// Number of tokens of all examples.
    pub(super) fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// Number of tokens of one example.
    pub(super) fn tokens_of(&self, row: usize) -> usize {
        self.token_ends[row] - start(&self.token_ends, row)
    }

    pub(super) fn push(&mut self, draft: &Draft) {
        self.tokens.extend(&draft.tokens);
        self.token_ends.push(self.tokens.len());
        // Positions fit into two bytes: an example has at most 65,535 tokens, which `seq_len` guarantees.
        self.second_start.push(draft.second_start as u16);
        self.pair_label.push(draft.pair_label);
        self.positions.extend(draft.positions.iter().map(|&position| position as u16));
        self.labels.extend(&draft.labels);
        self.mask_ends.push(self.labels.len());
    }

    /// Appends an example of `other`.
    pub(super) fn push_row(&mut self, other: &Rows, row: usize) {
        let tokens = start(&other.token_ends, row)..other.token_ends[row];
        let masks = start(&other.mask_ends, row)..other.mask_ends[row];
        other.tokens.copy_to(tokens, &mut self.tokens);
        self.token_ends.push(self.tokens.len());
        self.second_start.push(other.second_start[row]);
        self.pair_label.push(other.pair_label[row]);
        self.positions.extend_from_slice(&other.positions[masks.clone()]);
        other.labels.copy_to(masks, &mut self.labels);
        self.mask_ends.push(self.labels.len());
    }

    pub(super) fn into_batch(self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let Columns { wide, pairing, masked } = self.columns;
        let list = |field, ends: Vec<usize>, items| -> Result<ArrayRef, ArrowError> {
            let offsets: Vec<i32> = std::iter::once(0).chain(ends.into_iter().map(|end| end as i32)).collect();
            Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::new(ScalarBuffer::from(offsets)), items, None)?))
        };
        let mut arrays = vec![list(token_field(wide), self.token_ends, self.tokens.into_array())?];
        if pairing.has_pairs() {
            arrays.push(Arc::new(UInt16Array::from(self.second_start)));
            arrays.push(Arc::new(BooleanArray::from(self.pair_label)));
        }
        if masked {
            let positions: ArrayRef = Arc::new(UInt16Array::from(self.positions));
            arrays.push(list(position_field(), self.mask_ends.clone(), positions)?);
            arrays.push(list(token_field(wide), self.mask_ends, self.labels.into_array())?);
        }
        RecordBatch::try_new(schema.clone(), arrays)
    }
}

fn start(ends: &[usize], row: usize) -> usize {
    if row == 0 { 0 } else { ends[row - 1] }
}
