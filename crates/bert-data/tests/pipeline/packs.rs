//! Batches by tokens: full, every example once, the same from any place on.

use std::collections::BTreeSet;
use std::sync::Arc;

use bert_data::build::{BuildOptions, Pairing, build};
use bert_data::examples::{ExampleSet, Split};
use bert_data::loader::{Cursor, MaskedExample, PackLoader, Rank};
use bert_data::masking::{Masker, MaskingOptions};
use bert_data::progress::Silent;

use crate::corpus::Corpus;

/// Most tokens of an example and of a pack.
const LONGEST: usize = 64;
const BUDGET: usize = 160;

struct Data {
    set: Arc<ExampleSet>,
    masker: Masker,
    _corpus: Corpus,
}

impl Data {
    /// Documents of a few sentences each, so that examples have all lengths up to the longest.
    fn new() -> Self {
        let mut documents = Corpus::drawn(2000, 4, 25).documents;
        for (i, document) in documents.iter_mut().enumerate() {
            document.truncate(1 + i % 4);
        }
        let corpus = Corpus::new(documents, 0);
        let options = BuildOptions { pairing: Pairing::DocSentences, seq_len: LONGEST, ..corpus.options("out") };
        build(&options, &corpus.tok, &Silent).unwrap();
        Data {
            set: Arc::new(ExampleSet::open(&options.output, Split::Train).unwrap()),
            masker: Masker::new(MaskingOptions::default(), &corpus.tok).unwrap(),
            _corpus: corpus,
        }
    }

    fn loader(&self, cursor: Cursor, rank: Rank) -> PackLoader {
        PackLoader::new(self.set.clone(), self.masker.clone(), 5, cursor, rank, BUDGET).unwrap()
    }

    /// The packs of one epoch, and the cursor behind each.
    fn epoch(&self, epoch: u64) -> (Vec<Vec<MaskedExample>>, Vec<Cursor>) {
        let mut loader = self.loader(Cursor { epoch, position: 0 }, Rank::default());
        let (mut packs, mut cursors) = (Vec::new(), Vec::new());
        while loader.cursor().epoch == epoch {
            packs.extend(loader.next_packs(1));
            cursors.push(loader.cursor());
        }
        (packs, cursors)
    }
}

fn tokens(pack: &[MaskedExample]) -> usize {
    pack.iter().map(|example| example.input_ids.len()).sum()
}

fn unmasked(example: &MaskedExample) -> Vec<u32> {
    let mut ids = example.input_ids.clone();
    for (&position, &label) in example.positions.iter().zip(&example.labels) {
        ids[position as usize] = label;
    }
    ids
}

#[test]
fn packs_are_full_and_an_epoch_has_every_example_once() {
    let data = Data::new();
    let stored: BTreeSet<Vec<u32>> = (0..data.set.len()).map(|i| data.set.get(i).tokens.to_vec()).collect();
    assert_eq!(stored.len(), data.set.len());
    let (packs, cursors) = data.epoch(0);
    let (others, _) = data.epoch(1);
    assert!(packs.len() > 300, "{} packs: more than a window", packs.len());
    assert_eq!(cursors.last(), Some(&Cursor { epoch: 1, position: 0 }));
    for packs in [&packs, &others] {
        assert_eq!(packs.iter().map(Vec::len).sum::<usize>(), data.set.len());
        assert!(packs.iter().flatten().map(unmasked).collect::<BTreeSet<_>>() == stored);
        assert!(packs.iter().all(|pack| tokens(pack) <= BUDGET));
        let fill = packs.iter().map(|pack| tokens(pack)).sum::<usize>() as f64 / (packs.len() * BUDGET) as f64;
        assert!(fill > 0.99, "{fill}");
        // In the order in which they are stored the same examples need more.
        let (mut rows, mut room) = (0, 0);
        for length in (0..data.set.len()).map(|i| data.set.get(i).tokens.len()) {
            if room < length {
                rows += 1;
                room = BUDGET;
            }
            room -= length;
        }
        assert!(rows * 10 > packs.len() * 11, "{rows} and {}", packs.len());
        // The longest examples do not come first.
        let mean = |packs: &[Vec<MaskedExample>]| {
            let lengths: Vec<usize> = packs.iter().flatten().map(|example| example.input_ids.len()).collect();
            lengths.iter().sum::<usize>() as f64 / lengths.len() as f64
        };
        let (first, last) = packs[..240].split_at(120);
        assert!((mean(first) / mean(last) - 1.0).abs() < 0.15, "{} and {}", mean(first), mean(last));
    }
    assert!(packs[..50] != others[..50], "the epochs have the same packs");
}

#[test]
fn packs_go_on_at_any_cursor() {
    let data = Data::new();
    let (packs, cursors) = data.epoch(0);
    let (next, _) = data.epoch(1);
    let all: Vec<_> = packs.iter().chain(&next).collect();
    // At every pack; prefetched and not.
    for (done, &cursor) in cursors.iter().enumerate() {
        let mut inline =
            PackLoader::inline(data.set.clone(), data.masker.clone(), 5, cursor, Rank::default(), BUDGET).unwrap();
        assert!(inline.next_packs(2).iter().eq(all[done + 1..done + 3].iter().copied()), "after pack {done}");
    }
    for done in [0, 7, 255, 256, packs.len() - 3] {
        let mut loader = data.loader(cursors[done], Rank::default());
        assert!(loader.next_packs(40).iter().eq(all[done + 1..done + 41].iter().copied()), "after pack {done}");
    }
    // From the middle of a pack on its rest comes, and nothing twice.
    let middle = Cursor { epoch: 0, position: cursors[8].position + 1 };
    let mut loader = data.loader(middle, Rank::default());
    assert!(loader.next_packs(1)[0] == packs[9][1..]);
    assert_eq!(loader.cursor(), cursors[9]);
}

#[test]
fn ranks_share_the_packs_of_one_process() {
    let data = Data::new();
    let (packs, cursors) = data.epoch(0);
    let begin = packs.len() - 20;
    let (next, _) = data.epoch(1);
    let expected: Vec<_> = packs[begin + 1..].iter().chain(&next).collect();
    for of in [1, 2, 8] {
        let mut ranks: Vec<_> = (0..of).map(|index| data.loader(cursors[begin], Rank { index, of })).collect();
        let mut alone = data.loader(cursors[begin], Rank::default());
        for step in 0..5 {
            let parts: Vec<_> = ranks.iter_mut().map(|loader| loader.next_packs(16 / of as usize)).collect();
            for i in 0..16 {
                let found = &parts[i % of as usize][i / of as usize];
                assert!(found == expected[16 * step + i], "{of} ranks, step {step}, pack {i}");
            }
            alone.next_packs(16);
            assert!(ranks.iter().all(|loader| loader.cursor() == alone.cursor()), "{of} ranks: cursors");
        }
    }
}

#[test]
fn a_pack_must_hold_the_longest_example() {
    let data = Data::new();
    let loader = |set: Arc<ExampleSet>, tokens| {
        PackLoader::new(set, data.masker.clone(), 1, Cursor::default(), Rank::default(), tokens)
    };
    let error = loader(data.set.clone(), LONGEST - 1).err().unwrap();
    assert!(error.is_request() && error.to_string().contains("give 64 or more"), "{error}");
    let empty = Arc::new(ExampleSet::open(&data._corpus.path("out"), Split::Validation).unwrap());
    assert!(loader(empty, LONGEST).unwrap().next_packs(3).is_empty());
}
