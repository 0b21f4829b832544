//! Where the sequences of a batch lie on its token axis.

#[cfg(any(kernels, test))]
use crate::cuda::tables::Tables;
use candle_core::{Result, bail};
use std::ops::Range;

/// The rows that each sequence of a batch occupies on the token axis.
///
/// Packed and padded batches differ in nothing else: packed, the spans touch each other and cover every row;
/// padded, each begins a fixed stride after the one before and the rows between belong to no sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    rows: usize,
    spans: Vec<Range<usize>>,
    #[cfg(any(kernels, test))]
    tables: Tables,
}

impl Spans {
    /// Sequences of the given lengths, one directly after the other.
    pub fn packed(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut rows = 0;
        let spans = lengths
            .into_iter()
            .map(|length| {
                rows += length;
                rows - length..rows
            })
            .collect();
        Self::new(rows, spans)
    }

    /// Sequences of the given lengths, each in `stride` rows of its own.
    ///
    /// # Errors
    /// A length above the stride.
    pub fn padded(lengths: &[usize], stride: usize) -> Result<Self> {
        if let Some(longest) = lengths.iter().copied().find(|&l| l > stride) {
            bail!("a sequence of {longest} tokens does not fit in rows padded to {stride}")
        }
        let spans = lengths.iter().enumerate().map(|(i, l)| i * stride..i * stride + l).collect();
        Ok(Self::new(lengths.len() * stride, spans))
    }

    fn new(rows: usize, spans: Vec<Range<usize>>) -> Self {
        Self {
            rows,
            spans,
            #[cfg(any(kernels, test))]
            tables: Tables::default(),
        }
    }

    /// What was uploaded of these spans.
    #[cfg(any(kernels, test))]
    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// T: all rows of the token axis, padding included.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// B: the number of sequences.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The rows of each sequence.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        self.spans.iter().cloned()
    }

    /// The rows of sequence `i`.
    pub fn get(&self, i: usize) -> Range<usize> {
        self.spans[i].clone()
    }

    /// The length of the longest sequence.
    pub fn longest(&self) -> usize {
        self.iter().map(|span| span.len()).max().unwrap_or(0)
    }

    /// Whether some rows belong to no sequence.
    pub fn has_padding(&self) -> bool {
        self.iter().map(|span| span.len()).sum::<usize>() < self.rows
    }
}

/// Rows of a batch, in ascending order, each in one of its sequences: those that a last layer is needed for. It goes with the spans it
/// was made for and with no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    rows: Vec<u32>,
    /// For each sequence, which of `rows` are its own.
    spans: Vec<Range<usize>>,
    #[cfg(any(kernels, test))]
    tables: Tables,
}

impl Selection {
    /// The given rows of the token axis.
    ///
    /// # Errors
    /// Rows that do not ascend, or a row that belongs to no sequence.
    pub fn new(spans: &Spans, rows: Vec<u32>) -> Result<Self> {
        if let Some(pair) = rows.windows(2).find(|pair| pair[0] >= pair[1]) {
            bail!("selection: row {} is followed by {}; rows have to ascend", pair[0], pair[1])
        }
        let mut own = Vec::with_capacity(spans.len());
        let mut next = 0;
        for span in spans.iter() {
            let count = rows[next..].iter().take_while(|&&row| span.contains(&(row as usize))).count();
            own.push(next..next + count);
            next += count;
        }
        match rows.get(next) {
            Some(row) => bail!("selection: row {row} belongs to no sequence"),
            None => Ok(Self {
                rows,
                spans: own,
                #[cfg(any(kernels, test))]
                tables: Tables::default(),
            }),
        }
    }

    /// What was uploaded of this selection and the spans it was made for.
    #[cfg(any(kernels, test))]
    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The rows on the token axis, ascending.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Which of [`Selection::rows`] belong to sequence `i`.
    pub fn get(&self, i: usize) -> Range<usize> {
        self.spans[i].clone()
    }

    /// Which of [`Selection::rows`] belong to each sequence.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        self.spans.iter().cloned()
    }

    /// The place of a row among those selected.
    pub fn place(&self, row: u32) -> Option<u32> {
        self.rows.binary_search(&row).ok().map(|place| place as u32)
    }
}
