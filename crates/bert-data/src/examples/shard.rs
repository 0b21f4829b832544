//! One memory-mapped Arrow IPC file of examples.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::buffer::{BooleanBuffer, Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{UInt16Type, UInt32Type};
use arrow::error::ArrowError;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::{Block, root_as_footer, root_as_message};

use super::{Example, TokenIds, schema};
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
    ids: Ids,
    offsets: OffsetBuffer<i32>,
    second_start: ScalarBuffer<u16>,
    is_random_next: BooleanBuffer,
}

#[derive(Debug)]
enum Ids {
    U16(ScalarBuffer<u16>),
    U32(ScalarBuffer<u32>),
}

impl Shard {
    /// Maps a file and checks its schema.
    pub(super) fn open(path: &Path, wide: bool) -> Result<Self> {
        let damaged = |reason: String| Error::Damaged { path: path.to_owned(), reason };
        let buffer = mapping::map(path)?;
        let columns = read_columns(&buffer, wide).map_err(|reason| {
            damaged(format!("{reason}. The file is damaged or of another program; build the dataset again"))
        })?;
        let mut batches = Vec::with_capacity(columns.len());
        let mut ends = Vec::with_capacity(columns.len());
        let mut examples = 0;
        for columns in columns {
            let batch = Batch::new(&columns);
            examples += batch.second_start.len();
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
    fn new(columns: &[ArrayRef]) -> Self {
        let tokens: &ListArray = columns[0].as_list();
        Batch {
            ids: match tokens.values().as_primitive_opt::<UInt16Type>() {
                Some(ids) => Ids::U16(ids.values().clone()),
                None => Ids::U32(tokens.values().as_primitive::<UInt32Type>().values().clone()),
            },
            offsets: tokens.offsets().clone(),
            second_start: columns[1].as_primitive::<UInt16Type>().values().clone(),
            is_random_next: columns[2].as_boolean().values().clone(),
        }
    }

    fn get(&self, row: usize) -> Example<'_> {
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        Example {
            tokens: match &self.ids {
                Ids::U16(ids) => TokenIds::U16(&ids[range]),
                Ids::U32(ids) => TokenIds::U32(&ids[range]),
            },
            second_start: usize::from(self.second_start[row]),
            is_random_next: self.is_random_next.value(row),
        }
    }
}

/// The columns of every record batch, without a copy. Says in words what does not fit.
fn read_columns(buffer: &Buffer, wide: bool) -> std::result::Result<Vec<Vec<ArrayRef>>, String> {
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
    let expected = schema(wide);
    if found.fields() != expected.fields() {
        return Err(format!("the columns are {:?} and not {:?}", names(&found), names(&expected)));
    }
    // Unaligned buffers would be copied into memory without a word; they are an error instead.
    let decoder = FileDecoder::new(expected, footer.version()).with_require_alignment(true);
    let mut batches = Vec::new();
    for block in footer.recordBatches().iter().flatten() {
        let bytes = block_bytes(buffer, block).ok_or_else(short)?;
        check_buffers(&bytes, block, wide)?;
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
fn check_buffers(bytes: &[u8], block: &Block, wide: bool) -> std::result::Result<(), String> {
    let metadata = block.metaDataLength() as usize;
    let body = (bytes.len() - metadata) as i64;
    // Four bytes of continuation mark and four of length stand before the message.
    let message = bytes.get(8..metadata).ok_or("a block without a message")?;
    let message = root_as_message(message).map_err(|e| format!("a block's header: {e}"))?;
    let batch = message.header_as_record_batch().ok_or("a block that is no record batch")?;
    let (nodes, buffers) = (batch.nodes().unwrap_or_default(), batch.buffers().unwrap_or_default());
    // The list and its items, second_start, is_random_next; each with a validity bitmap and its data.
    if nodes.len() != 4 || buffers.len() != 8 || batch.compression().is_some() {
        return Err("a block of other columns than the file's".into());
    }
    let outside =
        |offset: i64, length: i64| offset < 0 || length < 0 || offset.checked_add(length).is_none_or(|end| end > body);
    if buffers.iter().any(|buffer| outside(buffer.offset(), buffer.length())) {
        return Err("a block that points outside itself".into());
    }
    let rows = batch.length();
    let columns = [nodes.get(0), nodes.get(2), nodes.get(3)];
    if rows < 0 || nodes.iter().any(|node| node.null_count() != 0) || columns.iter().any(|node| node.length() != rows) {
        return Err("a block whose columns do not agree".into());
    }
    // Each buffer must be long enough for its column: bytes per row and one more offset than rows.
    let items = nodes.get(1).length();
    let item_bytes = if wide { 4 } else { 2 };
    let needed = [
        (1, (rows + 1).saturating_mul(4)),
        (3, items.saturating_mul(item_bytes)),
        (5, rows.saturating_mul(2)),
        (7, rows / 8 + i64::from(rows % 8 > 0)),
    ];
    if items < 0 || needed.iter().any(|&(buffer, bytes)| buffers.get(buffer).length() < bytes) {
        return Err("a block whose columns are shorter than their lengths".into());
    }
    Ok(())
}

fn names(schema: &arrow::datatypes::Schema) -> Vec<String> {
    schema.fields().iter().map(|field| format!("{}: {}", field.name(), field.data_type())).collect()
}
