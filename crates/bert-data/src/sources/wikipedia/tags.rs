//! What becomes of the tags in wikitext.

/// What to do at a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The tag goes, what it encloses stays.
    Keep,
    /// As `Keep`, and the text before and after stands on lines of its own.
    Break,
    /// Everything up to the closing tag goes, without looking at what it is.
    Skip,
    /// What it encloses goes; it may enclose itself and other markup.
    Drop,
    /// What it encloses is text, without any markup.
    Literal,
}

const KEEP: &[&str] = &[
    "abbr",
    "b",
    "bdi",
    "bdo",
    "big",
    "br",
    "cite",
    "code",
    "data",
    "del",
    "dfn",
    "em",
    "font",
    "i",
    "ins",
    "kbd",
    "mark",
    "noinclude",
    "nobr",
    "onlyinclude",
    "q",
    "rb",
    "ruby",
    "s",
    "samp",
    "section",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "time",
    "translate",
    "tt",
    "tvar",
    "u",
    "var",
    "wbr",
    "languages",
];
const BREAK: &[&str] = &["blockquote", "center", "div", "hr", "p", "poem"];
const SKIP: &[&str] = &[
    "ce",
    "chem",
    "gallery",
    "graph",
    "hiero",
    "imagemap",
    "indicator",
    "inputbox",
    "mapframe",
    "maplink",
    "math",
    "pre",
    "ref",
    "references",
    "rp",
    "rt",
    "score",
    "source",
    "syntaxhighlight",
    "templatedata",
    "templatestyles",
    "timeline",
    "categorytree",
    "includeonly",
];
const DROP: &[&str] = &["dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "table", "ul"];

/// Longest name in the lists.
const LONGEST: usize = 16;

/// The name in the lists of a tag as it is written, and what to do; none for what is no tag of wikitext.
pub(super) fn lookup(name: &str) -> Option<(&'static str, Action)> {
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_ascii_lowercase();
    if name == "nowiki" {
        return Some(("nowiki", Action::Literal));
    }
    [(KEEP, Action::Keep), (BREAK, Action::Break), (SKIP, Action::Skip), (DROP, Action::Drop)]
        .into_iter()
        .find_map(|(list, action)| list.iter().find(|known| **known == name).map(|known| (*known, action)))
}
