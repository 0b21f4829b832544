//! Batches, and going on in the middle.

use std::collections::BTreeSet;
use std::sync::Arc;

use bert_data::build::build;
use bert_data::examples::{ExampleSet, Split};
use bert_data::loader::{Cursor, Loader, MaskedExample};
use bert_data::masking::{Masker, MaskingOptions};
use bert_data::progress::Silent;

use crate::corpus::Corpus;

struct Data {
    set: Arc<ExampleSet>,
    masker: Masker,
    _corpus: Corpus,
}

impl Data {
    fn new() -> Self {
        let corpus = Corpus::drawn(30, 30, 10);
        let options = corpus.options("out");
        build(&options, &corpus.tok, &Silent).unwrap();
        Data {
            set: Arc::new(ExampleSet::open(&options.output, Split::Train).unwrap()),
            masker: Masker::new(MaskingOptions::default(), &corpus.tok).unwrap(),
            _corpus: corpus,
        }
    }

    fn loader(&self, seed: u64, cursor: Cursor) -> Loader {
        Loader::new(self.set.clone(), self.masker.clone(), seed, cursor)
    }
}

/// The example without its masks.
fn unmasked(example: &MaskedExample) -> Vec<u32> {
    let mut ids = example.input_ids.clone();
    for (&position, &label) in example.positions.iter().zip(&example.labels) {
        ids[position as usize] = label;
    }
    ids
}

#[test]
fn a_resumed_loader_equals_one_that_never_stopped() {
    let data = Data::new();
    let examples = data.set.len();
    let total = 2 * examples + 7;
    let uninterrupted = data.loader(5, Cursor::default()).next_batch(total);
    assert_eq!(uninterrupted.len(), total);
    let mut resumed = Vec::new();
    let mut cursor = Cursor::default();
    // Batches that do not divide the epoch, each from a new loader.
    while resumed.len() < total {
        let mut loader = data.loader(5, cursor);
        let n = 13.min(total - resumed.len());
        resumed.extend(loader.next_batch(n));
        cursor = loader.cursor();
    }
    assert!(resumed == uninterrupted);
    assert_eq!(cursor, Cursor { epoch: 2, position: 7 });
}

#[test]
fn an_epoch_has_every_example_once_and_masks_of_its_own() {
    let data = Data::new();
    let examples = data.set.len();
    let stored: BTreeSet<Vec<u32>> = (0..examples).map(|i| data.set.get(i).tokens.to_vec()).collect();
    assert_eq!(stored.len(), examples);
    let mut loader = data.loader(5, Cursor::default());
    let epochs = [loader.next_batch(examples), loader.next_batch(examples)];
    assert_eq!(loader.cursor(), Cursor { epoch: 2, position: 0 });
    for epoch in &epochs {
        assert!(epoch.iter().map(unmasked).collect::<BTreeSet<_>>() == stored);
    }
    assert_ne!(epochs[0].iter().map(unmasked).collect::<Vec<_>>(), epochs[1].iter().map(unmasked).collect::<Vec<_>>());
    let mut different = 0;
    for example in &epochs[0] {
        let again = epochs[1].iter().find(|other| unmasked(other) == unmasked(example)).unwrap();
        different += usize::from(again.positions != example.positions);
        assert_eq!(again.second_start, example.second_start);
        assert_eq!(again.pair_label, example.pair_label);
    }
    assert!(different > examples * 9 / 10, "{different} of {examples} are masked differently");
    assert!(data.loader(6, Cursor::default()).next_batch(20) != data.loader(5, Cursor::default()).next_batch(20));
}

#[test]
fn a_loader_that_is_dropped_early_ends_its_thread() {
    let data = Data::new();
    for _ in 0..50 {
        assert_eq!(data.loader(1, Cursor::default()).next_batch(1).len(), 1);
    }
    // The set is shared with each thread for as long as that lives.
    for _ in 0..500 {
        if Arc::strong_count(&data.set) == 1 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{} threads are still there", Arc::strong_count(&data.set) - 1);
}

#[test]
fn an_empty_split_gives_no_batch() {
    let data = Data::new();
    let dir = data._corpus.path("out");
    let set = Arc::new(ExampleSet::open(&dir, Split::Validation).unwrap());
    assert!(set.is_empty());
    assert!(Loader::new(set, data.masker.clone(), 1, Cursor::default()).next_batch(8).is_empty());
}
