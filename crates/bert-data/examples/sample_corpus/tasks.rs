//! Small task files in the layouts of GLUE, made by the same grammar.

use std::collections::HashSet;

use crate::facts::{Aspect, Fact, action, actions};
use crate::grammar::{BAD, GOOD, Grammar, HATED, LOVED, PEOPLE};
use crate::random::Random;
use crate::topics::{Action, Line, Topic};

/// Rows of a training file and of a development file.
const ROWS: [(&str, usize); 2] = [("train", 400), ("dev", 100)];

/// Every task file: (path below the folder of tasks, text).
pub fn files(topics: &[Topic], grammar: &Grammar, seed: u64) -> Vec<(String, String)> {
    let mut made = Vec::new();
    let mut add =
        |folder: &str, header: Option<&str>, row: &mut dyn FnMut(&mut Random) -> Option<String>, number: u64| {
            let mut random = Random::new(seed, number, 0);
            let mut known = HashSet::new();
            for (split, count) in ROWS {
                let mut text = header.map_or_else(String::new, |header| format!("{header}\n"));
                let mut index = 0;
                while index < count {
                    // No row twice, in neither file.
                    let Some(row) = row(&mut random).filter(|row| known.insert(row.clone())) else {
                        continue;
                    };
                    text.push_str(&row.replace("{index}", &index.to_string()));
                    text.push('\n');
                    index += 1;
                }
                made.push((format!("{folder}/{split}.tsv"), text));
            }
        };
    add("CoLA", None, &mut |random| acceptability(grammar, random), 201);
    add("SST-2", Some("sentence\tlabel"), &mut |random| sentiment(topics, random), 202);
    let columns = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String";
    add("MRPC", Some(columns), &mut |random| paraphrase(topics, random), 203);
    let columns = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore";
    add("STS-B", Some(columns), &mut |random| similarity(topics, random), 204);
    made
}

/// A sentence of the grammar, or one with an agreement broken or a few neighbouring words in a wrong order.
fn acceptability(grammar: &Grammar, random: &mut Random) -> Option<String> {
    let class = random.pick(&grammar.classes);
    let pattern = random.below(class.patterns.len());
    let sentence = class.sentence(pattern, random);
    if random.chance(0.5) {
        return Some(format!("sample\t1\t\t{}", grammar.spell(&sentence)));
    }
    let broken = break_agreement(grammar, &sentence, random).unwrap_or_else(|| scramble(&sentence, random));
    let is_good = grammar.classes.iter().any(|class| class.accepts(&broken));
    (!is_good).then(|| format!("sample\t0\t*\t{}", grammar.spell(&broken)))
}

fn break_agreement(grammar: &Grammar, sentence: &[u32], random: &mut Random) -> Option<Vec<u32>> {
    const WRONG: [(&str, &str); 6] =
        [("was", "were"), ("were", "was"), ("a", "an"), ("an", "a"), ("it", "them"), ("them", "it")];
    let places: Vec<(usize, &str)> = sentence
        .iter()
        .enumerate()
        .filter_map(|(at, &word)| {
            let word = grammar.words.list[word as usize].as_str();
            let (_, wrong) = WRONG.iter().find(|(right, _)| *right == word)?;
            Some((at, *wrong))
        })
        .collect();
    if places.is_empty() || random.chance(0.5) {
        return None;
    }
    let &(at, wrong) = random.pick(&places);
    let wrong = grammar.words.list.iter().position(|word| word == wrong)?;
    let mut broken = sentence.to_vec();
    broken[at] = wrong as u32;
    Some(broken)
}

fn scramble(sentence: &[u32], random: &mut Random) -> Vec<u32> {
    let mut broken = sentence.to_vec();
    let words = broken.len() - 1; // the full stop stays
    let width = random.between(2, 4).min(words);
    let from = random.below(words - width + 1);
    random.shuffle(&mut broken[from..from + width]);
    broken
}

/// A remark whose words of praise or blame say which it is.
fn sentiment(topics: &[Topic], random: &mut Random) -> Option<String> {
    let is_good = random.chance(0.5);
    let (own, opposite, verbs) = if is_good { (GOOD, BAD, LOVED) } else { (BAD, GOOD, HATED) };
    let topic = random.pick(topics);
    let mut things: Vec<(&str, &str)> = Vec::new();
    for line in &topic.lines {
        if let Line::Is(nouns, _) = line {
            things.extend(nouns.singular.iter().chain(&nouns.mass).map(|noun| (noun.as_str(), "was")));
            things.extend(nouns.plural.iter().map(|noun| (noun.as_str(), "were")));
        }
    }
    let ((thing, was), (other, were)) = (*random.pick(&things), *random.pick(&things));
    if thing == other {
        return None;
    }
    let it = if was == "was" { "it" } else { "they" };
    let (word, second, wrong) = (random.pick(&own), random.pick(&own), random.pick(&opposite));
    let (name, verb) = (random.pick(&PEOPLE).0, random.pick(&verbs));
    let text = match random.below(5) {
        0 => format!("the {thing} {was} {word} and the {other} {were} {second} ."),
        1 => format!("{name} {verb} the {thing} because {it} {was} {word} ."),
        2 => format!("the {thing} {was} not {wrong} , {it} {was} {word} ."),
        3 => format!("i {verb} the {word} {thing} and the {other} ."),
        _ => format!("{name} saw the {thing} near the {other} and said that {it} {was} {word} ."),
    };
    Some(format!("{text}\t{}", u8::from(is_good)))
}

fn any_fact<'a>(topics: &'a [Topic], random: &mut Random) -> Option<(Fact, &'a Action)> {
    let at = *random.pick(&actions(topics));
    let what = action(topics, at)?;
    Some((Fact::draw(at, what, random), what))
}

/// Two sentences of the same meaning, or of one that differs in who, what or where.
fn paraphrase(topics: &[Topic], random: &mut Random) -> Option<String> {
    let (fact, what) = any_fact(topics, random)?;
    let is_same = random.chance(0.7);
    let other = if is_same {
        fact.clone()
    } else {
        let aspect = *random.pick(&[Aspect::Object, Aspect::Who, Aspect::Place]);
        fact.changed(aspect, what, random)?
    };
    let (one, two) = (fact.say_somehow(what, random), other.say_somehow(what, random));
    if one == two {
        return None;
    }
    let quality = u8::from(is_same);
    Some(format!("{quality}\t1{{index}}\t2{{index}}\t{one}\t{two}"))
}

/// Two sentences and how alike their meanings are, from 0 to 5.
fn similarity(topics: &[Topic], random: &mut Random) -> Option<String> {
    let (fact, what) = any_fact(topics, random)?;
    let (other, other_what, score) = match random.below(6) {
        0 => {
            // Another topic.
            let (other, other_what) = any_fact(topics, random)?;
            if other.action.0 == fact.action.0 {
                return None;
            }
            (other, other_what, 0.0)
        }
        1 => {
            // The same topic, another action; perhaps the same person.
            let (mut other, other_what) = any_fact(topics, random)?;
            if other.action.0 != fact.action.0 || other.action.1 == fact.action.1 {
                return None;
            }
            if random.chance(0.5) && !fact.who.starts_with("the ") {
                other.who.clone_from(&fact.who);
            }
            let score = if other.who == fact.who { 1.2 } else { 0.8 };
            (other, other_what, score)
        }
        _ => {
            let (other, score) = altered(&fact, what, random)?;
            (other, what, score)
        }
    };
    let one = fact.say_somehow(what, random);
    let two = other.say_somehow(other_what, random);
    let (topic, _) = fact.action;
    let genre = &topics[topic].name;
    Some(format!("{{index}}\tsample\t{genre}\tnone\t{{index}}\tnone\tnone\t{one}\t{two}\t{score:.3}"))
}

/// The same action with some aspects changed, and what that leaves of the full score.
fn altered(fact: &Fact, what: &Action, random: &mut Random) -> Option<(Fact, f64)> {
    let mut other = fact.clone();
    let mut score: f64 = 5.0;
    for (aspect, price, probability) in [
        (Aspect::Object, 1.6, 0.3),
        (Aspect::Who, 1.2, 0.3),
        (Aspect::Place, 1.0, 0.3),
        (Aspect::Time, 0.5, 0.25),
        (Aspect::Adjective, 0.4, 0.25),
    ] {
        if random.chance(probability) {
            other = other.changed(aspect, what, random)?;
            score -= price;
        }
    }
    Some((other, score.max(1.4)))
}
