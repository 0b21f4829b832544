//! The best prediction that is possible: exact inference in the sample's grammar.
//!
//! For every position to be predicted, the probability of every word given everything a model sees: forward and
//! backward through the states of each class, for the two segments as one continued document and as parts of two,
//! then summed over all classes (topic and person) and over both cases. By-product: the probability that the
//! second segment continues the first.
//!
//! The model of what is seen: a position not to be predicted shows its true word, unless it is itself one of the
//! predicted ones, which the reader of it cannot know: [`Corruption`] is applied with probability `rate`,
//! independently. A position to be predicted is known to be one.

use crate::hmm::Hmm;

/// Log-probabilities this far below the largest are left out: less than 1e-17 of the whole.
const NEGLIGIBLE: f64 = 40.0;

/// BERT's corruption of the input.
#[derive(Debug, Clone, Copy)]
pub struct Corruption {
    /// Probability that a position is to be predicted.
    pub rate: f64,
    /// Of those, how many show [MASK].
    pub mask: f64,
    /// Of those, how many show a random token.
    pub random: f64,
    /// Number of tokens a random one is drawn from.
    pub vocabulary: usize,
    /// How many of them are words of the grammar.
    pub words: usize,
}

/// What a model sees at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// [MASK]
    Mask,
    /// A word of the grammar: the true one, or a random one.
    Word(u32),
    /// A token that no word of the grammar is: certainly random.
    Foreign,
}

/// How often segments begin and end where; counted over many pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cuts {
    /// The second segment continues the first.
    pub next: f64,
    /// Words were cut from the front of a segment.
    pub front: f64,
    /// A segment that was not cut begins its document: the first segment, and the second when random.
    pub opening: [f64; 2],
    /// A segment ends after a word, given that the word is not the end of a sentence.
    pub ends_inside: f64,
    /// A segment ends after a word, given that the word ends a sentence.
    pub ends_after_sentence: f64,
}

/// What the inference says of one pair.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// For each position asked for, the probability of each word.
    pub words: Vec<Vec<f64>>,
    /// The probability that the second segment continues the first.
    pub next: f64,
}

/// The ideal reader.
#[derive(Debug)]
pub struct Reader<'a> {
    classes: &'a [Hmm],
    corruption: Corruption,
    cuts: Cuts,
    prepared: Vec<Prepared>,
}

/// What is needed of a class again and again.
#[derive(Debug)]
struct Prepared {
    /// For each word, the states that emit it: (state, probability).
    emitters: Vec<Vec<(u32, f64)>>,
    /// First state of the first segment, of a random second one.
    starts: [Vec<f64>; 2],
    /// First state at the beginning of a sentence somewhere in a document.
    sentence: Vec<f64>,
    /// First state of a segment whose front was cut.
    anywhere: Vec<f64>,
}

/// Forward probabilities of a stretch: before each word is seen, scaled.
struct Forward {
    /// `before[i]`: over states, sums to 1.
    before: Vec<Vec<f64>>,
    /// Over states, after the last word; sums to 1.
    after: Vec<f64>,
    /// Log of the product of the scales up to and without word i.
    scale: Vec<f64>,
    /// Log-probability of all words.
    total: f64,
}

/// Values over states and the log of a factor common to them.
type Scaled = (Vec<f64>, f64);

/// A continued document of one class, and the log of its probability.
struct Reading {
    class: usize,
    weight: f64,
}

impl<'a> Reader<'a> {
    /// A reader of pairs whose classes are all as likely.
    pub fn new(classes: &'a [Hmm], corruption: Corruption, cuts: Cuts) -> Self {
        let prepared = classes.iter().map(|hmm| prepare(hmm, &cuts)).collect();
        Reader { classes, corruption, cuts, prepared }
    }

    /// Reads a pair and says what it thinks of the positions (segment, index).
    pub fn read(&self, seen: &[Vec<Seen>; 2], positions: &[(usize, usize)]) -> Posterior {
        let likelihoods = seen.each_ref().map(|segment| self.likelihoods(segment));
        let classes = self.classes.len();
        let prior = -(classes as f64).ln();

        // The first segment reads alike whatever the second is.
        let first: Vec<Forward> = (0..classes)
            .map(|class| self.forward(class, &self.prepared[class].starts[0], &likelihoods[0][class]))
            .collect();
        let first_end: Vec<f64> =
            (0..classes).map(|class| first[class].total + self.log_end(class, &first[class].after)).collect();
        let second: Vec<Forward> = (0..classes)
            .map(|class| self.forward(class, &self.prepared[class].starts[1], &likelihoods[1][class]))
            .collect();
        let second_end: Vec<f64> =
            (0..classes).map(|class| second[class].total + self.log_end(class, &second[class].after)).collect();
        // Only classes that the first segment allows can have been continued.
        let best_first = maximum(&first_end);
        let continued: Vec<Option<Forward>> = (0..classes)
            .map(|class| {
                (first_end[class] > best_first - 2.0 * NEGLIGIBLE).then(|| {
                    let start = self.link(class, &first[class].after);
                    self.forward(class, &start, &likelihoods[1][class])
                })
            })
            .collect();

        let mut readings = Vec::new();
        let separate = (1.0 - self.cuts.next).ln();
        let all_first = log_sum(&first_end) + prior;
        let all_second = log_sum(&second_end) + prior;
        let apart = separate + all_first + all_second;
        for class in 0..classes {
            if let Some(forward) = &continued[class] {
                let end = forward.total + self.log_end(class, &forward.after);
                let weight = self.cuts.next.ln() + prior + first_end[class] + end;
                readings.push(Reading { class, weight });
            }
        }
        let together = log_sum(&readings.iter().map(|reading| reading.weight).collect::<Vec<_>>());
        let whole = log_sum(&[apart, together]);

        let mut posterior = Posterior {
            words: vec![vec![0.0; self.classes[0].words]; positions.len()],
            next: (together - whole).exp(),
        };
        for reading in &readings {
            if reading.weight < whole - NEGLIGIBLE {
                continue;
            }
            if let Some(forward) = &continued[reading.class] {
                let class = reading.class;
                let log = self.cuts.next.ln() + prior - whole;
                let back_second = self.backward(class, &likelihoods[1][class], &self.end(class));
                let link = self.link_back(class, &back_second.1);
                let back_first = self.backward(class, &likelihoods[0][class], &link);
                self.collect((class, 0, log), &first[class], &back_first.0, seen, positions, &mut posterior.words);
                let log = log + first_end[class];
                self.collect((class, 1, log), forward, &back_second.0, seen, positions, &mut posterior.words);
            }
        }
        for class in 0..classes {
            for (segment, forward, own, others) in
                [(0, &first[class], first_end[class], all_second), (1, &second[class], second_end[class], all_first)]
            {
                let log = separate + others + prior - whole;
                if log + own < -NEGLIGIBLE {
                    continue;
                }
                let back = self.backward(class, &likelihoods[segment][class], &self.end(class));
                self.collect((class, segment, log), forward, &back.0, seen, positions, &mut posterior.words);
            }
        }
        for words in &mut posterior.words {
            let total: f64 = words.iter().sum();
            words.iter_mut().for_each(|word| *word /= total);
        }
        posterior
    }

    /// For each class and position, the probability of what is seen, for each state that does not have the
    /// background value: (background, exceptions).
    fn likelihoods(&self, seen: &[Seen]) -> Vec<Vec<Likelihood<'_>>> {
        let Corruption { rate, mask, random, vocabulary, .. } = self.corruption;
        let noise = rate * random / vocabulary as f64;
        let kept = 1.0 - rate + rate * (1.0 - mask - random);
        self.prepared
            .iter()
            .map(|prepared| {
                seen.iter()
                    .map(|&seen| match seen {
                        Seen::Mask => Likelihood { background: rate * mask, kept: 0.0, emitters: &[] },
                        Seen::Foreign => Likelihood { background: noise, kept: 0.0, emitters: &[] },
                        Seen::Word(word) => {
                            Likelihood { background: noise, kept, emitters: &prepared.emitters[word as usize] }
                        }
                    })
                    .collect()
            })
            .collect()
    }

    fn forward(&self, class: usize, start: &[f64], likelihoods: &[Likelihood<'_>]) -> Forward {
        let hmm = &self.classes[class];
        let mut result = Forward {
            before: Vec::with_capacity(likelihoods.len()),
            after: Vec::new(),
            scale: Vec::with_capacity(likelihoods.len()),
            total: 0.0,
        };
        let mut now = start.to_vec();
        for (position, likelihood) in likelihoods.iter().enumerate() {
            result.scale.push(result.total);
            let mut after = now.clone();
            likelihood.apply(&mut after);
            let sum: f64 = after.iter().sum();
            result.total += sum.ln();
            after.iter_mut().for_each(|mass| *mass /= sum);
            result.before.push(now);
            if position + 1 == likelihoods.len() {
                result.after = after;
                break;
            }
            now = step(hmm, &after);
        }
        result
    }

    /// Backward from `end` (over states, at the last word): the values at each word without its own likelihood, and
    /// the values at the first word with it. Values come with the log of what they are to be multiplied by.
    fn backward(&self, class: usize, likelihoods: &[Likelihood<'_>], end: &Scaled) -> (Vec<Scaled>, Scaled) {
        let hmm = &self.classes[class];
        let (mut now, mut log) = end.clone();
        let mut values = Vec::with_capacity(likelihoods.len());
        for position in (0..likelihoods.len()).rev() {
            values.push((now.clone(), log));
            likelihoods[position].apply(&mut now);
            let sum: f64 = now.iter().sum();
            now.iter_mut().for_each(|mass| *mass /= sum);
            log += sum.ln();
            if position > 0 {
                now = step_back(hmm, &now);
            }
        }
        values.reverse();
        (values, (now, log))
    }

    /// Adds, for the positions in the segment, the probability of each word under one reading.
    fn collect(
        &self,
        (class, segment, log): (usize, usize, f64),
        forward: &Forward,
        backward: &[Scaled],
        seen: &[Vec<Seen>; 2],
        positions: &[(usize, usize)],
        words: &mut [Vec<f64>],
    ) {
        for (&(_, index), words) in positions.iter().zip(words).filter(|((at, _), _)| *at == segment) {
            let (back, back_log) = &backward[index];
            let weight = (log + forward.scale[index] + back_log).exp();
            for ((state, &before), &after) in self.classes[class].states.iter().zip(&forward.before[index]).zip(back) {
                let mass = weight * before * after;
                if mass > 0.0 {
                    for &(word, probability) in &state.words {
                        words[word as usize] += mass * probability * self.target(word, seen[segment][index]);
                    }
                }
            }
        }
    }

    /// The probability of what is seen at a position known to be a predicted one, given its true word.
    fn target(&self, word: u32, seen: Seen) -> f64 {
        let Corruption { mask, random, vocabulary, .. } = self.corruption;
        let noise = random / vocabulary as f64;
        match seen {
            Seen::Mask => mask,
            Seen::Foreign => noise,
            Seen::Word(shown) if shown == word => noise + 1.0 - mask - random,
            Seen::Word(_) => noise,
        }
    }

    /// The probability that a segment ends here, for each state.
    fn end(&self, class: usize) -> Scaled {
        let values = self.classes[class]
            .states
            .iter()
            .map(|state| if state.is_last() { self.cuts.ends_after_sentence } else { self.cuts.ends_inside })
            .collect();
        (values, 0.0)
    }

    fn log_end(&self, class: usize, after: &[f64]) -> f64 {
        let (end, _) = self.end(class);
        end.iter().zip(after).map(|(end, mass)| end * mass).sum::<f64>().ln()
    }

    /// First state of a second segment that continues a first one that ended in these states.
    fn link(&self, class: usize, after: &[f64]) -> Vec<f64> {
        let hmm = &self.classes[class];
        let prepared = &self.prepared[class];
        let (end, _) = self.end(class);
        let total: f64 = end.iter().zip(after).map(|(end, mass)| end * mass).sum();
        let ended: Vec<f64> = end.iter().zip(after).map(|(end, mass)| end * mass / total).collect();
        let complete: Vec<f64> =
            hmm.states.iter().zip(&ended).map(|(state, &mass)| if state.is_last() { mass } else { 0.0 }).collect();
        let lost = 1.0 - complete.iter().sum::<f64>();
        let follow = step(hmm, &complete);
        (0..ended.len())
            .map(|state| {
                (1.0 - self.cuts.front) * (follow[state] + lost * prepared.sentence[state])
                    + self.cuts.front * prepared.anywhere[state]
            })
            .collect()
    }

    /// The transpose of `link`, with the probability of ending there: backward over the gap.
    fn link_back(&self, class: usize, (values, log): &Scaled) -> Scaled {
        let hmm = &self.classes[class];
        let prepared = &self.prepared[class];
        let dot = |weights: &[f64]| -> f64 { weights.iter().zip(values).map(|(w, v)| w * v).sum() };
        let cut = self.cuts.front * dot(&prepared.anywhere);
        let fresh = dot(&prepared.sentence);
        let follow = step_back(hmm, values);
        let (end, _) = self.end(class);
        let back = hmm
            .states
            .iter()
            .zip(follow)
            .zip(end)
            .map(|((state, follow), end)| {
                let whole = if state.is_last() { follow } else { fresh };
                end * ((1.0 - self.cuts.front) * whole + cut)
            })
            .collect();
        (back, *log)
    }
}

/// The probability of what is seen at a position: `background + kept x P(word | state)`.
#[derive(Clone, Copy)]
struct Likelihood<'a> {
    background: f64,
    kept: f64,
    emitters: &'a [(u32, f64)],
}

impl Likelihood<'_> {
    /// Multiplies the values of all states by it.
    fn apply(&self, values: &mut [f64]) {
        let own: Vec<f64> = self.emitters.iter().map(|&(state, p)| values[state as usize] * self.kept * p).collect();
        values.iter_mut().for_each(|value| *value *= self.background);
        for (&(state, _), own) in self.emitters.iter().zip(own) {
            values[state as usize] += own;
        }
    }
}

fn prepare(hmm: &Hmm, cuts: &Cuts) -> Prepared {
    let mut emitters = vec![Vec::new(); hmm.words];
    for (state, what) in hmm.states.iter().enumerate() {
        for &(word, probability) in &what.words {
            emitters[word as usize].push((state as u32, probability));
        }
    }
    let anywhere = hmm.spread(&hmm.stationary_patterns());
    let mut sentence = vec![0.0; hmm.states.len()];
    hmm.enter(&hmm.stationary_patterns(), &mut sentence, 1.0);
    let in_opening = hmm.spread(&hmm.opening);
    let mut at_opening = vec![0.0; hmm.states.len()];
    hmm.enter(&hmm.opening, &mut at_opening, 1.0);
    let starts = cuts.opening.map(|opening| {
        let mix = |open: f64, later: f64| opening * open + (1.0 - opening) * later;
        (0..hmm.states.len())
            .map(|state| {
                (1.0 - cuts.front) * mix(at_opening[state], sentence[state])
                    + cuts.front * mix(in_opening[state], anywhere[state])
            })
            .collect()
    });
    Prepared { emitters, starts, sentence, anywhere }
}

/// From the states at one word to the states at the next.
fn step(hmm: &Hmm, now: &[f64]) -> Vec<f64> {
    let mut then = vec![0.0; now.len()];
    let mut ended = vec![0.0; hmm.patterns.len()];
    for (state, &mass) in hmm.states.iter().zip(now) {
        if state.is_last() {
            ended[state.pattern as usize] += mass;
        }
        for &(next, probability) in &state.next {
            then[next as usize] += mass * probability;
        }
    }
    let mut begun = vec![0.0; hmm.patterns.len()];
    for (follows, mass) in hmm.follows.iter().zip(ended) {
        if mass > 0.0 {
            for (begun, probability) in begun.iter_mut().zip(follows) {
                *begun += mass * probability;
            }
        }
    }
    hmm.enter(&begun, &mut then, 1.0);
    then
}

/// The transpose of `step`.
fn step_back(hmm: &Hmm, then: &[f64]) -> Vec<f64> {
    let begun: Vec<f64> = hmm
        .patterns
        .iter()
        .map(|pattern| pattern.starts.iter().map(|&(state, p)| then[state as usize] * p).sum())
        .collect();
    let ended: Vec<f64> =
        hmm.follows.iter().map(|follows| follows.iter().zip(&begun).map(|(p, value)| p * value).sum()).collect();
    hmm.states
        .iter()
        .map(|state| {
            if state.is_last() {
                ended[state.pattern as usize]
            } else {
                state.next.iter().map(|&(next, p)| p * then[next as usize]).sum()
            }
        })
        .collect()
}

fn maximum(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn log_sum(logs: &[f64]) -> f64 {
    let most = maximum(logs);
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln()
}
