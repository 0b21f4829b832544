//! What a model is given.

use bert_kernels::Spans;

/// Token ids of several sequences on one token axis.
#[derive(Clone, Debug)]
pub struct Sequences {
    /// [T] token ids.
    pub input_ids: Vec<u32>,
    /// [T] segment of each token.
    pub token_type_ids: Vec<u32>,
    /// [T] position of each token in its sequence.
    pub position_ids: Vec<u32>,
    /// Which rows belong to which sequence.
    pub spans: Spans,
}

impl Sequences {
    /// Sequences one after the other, without padding. Each: its token ids, and the position where segment 1 begins
    /// (its length when there is none).
    pub fn packed(items: &[(&[u32], usize)]) -> Self {
        Self::layout(items, Spans::packed(items.iter().map(|(ids, _)| ids.len())), 0)
    }

    /// Sequences padded to the longest with `pad_id`. The results are those of [`Sequences::packed`].
    pub fn padded(items: &[(&[u32], usize)], pad_id: u32) -> Self {
        let lengths: Vec<usize> = items.iter().map(|(ids, _)| ids.len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        // The longest is the stride, so every sequence fits.
        let spans = Spans::padded(&lengths, longest).unwrap_or_else(|_| Spans::packed(lengths));
        Self::layout(items, spans, pad_id)
    }

    fn layout(items: &[(&[u32], usize)], spans: Spans, pad_id: u32) -> Self {
        let mut input_ids = vec![pad_id; spans.rows()];
        let mut token_type_ids = vec![0; spans.rows()];
        let mut position_ids = vec![0; spans.rows()];
        for ((ids, second_start), span) in items.iter().zip(spans.iter()) {
            for (position, row) in span.enumerate() {
                input_ids[row] = ids[position];
                token_type_ids[row] = u32::from(position >= *second_start);
                position_ids[row] = position as u32;
            }
        }
        Self { input_ids, token_type_ids, position_ids, spans }
    }

    /// The row of a token on the token axis.
    pub fn row(&self, sequence: usize, position: usize) -> u32 {
        (self.spans.get(sequence).start + position) as u32
    }

    /// The row of each sequence's first token, `[CLS]`.
    pub fn first_rows(&self) -> Vec<u32> {
        self.spans.iter().map(|span| span.start as u32).collect()
    }

    /// B: the number of sequences.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

/// A batch of pre-training examples.
#[derive(Clone, Debug)]
pub struct PretrainingBatch {
    /// The tokens, masked.
    pub sequences: Sequences,
    /// Rows of the masked positions on the token axis.
    pub masked_rows: Vec<u32>,
    /// What stood there.
    pub masked_labels: Vec<u32>,
    /// One a sequence: 0 when the second segment followed the first, 1 when it is random. Empty for pre-training
    /// without next-sentence prediction.
    pub next_sentence_labels: Vec<u32>,
}

/// What a task asks for, one a sequence.
#[derive(Clone, Debug)]
pub enum Targets {
    /// Classes.
    Classes(Vec<u32>),
    /// Scores, for a model with one output.
    Scores(Vec<f32>),
}
