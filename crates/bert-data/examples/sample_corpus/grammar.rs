//! The sample's grammar: one hidden Markov model for each topic and person.

use crate::hmm::Hmm;
use crate::pattern::{Part, Words, add_pattern, text, word};
use crate::topics::{Action, Article, Line, Nouns, Topic};
use Part::{Alt, Empty, Seq};

/// Probability that a sentence is followed by one of the next pattern of the story.
const IN_ORDER: f64 = 0.4;
/// How much likelier the sights are than any other pattern where the story's order does not decide.
const SIGHTS: f64 = 5.0;

/// The person a document is about: name, subject pronoun, object pronoun.
pub type Person = (&'static str, &'static str, &'static str);

/// The people of the sample.
pub const PEOPLE: [Person; 8] = [
    ("anna", "she", "her"),
    ("peter", "he", "him"),
    ("clara", "she", "her"),
    ("thomas", "he", "him"),
    ("ruth", "she", "her"),
    ("oscar", "he", "him"),
    ("nora", "she", "her"),
    ("henry", "he", "him"),
];

/// Days, written with a capital.
pub const DAYS: [&str; 4] = ["monday", "wednesday", "friday", "sunday"];
/// Adverbs that may end an action.
pub const ADVERBS: [&str; 5] = ["slowly", "carefully", "quickly", "quietly", "again"];
/// Words of praise.
pub const GOOD: [&str; 5] = ["wonderful", "lovely", "excellent", "pleasant", "beautiful"];
/// Words of blame.
pub const BAD: [&str; 5] = ["awful", "terrible", "horrible", "dreadful", "dull"];
/// Verbs that go with praise.
pub const LOVED: [&str; 3] = ["loved", "liked", "enjoyed"];
/// Verbs that go with blame.
pub const HATED: [&str; 3] = ["hated", "disliked", "regretted"];

/// The whole grammar: its words, and a model for each class.
#[derive(Debug)]
pub struct Grammar {
    /// All words, each once.
    pub words: Words,
    /// One model a class; class = topic x people + person. All classes are as likely.
    pub classes: Vec<Hmm>,
}

impl Grammar {
    /// Builds the models of all topics and people.
    pub fn new(topics: &[Topic]) -> Self {
        let mut words = Words::default();
        let mut classes = Vec::new();
        for topic in topics {
            for person in PEOPLE {
                classes.push(class(topic, person, &mut words));
            }
        }
        for class in &mut classes {
            class.words = words.list.len();
        }
        Grammar { words, classes }
    }

    /// A sentence as people write it.
    pub fn spell(&self, sentence: &[u32]) -> String {
        let mut spelled = String::new();
        for (position, &word) in sentence.iter().enumerate() {
            let word = self.words.list[word as usize].as_str();
            if position > 0 && word != "." {
                spelled.push(' ');
            }
            let is_name = PEOPLE.iter().any(|(name, ..)| *name == word) || DAYS.contains(&word);
            if position == 0 || is_name {
                spelled.push_str(&capitalised(word));
            } else {
                spelled.push_str(word);
            }
        }
        spelled
    }
}

/// The word with its first letter in upper case.
pub fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn class(topic: &Topic, person: Person, words: &mut Words) -> Hmm {
    let mut hmm = Hmm::default();
    let mut parts: Vec<Part> = topic
        .lines
        .iter()
        .map(|line| match line {
            Line::Come(places) => come(places, person),
            Line::Do(action) => act(action, person),
            Line::Is(nouns, adjectives) => is_like(nouns, adjectives),
            Line::In(nouns, preposition, places) => there_is(nouns, preposition, places),
            Line::Give(who, verbs, nouns) => give(who, verbs, nouns, person),
            Line::Ask(who, nouns) => ask(who, nouns, person),
        })
        .collect();
    parts.push(weather());
    parts.push(likes(topic, person));
    parts.push(sights(topic, person));
    for part in parts {
        let sentence = Seq(vec![part, word(&["."])]);
        add_pattern(&mut hmm, words, &sentence);
    }
    let patterns = hmm.patterns.len();
    hmm.opening = one_hot(patterns, 0);
    // The first pattern, the arrival, never comes again; after the last the story starts over.
    let weight = |to: usize| if to + 1 == patterns { SIGHTS } else { 1.0 };
    hmm.follows = (0..patterns)
        .map(|from| {
            let next = if from + 1 == patterns { 1 } else { from + 1 };
            let is_possible = |to: usize| to != 0 && to != from;
            let total: f64 = (0..patterns).filter(|to| is_possible(*to)).map(weight).sum();
            (0..patterns)
                .map(|to| {
                    let in_order = if to == next { IN_ORDER } else { 0.0 };
                    let drawn = if is_possible(to) { weight(to) / total } else { 0.0 };
                    in_order + (1.0 - IN_ORDER) * drawn
                })
                .collect()
        })
        .collect();
    hmm
}

fn one_hot(length: usize, index: usize) -> Vec<f64> {
    (0..length).map(|at| f64::from(u8::from(at == index))).collect()
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn some_of(words: &[String]) -> Part {
    word(&strs(words))
}

fn is_vowel_first(word: &str) -> bool {
    word.starts_with(['a', 'e', 'i', 'o', 'u'])
}

/// "a" or "an" before one of the words, as its first letter asks.
fn indefinite(words: &[String]) -> Part {
    let branch = |article: &str, vowel: bool| {
        let chosen: Vec<(String, f64)> =
            words.iter().filter(|one| is_vowel_first(one) == vowel).map(|one| (one.clone(), 1.0)).collect();
        let total: f64 = chosen.iter().map(|(_, weight)| weight).sum();
        (total, Seq(vec![word(&[article]), Part::Word(chosen)]))
    };
    let branches = [branch("a", false), branch("an", true)];
    Alt(branches.into_iter().filter(|(total, _)| *total > 0.0).collect())
}

/// "a hammer", "glue"
fn tool(tools: &[String]) -> Part {
    let (bare, counted): (Vec<String>, Vec<String>) = tools.iter().cloned().partition(|tool| tool.starts_with('~'));
    let bare: Vec<&str> = bare.iter().map(|tool| tool.trim_start_matches('~')).collect();
    Alt([(counted.len() as f64, indefinite(&counted)), (bare.len() as f64, word(&bare))]
        .into_iter()
        .filter(|(weight, _)| *weight > 0.0)
        .collect())
}

fn maybe(probability: f64, part: Part) -> Part {
    Alt(vec![(probability, part), (1.0 - probability, Empty)])
}

/// "a (young) tree"
fn indefinite_noun(adjectives: &[String], nouns: &[String]) -> Part {
    if adjectives.is_empty() {
        return indefinite(nouns);
    }
    let described = Seq(vec![indefinite(adjectives), some_of(nouns)]);
    Alt(vec![(0.6, indefinite(nouns)), (0.4, described)])
}

/// "the (young) tree", "a tree", "some bread"
fn singular_object(nouns: &Nouns, adjectives: &[String]) -> Part {
    let all: Vec<String> = nouns.singular.iter().chain(&nouns.mass).cloned().collect();
    let some_adjective = || maybe(0.35, some_of(adjectives));
    let definite = Seq(vec![word(&["the"]), some_adjective(), some_of(&all)]);
    let mut choices = vec![(0.6 * all.len() as f64, definite)];
    if !nouns.singular.is_empty() {
        let weight = 0.4 * nouns.singular.len() as f64;
        choices.push((weight, indefinite_noun(adjectives, &nouns.singular)));
    }
    if !nouns.mass.is_empty() {
        let bare = Seq(vec![word(&["some"]), some_adjective(), some_of(&nouns.mass)]);
        choices.push((0.4 * nouns.mass.len() as f64, bare));
    }
    Alt(choices)
}

fn plural_object(nouns: &Nouns, adjectives: &[String]) -> Part {
    let determiner = Part::Word(vec![
        ("the".to_owned(), 0.6),
        ("some".to_owned(), 0.15),
        ("two".to_owned(), 0.15),
        ("three".to_owned(), 0.1),
    ]);
    Seq(vec![determiner, maybe(0.35, some_of(adjectives)), some_of(&nouns.plural)])
}

/// Both numbers, each followed by what agrees with it.
fn by_number(nouns: &Nouns, singular: Part, plural: Part) -> Part {
    let ones = (nouns.singular.len() + nouns.mass.len()) as f64;
    let many = nouns.plural.len() as f64;
    Alt([(ones, singular), (many, plural)].into_iter().filter(|(weight, _)| *weight > 0.0).collect())
}

/// When: before the subject, or nothing.
fn opener() -> Part {
    Alt(vec![
        (0.70, Empty),
        (0.12, word(&["then", "later", "soon"])),
        (0.08, Seq(vec![text("in the"), word(&["morning", "evening"])])),
        (0.05, Seq(vec![word(&["after", "before"]), word(&["lunch", "supper", "breakfast"])])),
        (0.05, Seq(vec![word(&["on"]), word(&DAYS)])),
    ])
}

fn subject(who: &[String], person: Person) -> Part {
    Alt(vec![(0.40, Seq(vec![word(&["the"]), some_of(who)])), (0.30, word(&[person.0])), (0.30, word(&[person.1]))])
}

fn come(places: &[String], person: Person) -> Part {
    Seq(vec![
        word(&[person.0]),
        word(&["came", "walked", "returned"]),
        text("to the"),
        some_of(places),
        Alt(vec![(0.4, word(&["early", "late", "alone"])), (0.6, Empty)]),
        Alt(vec![
            (0.4, Seq(vec![text("in the"), word(&["morning", "evening"])])),
            (0.4, Seq(vec![word(&["on"]), word(&DAYS)])),
            (0.2, Empty),
        ]),
    ])
}

fn act(action: &Action, person: Person) -> Part {
    let place = || {
        let noun = match action.article {
            Article::The => Seq(vec![word(&["the"]), some_of(&action.places)]),
            Article::A => indefinite(&action.places),
            Article::Bare => some_of(&action.places),
        };
        Seq(vec![word(&[&action.preposition]), noun])
    };
    let tail = |it: &str, they: &str, was: &str| {
        let mut choices = vec![
            (0.52, Empty),
            (0.14, word(&ADVERBS)),
            (0.12, Seq(vec![text("and"), word(&["admired", "liked"]), word(&[it])])),
        ];
        if !action.tools.is_empty() {
            choices.push((0.14, Seq(vec![word(&["with"]), tool(&action.tools)])));
        }
        if !action.reasons.is_empty() {
            let why = Seq(vec![text("because"), word(&[they]), word(&[was])]);
            choices.push((0.12, Seq(vec![why, some_of(&action.reasons)])));
        }
        Alt(choices)
    };
    let verbs = strs(&action.verbs);
    // "Before lunch she .. before sunset" would say two times.
    let says_when = action.preposition == "before" && action.article == Article::Bare;
    Seq(vec![
        if says_when { Empty } else { opener() },
        subject(&action.who, person),
        word(&verbs),
        by_number(
            &action.objects,
            Seq(vec![singular_object(&action.objects, &action.adjectives), place(), tail("it", "it", "was")]),
            Seq(vec![plural_object(&action.objects, &action.adjectives), place(), tail("them", "they", "were")]),
        ),
    ])
}

/// Words that nobody would say of one thing.
const CONTRARY: [(&str, &str); 14] = [
    ("calm", "rough"),
    ("cold", "hot"),
    ("cold", "warm"),
    ("dry", "wet"),
    ("easy", "difficult"),
    ("fast", "slow"),
    ("fat", "hungry"),
    ("green", "red"),
    ("hot", "warm"),
    ("long", "short"),
    ("loud", "quiet"),
    ("new", "old"),
    ("old", "young"),
    ("crowded", "empty"),
];

fn are_contrary(one: &str, other: &str) -> bool {
    CONTRARY.contains(&(one, other)) || CONTRARY.contains(&(other, one))
}

fn quality(adjectives: &[String]) -> Part {
    let pairs = adjectives
        .iter()
        .map(|first| {
            let others: Vec<&str> = adjectives
                .iter()
                .filter(|other| *other != first && !are_contrary(other, first))
                .map(String::as_str)
                .collect();
            let both = Seq(vec![word(&[first]), word(&["and"]), word(&others)]);
            (1.0, both)
        })
        .collect();
    Alt(vec![
        (0.35, some_of(adjectives)),
        (0.35, Seq(vec![word(&["very", "quite", "still"]), some_of(adjectives)])),
        (0.30, Alt(pairs)),
    ])
}

fn is_like(nouns: &Nouns, adjectives: &[String]) -> Part {
    let ones: Vec<String> = nouns.singular.iter().chain(&nouns.mass).cloned().collect();
    Seq(vec![
        word(&["the"]),
        by_number(nouns, Seq(vec![some_of(&ones), word(&["was"])]), Seq(vec![some_of(&nouns.plural), word(&["were"])])),
        quality(adjectives),
    ])
}

/// "a gull", "some bread"
fn some_thing(nouns: &Nouns) -> Part {
    let mut choices = vec![(nouns.singular.len() as f64, indefinite(&nouns.singular))];
    if !nouns.mass.is_empty() {
        let bare = Seq(vec![word(&["some"]), some_of(&nouns.mass)]);
        choices.push((nouns.mass.len() as f64, bare));
    }
    Alt(choices)
}

fn there_is(nouns: &Nouns, preposition: &str, places: &[String]) -> Part {
    let counts = word(&["two", "three", "some", "many"]);
    Seq(vec![
        word(&["there"]),
        by_number(
            nouns,
            Seq(vec![word(&["was"]), some_thing(nouns)]),
            Seq(vec![word(&["were"]), counts, some_of(&nouns.plural)]),
        ),
        word(&[preposition]),
        word(&["the"]),
        some_of(places),
    ])
}

fn give(who: &[String], verbs: &[String], nouns: &Nouns, person: Person) -> Part {
    Seq(vec![
        opener(),
        word(&["the"]),
        some_of(who),
        some_of(verbs),
        word(&[person.0, person.2]),
        by_number(nouns, some_thing(nouns), Seq(vec![word(&["some", "two", "three"]), some_of(&nouns.plural)])),
    ])
}

fn ask(who: &[String], nouns: &Nouns, person: Person) -> Part {
    let things: Vec<String> = nouns.singular.iter().chain(&nouns.plural).cloned().collect();
    let asked = Seq(vec![word(&[person.0, person.1]), text("asked the"), some_of(who)]);
    let told = Seq(vec![word(&["the"]), some_of(who), word(&["told"]), word(&[person.0, person.2])]);
    Seq(vec![opener(), Alt(vec![(0.5, asked), (0.5, told)]), text("about the"), some_of(&things)])
}

fn weather() -> Part {
    let outside = Seq(vec![text("outside it was"), word(&["raining", "snowing", "dark"])]);
    let day = Seq(vec![
        text("it was a"),
        word(&["cold", "warm", "quiet", "grey", "long"]),
        word(&["morning", "evening", "day"]),
    ]);
    Alt(vec![(0.4, outside), (0.6, day)])
}

/// What the person thinks of the topic's things: the words of praise and blame, each with its verbs.
fn likes(topic: &Topic, person: Person) -> Part {
    let mut things = Nouns::default();
    for line in &topic.lines {
        if let Line::Is(nouns, _) = line {
            things.singular.extend(nouns.singular.iter().chain(&nouns.mass).cloned());
            things.plural.extend(nouns.plural.iter().cloned());
        }
    }
    for nouns in [&mut things.singular, &mut things.plural] {
        nouns.sort_unstable();
        nouns.dedup();
    }
    let branch = |verbs: &[&str], adjectives: &[&str]| {
        let end = |it: &str, was: &str| Seq(vec![text("because"), word(&[it]), word(&[was]), word(adjectives)]);
        Seq(vec![
            word(&[person.0, person.1]),
            word(verbs),
            word(&["the"]),
            by_number(
                &things,
                Seq(vec![word(&strs(&things.singular)), end("it", "was")]),
                Seq(vec![word(&strs(&things.plural)), end("they", "were")]),
            ),
        ])
    };
    Alt(vec![(0.5, branch(&LOVED, &GOOD)), (0.5, branch(&HATED, &BAD))])
}

/// Somebody sees something somewhere: any thing and any place of the topic, hard to guess.
fn sights(topic: &Topic, person: Person) -> Part {
    let mut who = Vec::new();
    let mut things = Nouns::default();
    let mut places = Vec::new();
    for line in &topic.lines {
        match line {
            Line::Do(action) => {
                who.extend(action.who.iter().cloned());
                things.singular.extend(action.objects.singular.iter().cloned());
                things.plural.extend(action.objects.plural.iter().cloned());
                if action.article == Article::The {
                    places.extend(action.places.iter().cloned());
                }
            }
            Line::In(_, _, at) => places.extend(at.iter().cloned()),
            _ => {}
        }
    }
    for list in [&mut who, &mut things.singular, &mut things.plural, &mut places] {
        list.sort_unstable();
        list.dedup();
    }
    let counted = Seq(vec![word(&["two", "three", "some", "many"]), some_of(&things.plural)]);
    let seen = Alt(vec![(0.5, indefinite(&things.singular)), (0.5, counted)]);
    Seq(vec![
        opener(),
        subject(&who, person),
        word(&["saw", "noticed", "found", "remembered", "sketched"]),
        seen,
        word(&["near", "behind", "beside", "by"]),
        word(&["the"]),
        some_of(&places),
    ])
}
