//! The few templates that stand for words of the running text. All others show nothing.
//!
//! A sentence loses its sense with its measure or its foreign word, so those are worth a table. The names are those of the
//! English Wikipedia, many of which other wikis share.

/// Templates that show their first argument.
const FIRST: &[&str] = &[
    "abbr",
    "abbrlink",
    "as written",
    "big",
    "em",
    "hover title",
    "ill",
    "interlanguage link",
    "larger",
    "linktext",
    "mvar",
    "nihongo",
    "nobr",
    "nobreak",
    "not a typo",
    "nowrap",
    "sc",
    "sic",
    "small",
    "smallcaps",
    "smaller",
    "strong",
    "sub",
    "sup",
    "tooltip",
    "val",
    "vanchor",
    "visible anchor",
];
/// Templates that show their second argument, the first being a language.
const SECOND: &[&str] = &["lang", "rtl-lang", "script", "wikt-lang"];
/// Templates that show their last argument.
const LAST: &[&str] = &["translit", "transliteration", "transl"];
/// Ships: the prefix and the name.
const SHIPS: &[(&str, &str)] =
    &[("hmas", "HMAS"), ("hmcs", "HMCS"), ("hms", "HMS"), ("rms", "RMS"), ("ss", "SS"), ("uss", "USS")];
/// Templates that stand for characters.
const CHARACTERS: &[(&str, &str)] = &[
    ("!", "|"),
    ("'", "'"),
    ("'s", "'s"),
    ("=", "="),
    ("mdash", "—"),
    ("nbs", " "),
    ("nbsp", " "),
    ("ndash", "–"),
    ("snd", " – "),
    ("sndash", " – "),
    ("space", " "),
    ("spaced en dash", " – "),
    ("spaced ndash", " – "),
    ("spnd", " – "),
    ("zwsp", ""),
];
/// Passages that are quoted: text on lines of their own.
const QUOTES: &[&str] = &["blockquote", "bq", "cquote", "quotation", "quote"];

/// Names of the templates that mark a disambiguation page, beside those that begin with "disambig".
const DISAMBIGUATION: &[&str] = &[
    "aimai",
    "begriffsklärung",
    "dab",
    "desambig",
    "desambiguación",
    "desambiguação",
    "dp",
    "förgrening",
    "geodis",
    "hndis",
    "homonymie",
    "mathdab",
    "numberdis",
    "roaddis",
    "schooldis",
    "ujednoznacznienie",
    "багатозначність",
    "неоднозначность",
    "توضيح",
    "동음이의",
    "多義語",
    "曖昧さ回避",
    "消歧义",
    "消歧義",
];

/// A template's name as the tables have it.
fn normalized(name: &str) -> String {
    let name = name.replace('_', " ").to_lowercase();
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// True when a template of this name marks a disambiguation page.
pub(super) fn is_disambiguation(name: &str) -> bool {
    if name.len() > 64 {
        return false;
    }
    let name = normalized(name);
    name.starts_with("disambig") || name.ends_with(" disambiguation") || DISAMBIGUATION.contains(&name.as_str())
}

/// True when a title says that the page lists the meanings of a word.
pub(super) fn is_disambiguation_title(title: &str) -> bool {
    title.to_lowercase().trim_end().ends_with("(disambiguation)")
}

/// The text that a template shows, appended to `out`. `parts` is its name and its arguments.
pub(super) fn render(parts: &[&str], out: &mut String) {
    let Some(name) = parts.first().filter(|name| name.len() <= 64) else { return };
    let name = normalized(name);
    let arguments = Arguments(&parts[1..]);
    let name = name.as_str();
    if let Some((_, text)) = CHARACTERS.iter().find(|(known, _)| *known == name) {
        out.push_str(text);
    } else if FIRST.contains(&name) || name.starts_with("lang-") {
        out.push_str(arguments.at(1));
    } else if SECOND.contains(&name) {
        out.push_str(arguments.at(2));
    } else if LAST.contains(&name) {
        out.push_str(arguments.positional().last().unwrap_or_default());
    } else if QUOTES.contains(&name) {
        let text = arguments.named("text").or_else(|| arguments.named("quote")).unwrap_or(arguments.at(1));
        out.push_str("\n\n");
        out.push_str(text);
        out.push_str("\n\n");
    } else if let Some((_, prefix)) = SHIPS.iter().find(|(known, _)| *known == name) {
        join(out, &[prefix, arguments.at(1)]);
    } else {
        match name {
            "convert" | "cvt" => measure(&arguments, out),
            "ship" => join(out, &[arguments.at(1), arguments.at(2)]),
            "circa" | "c." | "ca." => join(out, &["c.", arguments.at(1)]),
            "as of" => {
                let parts: Vec<&str> = arguments.positional().collect();
                join(out, &["As of"]);
                parts.iter().for_each(|part| join(out, &["", part]));
            }
            "frac" | "sfrac" => match arguments.positional().collect::<Vec<_>>()[..] {
                [below] => out.push_str(&format!("1/{below}")),
                [above, below] => out.push_str(&format!("{above}/{below}")),
                [whole, above, below, ..] => out.push_str(&format!("{whole} {above}/{below}")),
                [] => {}
            },
            _ => {
                if let Some(number) = name.strip_prefix("formatnum:") {
                    out.push_str(number);
                }
            }
        }
    }
}

/// `{{convert|5|km}}`, `{{convert|5|to|7|km}}`: the measure as it is given, without the one that is calculated from it.
fn measure(arguments: &Arguments<'_>, out: &mut String) {
    match arguments.at(2) {
        range @ ("to" | "-" | "–" | "and" | "by" | "x" | "or" | "×") => {
            join(out, &[arguments.at(1), range, arguments.at(3), arguments.at(4)]);
        }
        unit => join(out, &[arguments.at(1), unit]),
    }
}

/// Appends parts with spaces between them.
fn join(out: &mut String, parts: &[&str]) {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        out.push_str(part);
    }
}

/// The arguments of a template.
struct Arguments<'a>(&'a [&'a str]);

impl<'a> Arguments<'a> {
    /// `name=value`, where the name is one.
    fn split(argument: &'a str) -> Option<(&'a str, &'a str)> {
        let (name, value) = argument.split_once('=')?;
        let name = name.trim();
        let is_name = name.len() <= 32 && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
        is_name.then(|| (name, value.trim()))
    }

    fn positional(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.0.iter().filter(|argument| Self::split(argument).is_none()).map(|argument| argument.trim())
    }

    /// Argument `n`, counted from 1, by position or as `n=..`; empty when it is not there.
    fn at(&self, n: usize) -> &'a str {
        self.named(&n.to_string()).or_else(|| self.positional().nth(n - 1)).unwrap_or_default()
    }

    fn named(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .filter_map(|argument| Self::split(argument))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(template: &str) -> String {
        let mut out = String::new();
        render(&template.split('|').collect::<Vec<_>>(), &mut out);
        out
    }

    #[test]
    fn measures_and_words_are_shown_and_the_rest_is_not() {
        for (template, text) in [
            ("convert|5|km|mi", "5 km"),
            ("Convert | 5|to|7 |km|abbr=on", "5 to 7 km"),
            ("lang|fr|mot juste", "mot juste"),
            ("Lang-de|Wort|link=no", "Wort"),
            ("transl|ru|ISO|slovo", "slovo"),
            ("nowrap|1=a = b", "a = b"),
            ("snd", " – "),
            ("frac|1|2", "1/2"),
            ("USS|Example", "USS Example"),
            ("as of|2001|May", "As of 2001 May"),
            ("Infobox person|name=Nobody", ""),
            ("cite web|url=x", ""),
            ("convert", " "),
            ("", ""),
        ] {
            assert_eq!(shown(template), text, "{template}");
        }
        assert_eq!(shown("quote|Words.|Somebody"), "\n\nWords.\n\n");
    }

    #[test]
    fn disambiguation_is_seen_in_several_languages() {
        for name in ["Disambig", "disambiguation", "Begriffsklärung", "Human_name disambiguation", "hndis"] {
            assert!(is_disambiguation(name), "{name}");
        }
        assert!(!is_disambiguation("Infobox") && !is_disambiguation("main"));
        assert!(is_disambiguation_title("Word (disambiguation)") && !is_disambiguation_title("Disambiguation"));
    }
}
