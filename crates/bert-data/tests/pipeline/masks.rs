//! Every kind of mask, from a dataset on disk to a masked example.

use std::collections::BTreeMap;
use std::fs;

use bert_data::build::{BuildOptions, Sentences, build};
use bert_data::examples::{ExampleSet, Split};
use bert_data::loader::MaskedExample;
use bert_data::manifest::StaticMasks;
use bert_data::masking::{MaskKind, Masker, MaskingOptions, Replacements};
use bert_data::progress::Silent;
use bert_data::tokenizer::{SPECIAL_TOKENS, Tokenizer};
use tempfile::TempDir;

use crate::corpus::Draws;

const KINDS: [MaskKind; 5] =
    [MaskKind::Token, MaskKind::WholeWord, MaskKind::NGram, MaskKind::Span, MaskKind::FrequencyWeighted];
/// Words with a piece of their own; word n is about n times as rare as word 1.
const WORDS: u64 = 40;

/// A dataset of words of one to three pieces, some of them unknown, and its tokenizer, which has unused tokens.
struct Data {
    tok: Tokenizer,
    dir: TempDir,
}

impl Data {
    fn new() -> Self {
        let tokens = SPECIAL_TOKENS.iter().map(ToString::to_string);
        let tokens = tokens.chain((0..30).map(|i| format!("[unused{i}]")));
        let tokens = tokens.chain((1..=WORDS).map(|i| format!("w{i}x")));
        let tokens = tokens.chain(["##ab".to_string(), "##cd".to_string()]).collect();
        let tok = Tokenizer::from_vocab(tokens, true).unwrap();
        let mut draws = Draws(3);
        let mut text = String::new();
        for _ in 0..120 {
            for _ in 0..30 {
                for _ in 0..2 + draws.below(20) {
                    let highest = 1 + draws.below(WORDS);
                    let word = 1 + draws.below(highest);
                    text += match draws.below(20) {
                        0 => "unknown ".to_string(),
                        1..=4 => format!("w{word}xab "),
                        5 | 6 => format!("w{word}xabcd "),
                        _ => format!("w{word}x "),
                    }
                    .as_str();
                }
                text.push('\n');
            }
            text.push('\n');
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("text.txt"), text).unwrap();
        Data { tok, dir }
    }

    fn built(&self, name: &str, masks: Option<StaticMasks>) -> ExampleSet {
        let options = BuildOptions {
            input: vec![self.dir.path().join("text.txt").to_str().unwrap().to_string()],
            sentences: Sentences::Lines,
            static_masks: masks,
            output: self.dir.path().join(name),
            ..BuildOptions::default()
        };
        build(&options, &self.tok, &Silent).unwrap();
        ExampleSet::open(&options.output, Split::Train).unwrap()
    }
}

/// What was counted over the masked examples of one kind.
#[derive(Default)]
struct Counted {
    tokens: f64,
    chosen: f64,
    /// Most that may be chosen: the original's number for each example.
    allowed: f64,
    masked: f64,
    left: f64,
    random: f64,
    /// Runs of three chosen positions with nothing chosen beside them, and those in which all three met one fate.
    runs: f64,
    same_fate: f64,
    by_label: BTreeMap<u32, f64>,
    random_ids: BTreeMap<u32, f64>,
}

impl Counted {
    /// Checks what must hold in every example and counts the rest.
    fn add(&mut self, example: &MaskedExample, stored: Option<Vec<u32>>, options: MaskingOptions, tok: &Tokenizer) {
        let ids = &example.input_ids;
        let mut original = ids.clone();
        for (&position, &label) in example.positions.iter().zip(&example.labels) {
            original[position as usize] = label;
        }
        if let Some(stored) = stored {
            assert_eq!(original, stored, "a token that is not to be predicted changed");
        }
        assert!(example.positions.is_sorted_by(|a, b| a < b) && example.positions.len() == example.labels.len());
        assert!(ids.iter().all(|&id| (id as usize) < tok.vocab_size()), "an id outside the vocabulary");
        let allowed = ((ids.len() as f64 * options.rate).round_ties_even() as usize).clamp(1, options.max_predictions);
        assert!(example.positions.len() <= allowed, "{} of {allowed}", example.positions.len());
        self.allowed += allowed as f64;
        self.tokens += ids.len() as f64;
        let mut fates = BTreeMap::new();
        for (&position, &label) in example.positions.iter().zip(&example.labels) {
            assert!(!tok.is_special(label), "{} was to be predicted", tok.decode_token(label));
            let found = ids[position as usize];
            let fate = match found {
                found if found == tok.special().mask => &mut self.masked,
                found if found == label => &mut self.left,
                found => {
                    *self.random_ids.entry(found).or_default() += 1.0;
                    if options.replacements == Replacements::Ordinary {
                        assert!(!tok.is_special(found), "{} was put in", tok.decode_token(found));
                    }
                    &mut self.random
                }
            };
            *fate += 1.0;
            self.chosen += 1.0;
            *self.by_label.entry(label).or_default() += 1.0;
            let fate = if found == tok.special().mask { 0 } else { 1 + u32::from(found == label) };
            fates.insert(position, fate);
        }
        for (&position, fate) in &fates {
            let at = |offset: u32| fates.get(&(position + offset));
            let alone = at(3).is_none() && !position.checked_sub(1).is_some_and(|before| fates.contains_key(&before));
            if let (true, Some(second), Some(third)) = (alone, at(1), at(2)) {
                self.runs += 1.0;
                self.same_fate += f64::from(u8::from(fate == second && fate == third));
            }
        }
    }
}

/// Four standard deviations of a binomial whose draws come in groups of `together`.
fn within(count: f64, draws: f64, share: f64, together: f64, what: &str) {
    let bound = 4.0 * (draws * share * (1.0 - share) * together).sqrt();
    assert!((count - draws * share).abs() < bound, "{what}: {count} of {draws}, expected a share of {share}");
}

#[test]
fn every_kind_keeps_the_budget_the_shares_and_the_special_tokens() {
    let data = Data::new();
    let set = data.built("out", None);
    let count_of: BTreeMap<u32, f64> = (0..set.len()).flat_map(|i| set.get(i).tokens.to_vec()).fold(
        BTreeMap::new(),
        |mut counts: BTreeMap<u32, f64>, id| {
            *counts.entry(id).or_default() += 1.0;
            counts
        },
    );
    assert!(count_of[&data.tok.special().unk] > 100.0, "the corpus has unknown words");
    for kind in KINDS {
        let options = MaskingOptions { kind, ..MaskingOptions::default() };
        let masker = Masker::for_examples(options, &data.tok, &set).unwrap();
        let mut counted = Counted::default();
        for epoch in 0..6 {
            for index in 0..set.len() {
                let example = MaskedExample::new(&set, &masker, 9, epoch, index);
                counted.add(&example, Some(set.get(index).tokens.to_vec()), options, &data.tok);
            }
        }
        let Counted { chosen, .. } = counted;
        let name = format!("{kind:?}");
        assert!((counted.allowed / counted.tokens - 0.15).abs() < 0.005, "{name}: the budget is not 15%");
        match kind {
            // A word that does not fit is passed over, so a few examples stay below their number.
            MaskKind::WholeWord | MaskKind::NGram => assert!(chosen > 0.99 * counted.allowed, "{name}: {chosen}"),
            _ => assert_eq!(chosen, counted.allowed, "{name}"),
        }
        // The tokens of a span share a draw: 8 is a generous mean of such groups, in tokens, weighted by their size.
        let together = if kind == MaskKind::Span { 8.0 } else { 1.0 };
        within(counted.masked, chosen, 0.8, together, &name);
        // A random word is the one that stood there once in 42 words.
        within(counted.left, chosen, 0.1 + 0.1 / 42.0, together, &name);
        within(counted.random, chosen, 0.1 * 41.0 / 42.0, together, &name);
        assert_eq!(counted.random_ids.len(), WORDS as usize + 2, "{name}: some ordinary tokens are never drawn");

        let same = counted.same_fate / counted.runs;
        match kind {
            MaskKind::Span => assert!(same > 0.9, "{name}: one draw a span, but {same} of the runs are of one fate"),
            // 0.8^3 + 2 x 0.1^3.
            _ => within(counted.same_fate, counted.runs, 0.514, 1.0, &name),
        }
        // How much more often the rarest tenth of the words is chosen than the most frequent one.
        let rate = |words: std::ops::RangeInclusive<u64>| {
            let ids: Vec<u32> = words.map(|word| data.tok.encode(&format!("w{word}x"))[0]).collect();
            let sum = |counts: &BTreeMap<u32, f64>| ids.iter().filter_map(|id| counts.get(id)).sum::<f64>();
            sum(&counted.by_label) / sum(&count_of)
        };
        let (rare, frequent) = (rate(37..=40), rate(1..=4));
        match kind {
            // The direction alone: with 15% to draw, rare words run out. The law itself is tested on single draws, below.
            MaskKind::FrequencyWeighted => assert!(rare > 2.0 * frequent, "{name}: {rare} {frequent}"),
            _ => assert!((0.85..1.15).contains(&(rare / frequent)), "{name}: {rare} {frequent}"),
        }
    }
}

/// Permutation targets leave the text as it is, take the paper's share of it, and the order differs from epoch to epoch.
#[test]
fn permutation_targets_have_an_order_and_change_nothing() {
    let data = Data::new();
    let set = data.built("out", None);
    let masker = Masker::for_examples(MaskingOptions::of(MaskKind::Permutation), &data.tok, &set).unwrap();
    let special = data.tok.special();
    let (mut tokens, mut chosen, mut in_text_order, mut pairs) = (0.0, 0.0, 0.0, 0.0);
    for index in 0..set.len() {
        let stored = set.get(index).tokens.to_vec();
        let example = MaskedExample::new(&set, &masker, 9, 0, index);
        assert_eq!(example, MaskedExample::new(&set, &masker, 9, 0, index));
        assert_eq!(example.input_ids, stored);
        assert_eq!(example.ranks.len(), stored.len());
        let ordinary = stored.iter().filter(|&&id| !data.tok.is_special(id)).count();
        let wanted = (stored.len() as f64 / 6.0).round_ties_even() as usize;
        assert_eq!(example.positions.len(), wanted.clamp(1, 85).min(ordinary));
        tokens += stored.len() as f64;
        chosen += example.positions.len() as f64;
        let mut ranks = Vec::new();
        for (at, &id) in stored.iter().enumerate() {
            let target = example.positions.binary_search(&(at as u32));
            if let Ok(target) = target {
                assert!(!data.tok.is_special(id) && example.labels[target] == id);
            }
            let permuted = target.is_ok() || id == special.cls || id == special.sep;
            assert_eq!(example.ranks[at] > 0, permuted, "position {at} of {index}");
            if permuted {
                ranks.push(example.ranks[at]);
            }
        }
        for (i, first) in ranks.iter().enumerate() {
            in_text_order += ranks[i + 1..].iter().filter(|second| first < *second).count() as f64;
            pairs += (ranks.len() - i - 1) as f64;
        }
        ranks.sort_unstable();
        assert!(ranks.iter().copied().eq(1..=ranks.len() as u32), "ranks have gaps");
        let next = MaskedExample::new(&set, &masker, 9, 1, index);
        assert!(next.ranks != example.ranks || stored.len() < 12);
    }
    assert!((chosen / tokens - 1.0 / 6.0).abs() < 0.005, "{chosen} of {tokens}");
    assert!((in_text_order / pairs - 0.5).abs() < 0.01, "{in_text_order} of {pairs} are in the order of the text");
    let masks = StaticMasks { dupe_factor: 1, masking: MaskingOptions::of(MaskKind::Permutation) };
    let options = BuildOptions {
        input: vec![data.dir.path().join("text.txt").to_str().unwrap().to_string()],
        static_masks: Some(masks),
        output: data.dir.path().join("static"),
        ..BuildOptions::default()
    };
    let error = build(&options, &data.tok, &Silent).unwrap_err();
    assert!(error.is_request() && error.to_string().contains("--masking dynamic"), "{error}");
}

#[test]
fn a_single_draw_by_frequency_goes_with_the_power_of_the_paper() {
    let data = Data::new();
    let set = data.built("out", None);
    // One token an example.
    let options = MaskingOptions { kind: MaskKind::FrequencyWeighted, max_predictions: 1, ..MaskingOptions::default() };
    let masker = Masker::for_examples(options, &data.tok, &set).unwrap();
    let id_of = |word: u64| data.tok.encode(&format!("w{word}x"))[0];
    let (rare, frequent) = (id_of(39), id_of(1));
    let mut counts: BTreeMap<u32, f64> = BTreeMap::new();
    for id in (0..set.len()).flat_map(|i| set.get(i).tokens.to_vec()).filter(|&id| !data.tok.is_special(id)) {
        *counts.entry(id).or_default() += 1.0;
    }
    // What each example's one draw gives to the rare and to the frequent word, by the definition.
    let weight = |id: u32| counts[&id].powf(-0.7);
    let (mut expected, mut found) = ([0.0; 2], [0.0; 2]);
    for index in 0..set.len() {
        let ids: Vec<u32> = set.get(index).tokens.iter().filter(|&id| !data.tok.is_special(id)).collect();
        let total: f64 = ids.iter().map(|&id| weight(id)).sum();
        for epoch in 0..100 {
            let example = MaskedExample::new(&set, &masker, 1, epoch, index);
            assert_eq!(example.labels.len(), 1);
            for (i, word) in [rare, frequent].into_iter().enumerate() {
                found[i] += f64::from(u8::from(example.labels[0] == word));
                expected[i] += ids.iter().filter(|&&id| id == word).count() as f64 * weight(word) / total;
            }
        }
    }
    for (expected, found) in expected.into_iter().zip(found) {
        assert!(expected > 500.0 && (found - expected).abs() < 4.0 * expected.sqrt(), "{found}, expected {expected}");
    }
}

#[test]
fn masks_drawn_while_building_keep_the_same_rules() {
    let data = Data::new();
    for (kind, replacements) in KINDS
        .into_iter()
        .flat_map(|kind| [Replacements::Ordinary, Replacements::Vocabulary].map(|replacements| (kind, replacements)))
    {
        if kind == MaskKind::FrequencyWeighted {
            continue;
        }
        let masking = MaskingOptions { kind, replacements, ..MaskingOptions::default() };
        let name = format!("{kind:?}-{replacements:?}");
        let set = data.built(&name, Some(StaticMasks { dupe_factor: 2, masking }));
        // What the loader is told to mask has no effect on examples that are masked.
        let masker = Masker::new(MaskingOptions { rate: 0.5, ..MaskingOptions::default() }, &data.tok).unwrap();
        let mut counted = Counted::default();
        for index in 0..set.len() {
            let example = MaskedExample::new(&set, &masker, 9, 0, index);
            assert_eq!(example, MaskedExample::new(&set, &masker, 9, 1, index), "static masks differ between epochs");
            counted.add(&example, None, masking, &data.tok);
        }
        let together = if kind == MaskKind::Span { 8.0 } else { 1.0 };
        within(counted.masked, counted.chosen, 0.8, together, &name);
        assert!(counted.chosen > 0.99 * counted.allowed);
        let special = counted.random_ids.keys().any(|&id| data.tok.is_special(id));
        assert_eq!(special, replacements == Replacements::Vocabulary, "{name}");
    }
}
