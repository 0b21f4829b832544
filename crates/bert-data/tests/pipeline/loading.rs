//! Batches, and going on in the middle.

use std::collections::BTreeSet;
use std::sync::Arc;

use bert_data::build::build;
use bert_data::examples::{ExampleSet, Split};
use bert_data::loader::{Cursor, Loader, MaskedExample, Rank};
use bert_data::masking::{MaskKind, Masker, MaskingOptions};
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

/// Made ahead or made when asked for: the same batches, and a cursor that knows only what was taken.
#[test]
fn what_is_made_ahead_equals_what_is_made_when_asked_for() {
    let data = Data::new();
    let examples = data.set.len();
    for kind in [MaskKind::Token, MaskKind::WholeWord, MaskKind::NGram, MaskKind::Span, MaskKind::FrequencyWeighted] {
        let options = MaskingOptions { kind, ..MaskingOptions::default() };
        let masker = Masker::for_examples(options, &data._corpus.tok, &data.set).unwrap();
        let begin = Cursor { epoch: 3, position: 11 };
        let mut ahead = Loader::new(data.set.clone(), masker.clone(), 5, begin);
        let mut here = Loader::inline(data.set.clone(), masker.clone(), 5, begin, Rank::default());
        assert_eq!(ahead.cursor(), begin);
        for taken in (1..=2 * examples / 19).map(|batch| 19 * batch) {
            assert!(ahead.next_batch(19) == here.next_batch(19), "{kind:?}");
            let place = 11 + taken as u64;
            let all = examples as u64;
            assert_eq!(ahead.cursor(), Cursor { epoch: 3 + place / all, position: place % all });
            assert_eq!(ahead.cursor(), here.cursor());
            // One that begins at the cursor hands out what comes next here: nothing that was made ahead is lost.
            if taken % (19 * 16) == 0 {
                let resumed = Loader::new(data.set.clone(), masker.clone(), 5, ahead.cursor()).next_batch(30);
                let mut next = Loader::inline(data.set.clone(), masker.clone(), 5, here.cursor(), Rank::default());
                assert!(resumed == next.next_batch(30));
            }
        }
    }
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

/// 1, 2 and 8 processes see together the same examples with the same masks in the same order, also from the middle on.
#[test]
fn ranks_share_the_examples_of_one_process() {
    let data = Data::new();
    let examples = data.set.len() as u64;
    assert!(!examples.is_multiple_of(8), "the end of an epoch must fall inside a batch for some rank");
    for kind in [MaskKind::Token, MaskKind::Span, MaskKind::FrequencyWeighted] {
        let options = MaskingOptions { kind, ..MaskingOptions::default() };
        let masker = Masker::for_examples(options, &data._corpus.tok, &data.set).unwrap();
        for begin in [Cursor::default(), Cursor { epoch: 1, position: examples - 5 }] {
            let mut alone = Loader::new(data.set.clone(), masker.clone(), 5, begin);
            let mut ranks: Vec<Vec<Loader>> = [1, 2, 8]
                .map(|of| {
                    let rank = |index| Rank { index, of };
                    let loader = |index| Loader::for_rank(data.set.clone(), masker.clone(), 5, begin, rank(index));
                    (0..of).map(loader).collect()
                })
                .into();
            let batch = 16;
            for _ in 0..2 * examples / batch + 2 {
                let expected = alone.next_batch(batch as usize);
                for loaders in &mut ranks {
                    let of = loaders.len();
                    let parts: Vec<_> = loaders.iter_mut().map(|l| l.next_batch(batch as usize / of)).collect();
                    let together: Vec<_> = (0..batch as usize).map(|i| &parts[i % of][i / of]).collect();
                    assert!(together.into_iter().eq(&expected), "{kind:?}, {of} ranks from {begin:?}");
                    assert!(loaders.iter().all(|loader| loader.cursor() == alone.cursor()), "{of} ranks: cursors");
                }
            }
        }
    }
}

/// More processes than before, or fewer, go on where the others stopped.
#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let data = Data::new();
    let expected = data.loader(5, Cursor::default()).next_batch(64);
    let mut found = Vec::new();
    let mut cursor = Cursor::default();
    for of in [2_u64, 8, 1, 2] {
        let loader = |index| Loader::for_rank(data.set.clone(), data.masker.clone(), 5, cursor, Rank { index, of });
        let mut loaders: Vec<_> = (0..of).map(loader).collect();
        let parts: Vec<_> = loaders.iter_mut().map(|loader| loader.next_batch(16 / of as usize)).collect();
        found.extend((0..16).map(|i| parts[i % of as usize][i / of as usize].clone()));
        cursor = loaders[0].cursor();
    }
    assert!(found == expected);
}
