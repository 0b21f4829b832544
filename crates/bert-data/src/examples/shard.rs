//! One memory-mapped Arrow IPC file of examples.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::buffer::{BooleanBuffer, Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Fields, UInt16Type, UInt32Type};
use arrow::error::ArrowError;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::{Block, root_as_footer, root_as_message};

use super::{Columns, Example, Masks, TokenIds, schema};
use crate::error::{Error, Result};
use crate::mapping;

/// Bytes after the footer: its length and the closing magic number.
const TRAILER: usize = 10;

/// The record batches of one file. Their buffers are views of the mapped file.
#[derive(Debug)]
pub(super) struct Shard {
    batches: Vec<Batch>,
    /// Number of examples in the batches up to and including each.
    ends: Vec<usize>,
}

#[derive(Debug)]
struct Batch {
    tokens: IdLists,
    pairs: Option<(ScalarBuffer<u16>, BooleanBuffer)>,
    masks: Option<(ScalarBuffer<u16>, IdLists)>,
}

/// A list of ids for each example.
#[derive(Debug)]
struct IdLists {
    ids: Ids,
    offsets: OffsetBuffer<i32>,
}

#[derive(Debug)]
enum Ids {
    U16(ScalarBuffer<u16>),
    U32(ScalarBuffer<u32>),
}

impl IdLists {
    fn new(list: &ListArray) -> Self {
        IdLists {
            ids: match list.values().as_primitive_opt::<UInt16Type>() {
                Some(ids) => Ids::U16(ids.values().clone()),
                None => Ids::U32(list.values().as_primitive::<UInt32Type>().values().clone()),
            },
            offsets: list.offsets().clone(),
        }
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }

    fn get(&self, row: usize) -> TokenIds<'_> {
        let range = self.range(row);
        match &self.ids {
            Ids::U16(ids) => TokenIds::U16(&ids[range]),
            Ids::U32(ids) => TokenIds::U32(&ids[range]),
        }
    }
}

impl Shard {
    /// Maps a file and checks its schema.
    pub(super) fn open(path: &Path, layout: Columns) -> Result<Self> {
        let damaged = |reason: String| Error::Damaged { path: path.to_owned(), reason };
        let buffer = mapping::map(path)?;
        let columns = read_columns(&buffer, layout).map_err(|reason| {
            damaged(format!("{reason}. The file is damaged or of another program; build the dataset again"))
        })?;
        let mut batches = Vec::with_capacity(columns.len());
        let mut ends = Vec::with_capacity(columns.len());
        let mut examples = 0;
        for columns in columns {
            let batch = Batch::new(&columns, layout).map_err(damaged)?;
            if let Some((row, what)) = batch.first_fault() {
                return Err(damaged(format!("example {}: {what}; build the dataset again", examples + row)));
            }
            examples += batch.tokens.offsets.len() - 1;
            ends.push(examples);
            batches.push(batch);
        }
        Ok(Shard { batches, ends })
    }

    pub(super) fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    pub(super) fn get(&self, i: usize) -> Example<'_> {
        let batch = self.ends.partition_point(|&end| end <= i);
        let before = if batch == 0 { 0 } else { self.ends[batch - 1] };
        self.batches[batch].get(i - before)
    }
}

impl Batch {
    /// Takes the columns apart; their types were checked with the schema.
    fn new(columns: &[ArrayRef], layout: Columns) -> std::result::Result<Self, String> {
        let mut columns = columns.iter();
        // The schema has as many columns as the layout asks for.
        let mut next = || columns.next().ok_or("a block with too few columns");
        let tokens = IdLists::new(next()?.as_list());
        let pairs = match layout.pairing.has_pairs() {
            true => {
                Some((next()?.as_primitive::<UInt16Type>().values().clone(), next()?.as_boolean().values().clone()))
            }
            false => None,
        };
        let masks = match layout.masked {
            true => {
                let positions: &ListArray = next()?.as_list();
                let labels = IdLists::new(next()?.as_list());
                if positions.offsets() != &labels.offsets {
                    return Err("an example has not as many masked positions as labels; build the dataset again".into());
                }
                Some((positions.values().as_primitive::<UInt16Type>().values().clone(), labels))
            }
            false => None,
        };
        Ok(Batch { tokens, pairs, masks })
    }

    /// The first example that points outside of its own tokens, which whoever uses it takes for granted. Ids are not looked at.
    fn first_fault(&self) -> Option<(usize, String)> {
        (0..self.tokens.offsets.len() - 1).find_map(|row| {
            let tokens = self.tokens.range(row).len();
            if let Some((starts, _)) = &self.pairs
                && usize::from(starts[row]) > tokens
            {
                return Some((row, format!("segment B begins at {} of {tokens} tokens", starts[row])));
            }
            let (positions, labels) = self.masks.as_ref()?;
            let outside = positions[labels.range(row)].iter().find(|&&position| usize::from(position) >= tokens)?;
            Some((row, format!("position {outside} of {tokens} tokens is masked")))
        })
    }

    fn get(&self, row: usize) -> Example<'_> {
        let tokens = self.tokens.get(row);
        Example {
            tokens,
            second_start: self.pairs.as_ref().map_or(tokens.len(), |(starts, _)| usize::from(starts[row])),
            pair_label: self.pairs.as_ref().map(|(_, labels)| labels.value(row)),
            masks: self
                .masks
                .as_ref()
                .map(|(positions, labels)| Masks { positions: &positions[labels.range(row)], labels: labels.get(row) }),
        }
    }
}

/// The columns of every record batch, without a copy. Says in words what does not fit.
fn read_columns(buffer: &Buffer, layout: Columns) -> std::result::Result<Vec<Vec<ArrayRef>>, String> {
    let in_words = |e: ArrowError| format!("not readable as Arrow IPC: {e}");
    let short = || "too short for an Arrow IPC file".to_string();
    let trailer_start = buffer.len().checked_sub(TRAILER).ok_or_else(short)?;
    let trailer: [u8; TRAILER] = buffer[trailer_start..].try_into().map_err(|_| short())?;
    let footer_length = read_footer_length(trailer).map_err(in_words)?;
    let footer_start = trailer_start.checked_sub(footer_length).ok_or_else(short)?;
    let footer = root_as_footer(&buffer[footer_start..trailer_start])
        .map_err(|e| format!("not readable as Arrow IPC: the footer: {e}"))?;
    let found = footer.schema().ok_or("the footer has no schema")?;
    let found = try_fb_to_schema(found).map_err(in_words)?;
    let expected = schema(layout);
    let fields = expected.fields().clone();
    if found.fields() != expected.fields() {
        return Err(format!("the columns are {:?} and not {:?}", names(&found), names(&expected)));
    }
    // Unaligned buffers would be copied into memory without a word; `check_buffers` says that they are damage.
    let decoder = FileDecoder::new(expected, footer.version()).with_require_alignment(true);
    let mut batches = Vec::new();
    for block in footer.recordBatches().iter().flatten() {
        let bytes = block_bytes(buffer, block).ok_or_else(short)?;
        check_buffers(&bytes, block, &fields)?;
        let batch =
            decoder.read_record_batch(block, &bytes).map_err(in_words)?.ok_or("a block that is no record batch")?;
        if batch.columns().iter().any(|column| column.null_count() > 0) {
            return Err("a column holds nulls".into());
        }
        batches.push(batch.columns().to_vec());
    }
    Ok(batches)
}

/// The part of the file that a block of the footer points at, when it lies inside the file.
fn block_bytes(buffer: &Buffer, block: &Block) -> Option<Buffer> {
    let offset = usize::try_from(block.offset()).ok()?;
    let metadata = usize::try_from(block.metaDataLength()).ok()?;
    let length = metadata.checked_add(usize::try_from(block.bodyLength()).ok()?)?;
    (offset.checked_add(length)? <= buffer.len()).then(|| buffer.slice_with_length(offset, length))
}

/// Checks that the parts of a record batch lie inside it, which Arrow's decoder takes for granted and panics without.
fn check_buffers(bytes: &[u8], block: &Block, fields: &Fields) -> std::result::Result<(), String> {
    let metadata = block.metaDataLength() as usize;
    let body = (bytes.len() - metadata) as i64;
    // Four bytes of continuation mark and four of length stand before the message.
    let message = bytes.get(8..metadata).ok_or("a block without a message")?;
    let message = root_as_message(message).map_err(|e| format!("a block's header: {e}"))?;
    let batch = message.header_as_record_batch().ok_or("a block that is no record batch")?;
    let (nodes, buffers) = (batch.nodes().unwrap_or_default(), batch.buffers().unwrap_or_default());
    // Each column has a node and its buffers, of which the first is a validity bitmap; a list has those of its items besides.
    let is_list = |field: &arrow::datatypes::FieldRef| matches!(field.data_type(), DataType::List(_));
    let lists = fields.iter().filter(|field| is_list(field)).count();
    if nodes.len() != fields.len() + lists
        || buffers.len() != 2 * (fields.len() + lists)
        || batch.compression().is_some()
    {
        return Err("a block of other columns than the file's".into());
    }
    let outside =
        |offset: i64, length: i64| offset < 0 || length < 0 || offset.checked_add(length).is_none_or(|end| end > body);
    if buffers.iter().any(|buffer| outside(buffer.offset(), buffer.length())) {
        return Err("a block that points outside itself".into());
    }
    let rows = batch.length();
    if rows < 0 || nodes.iter().any(|node| node.null_count() != 0 || node.length() < 0) {
        return Err("a block whose columns do not agree".into());
    }
    // Each buffer must be long enough for its column (one more offset than rows for a list) and lie where its values may lie.
    let check_data = |node: usize, data_type: &DataType, values: i64| {
        // The data of node n are in buffer 2 n + 1.
        let data = buffers.get(2 * node + 1);
        if bytes_of(data_type, values).is_none_or(|needed| data.length() < needed) {
            return Err("a block whose columns are shorter than their lengths");
        }
        let address = bytes[metadata..].as_ptr() as usize + data.offset() as usize;
        let width = width_of(data_type);
        match address.is_multiple_of(width) && (data.length() as usize).is_multiple_of(width) {
            true => Ok(()),
            false => Err("a block whose columns are not aligned"),
        }
    };
    let mut node = 0;
    for field in fields {
        if nodes.get(node).length() != rows {
            return Err("a block whose columns do not agree".into());
        }
        match field.data_type() {
            DataType::List(item) => {
                check_data(node, &DataType::Int32, rows.saturating_add(1))?;
                node += 1;
                check_data(node, item.data_type(), nodes.get(node).length())?;
            }
            data_type => check_data(node, data_type, rows)?,
        }
        node += 1;
    }
    Ok(())
}

/// Bytes of so many values; none when there is no such number.
fn bytes_of(data_type: &DataType, values: i64) -> Option<i64> {
    match data_type {
        DataType::Boolean => Some(values / 8 + i64::from(values % 8 > 0)),
        data_type => values.checked_mul(width_of(data_type) as i64),
    }
}

/// Bytes of a value, or of the least that can be addressed.
fn width_of(data_type: &DataType) -> usize {
    data_type.primitive_width().unwrap_or(1)
}

fn names(schema: &arrow::datatypes::Schema) -> Vec<String> {
    schema.fields().iter().map(|field| format!("{}: {}", field.name(), field.data_type())).collect()
}
