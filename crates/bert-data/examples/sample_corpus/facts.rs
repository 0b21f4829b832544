//! What a sentence says, apart from how it says it: the basis of the tasks about meaning.

use crate::grammar::{ADVERBS, DAYS, PEOPLE, capitalised};
use crate::random::Random;
use crate::topics::{Action, Article, Line, Topic};

/// Somebody did something to a thing somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Topic and line of the action.
    pub action: (usize, usize),
    /// "anna", "the baker"
    pub who: String,
    /// "loaf", "loaves", "bread"
    pub object: String,
    /// What the object was like.
    pub adjective: Option<String>,
    /// "in the oven"
    pub place: String,
    /// "on friday"
    pub time: Option<String>,
    /// "slowly"
    pub adverb: Option<String>,
}

/// What two sentences may differ in, in the order of importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// To what.
    Object,
    /// By whom.
    Who,
    /// Where.
    Place,
    /// When.
    Time,
    /// What the object was like.
    Adjective,
}

/// Every action of the topics: (topic, line).
pub fn actions(topics: &[Topic]) -> Vec<(usize, usize)> {
    topics
        .iter()
        .enumerate()
        .flat_map(|(topic, what)| {
            let lines = what.lines.iter().enumerate();
            lines.filter(|(_, line)| matches!(line, Line::Do(_))).map(move |(line, _)| (topic, line))
        })
        .collect()
}

/// The action at (topic, line).
pub fn action(topics: &[Topic], at: (usize, usize)) -> Option<&Action> {
    match topics.get(at.0)?.lines.get(at.1)? {
        Line::Do(action) => Some(action),
        _ => None,
    }
}

impl Fact {
    /// A random fact about the action.
    pub fn draw(at: (usize, usize), action: &Action, random: &mut Random) -> Self {
        let mut fact = Fact {
            action: at,
            who: String::new(),
            object: String::new(),
            adjective: None,
            place: String::new(),
            time: None,
            adverb: random.chance(0.3).then(|| (*random.pick(&ADVERBS)).to_owned()),
        };
        for aspect in [Aspect::Who, Aspect::Object, Aspect::Place] {
            fact.redraw(aspect, action, random);
        }
        if random.chance(0.6) {
            fact.redraw(Aspect::Adjective, action, random);
        }
        if random.chance(0.5) && action.article != Article::Bare {
            fact.redraw(Aspect::Time, action, random);
        }
        fact
    }

    /// Draws one aspect anew; it may come out the same.
    pub fn redraw(&mut self, aspect: Aspect, action: &Action, random: &mut Random) {
        match aspect {
            Aspect::Who => {
                self.who = if random.chance(0.5) {
                    random.pick(&PEOPLE).0.to_owned()
                } else {
                    format!("the {}", random.pick(&action.who))
                };
            }
            Aspect::Object => {
                let objects = &action.objects;
                let all: Vec<&String> = objects.singular.iter().chain(&objects.mass).chain(&objects.plural).collect();
                self.object = (*random.pick(&all)).clone();
            }
            Aspect::Place => {
                let place = random.pick(&action.places);
                let vowel = place.starts_with(['a', 'e', 'i', 'o', 'u']);
                let article = match action.article {
                    Article::The => "the ",
                    Article::A if vowel => "an ",
                    Article::A => "a ",
                    Article::Bare => "",
                };
                self.place = format!("{} {article}{place}", action.preposition);
            }
            Aspect::Time => {
                self.time = Some(if random.chance(0.5) {
                    format!("on {}", random.pick(&DAYS))
                } else {
                    format!("in the {}", random.pick(&["morning", "evening"]))
                });
            }
            Aspect::Adjective => self.adjective = Some(random.pick(&action.adjectives).clone()),
        }
    }

    /// The same fact with one aspect different, where the action has another choice for it.
    pub fn changed(&self, aspect: Aspect, action: &Action, random: &mut Random) -> Option<Self> {
        (0..20)
            .map(|_| {
                let mut other = self.clone();
                other.redraw(aspect, action, random);
                other
            })
            .find(|other| other != self)
    }

    /// The fact in words: which verb, and whether the time and the adverb come early.
    pub fn say(&self, verb: &str, time_first: bool, adverb_first: bool) -> String {
        let mut words: Vec<&str> = Vec::new();
        let time = self.time.as_deref();
        let adverb = self.adverb.as_deref();
        if time_first {
            words.extend(time);
        }
        words.push(&self.who);
        // "again" never stands before its verb.
        let adverb_first = adverb_first && adverb != Some("again");
        if adverb_first {
            words.extend(adverb);
        }
        words.extend([verb, "the"]);
        words.extend(self.adjective.as_deref());
        words.extend([self.object.as_str(), &self.place]);
        if !adverb_first {
            words.extend(adverb);
        }
        if !time_first {
            words.extend(time);
        }
        let text = words.join(" ");
        let spelled: Vec<String> = text
            .split(' ')
            .enumerate()
            .map(|(position, word)| {
                let is_name = PEOPLE.iter().any(|(name, ..)| *name == word) || DAYS.contains(&word);
                if position == 0 || is_name { capitalised(word) } else { word.to_owned() }
            })
            .collect();
        spelled.join(" ") + "."
    }

    /// The fact said in a random way.
    pub fn say_somehow(&self, action: &Action, random: &mut Random) -> String {
        let verb = random.pick(&action.verbs);
        self.say(verb, random.chance(0.5), random.chance(0.5))
    }
}
