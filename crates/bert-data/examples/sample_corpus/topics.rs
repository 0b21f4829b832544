//! Reads `topics.txt`: the words each topic's sentence patterns are filled with.

/// Nouns of one slot.
#[derive(Debug, Clone, Default)]
pub struct Nouns {
    /// Singular nouns that take "a" or "an".
    pub singular: Vec<String>,
    /// Nouns that take "some" (bread).
    pub mass: Vec<String>,
    /// Plural nouns.
    pub plural: Vec<String>,
}

/// What stands before the place of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Article {
    /// "in the oven"
    The,
    /// "with a ruler"
    A,
    /// "before sunset"
    Bare,
}

/// Somebody does something to a thing at a place.
#[derive(Debug, Clone)]
pub struct Action {
    /// Who may do it, beside the document's person.
    pub who: Vec<String>,
    /// Verbs of the same meaning.
    pub verbs: Vec<String>,
    /// What it is done to.
    pub objects: Nouns,
    /// The preposition before the place.
    pub preposition: String,
    /// What stands between the preposition and the place.
    pub article: Article,
    /// Where.
    pub places: Vec<String>,
    /// What the thing may be like.
    pub adjectives: Vec<String>,
    /// What it is done with; ~ marks those without "a".
    pub tools: Vec<String>,
    /// Why: because it was ..
    pub reasons: Vec<String>,
}

/// One line of a topic.
#[derive(Debug, Clone)]
pub enum Line {
    /// Where the person arrives: the first sentence of a document.
    Come(Vec<String>),
    /// An action.
    Do(Action),
    /// What things are like.
    Is(Nouns, Vec<String>),
    /// What there is at a place.
    In(Nouns, String, Vec<String>),
    /// Who gives the person what.
    Give(Vec<String>, Vec<String>, Nouns),
    /// Whom the person asks about what.
    Ask(Vec<String>, Nouns),
}

/// A topic: its name and its lines in the order of a story.
#[derive(Debug, Clone)]
pub struct Topic {
    /// What it is called.
    pub name: String,
    /// Its lines; the first is where a document begins.
    pub lines: Vec<Line>,
}

fn list(field: &str) -> Vec<String> {
    field.split_whitespace().filter(|word| *word != "-").map(str::to_owned).collect()
}

fn first_word(field: &str) -> String {
    field.split(' ').next().unwrap_or_default().to_owned()
}

fn nouns(field: &str) -> Nouns {
    let (singular, plural) = field.split_once(';').unwrap_or((field, ""));
    let (mass, singular) = list(singular).into_iter().partition::<Vec<_>, _>(|noun| noun.starts_with('~'));
    Nouns {
        singular,
        mass: mass.iter().map(|noun| noun.trim_start_matches('~').to_owned()).collect(),
        plural: list(plural),
    }
}

fn line(text: &str) -> Option<Line> {
    let (kind, rest) = text.split_once(':')?;
    let fields: Vec<&str> = rest.split('|').map(str::trim).collect();
    match (kind, fields.as_slice()) {
        ("come", [places]) => Some(Line::Come(list(places))),
        ("do", [who, verbs, objects, preposition, places, adjectives, tools, reasons]) => Some(Line::Do(Action {
            who: list(who),
            verbs: list(verbs),
            objects: nouns(objects),
            preposition: first_word(preposition),
            article: match preposition.split_once(' ').map(|(_, article)| article) {
                None => Article::The,
                Some("a") => Article::A,
                Some(_) => Article::Bare,
            },
            places: list(places),
            adjectives: list(adjectives),
            tools: list(tools),
            reasons: list(reasons),
        })),
        ("is", [things, adjectives]) => Some(Line::Is(nouns(things), list(adjectives))),
        ("in", [things, preposition, places]) => Some(Line::In(nouns(things), (*preposition).to_owned(), list(places))),
        ("give", [who, verbs, things]) => Some(Line::Give(list(who), list(verbs), nouns(things))),
        ("ask", [who, things]) => Some(Line::Ask(list(who), nouns(things))),
        _ => None,
    }
}

/// The topics of the text, or the number and text of the first line that cannot be read.
pub fn parse(source: &str) -> Result<Vec<Topic>, String> {
    let mut topics: Vec<Topic> = Vec::new();
    for (number, text) in source.lines().enumerate() {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let wrong = || format!("topics.txt line {}: cannot read `{text}`", number + 1);
        if let Some(name) = text.strip_prefix("topic ") {
            topics.push(Topic { name: name.to_owned(), lines: Vec::new() });
        } else {
            let topic = topics.last_mut().ok_or_else(wrong)?;
            topic.lines.push(line(text).ok_or_else(wrong)?);
        }
    }
    Ok(topics)
}
