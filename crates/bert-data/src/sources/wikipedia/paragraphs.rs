//! Text without markup -> paragraphs, without headings and lists.

/// The paragraphs of a text: lines that follow each other are one, an empty line divides two. Headings, lists and what is
/// left of broken tables are no paragraphs.
pub(super) fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || is_no_text(line) {
            finish(&mut current, &mut paragraphs);
            continue;
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(line);
    }
    finish(&mut current, &mut paragraphs);
    paragraphs
}

/// Headings, list items and rows of tables.
fn is_no_text(line: &str) -> bool {
    line.starts_with(['*', '#', ':', ';', '|', '!'])
        || line.starts_with("----")
        || line.starts_with("{|")
        || (line.len() > 2 && line.starts_with('=') && line.ends_with('='))
}

fn finish(current: &mut String, paragraphs: &mut Vec<String>) {
    let text = tidy(current);
    current.clear();
    if text.chars().any(char::is_alphabetic) {
        paragraphs.push(text);
    }
}

/// Closes the gaps that removed markup leaves: double spaces, `( , )`, `(; born 1900)`, a space before a full stop.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '(' => {
                let inside = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':'));
                match inside.strip_prefix(')') {
                    Some(after) => rest = after,
                    None => {
                        out.push('(');
                        rest = inside;
                    }
                }
            }
            ')' | ',' | '.' | ';' => {
                // A full stop that begins a number (" .5") keeps its space.
                if character != '.' || !rest.starts_with(|c: char| c.is_alphanumeric() || c == '.') {
                    let end = match character {
                        ')' => out.trim_end_matches([' ', ',', ';']).len(),
                        _ => out.trim_end_matches(' ').len(),
                    };
                    out.truncate(end);
                }
                out.push(character);
            }
            _ if character.is_whitespace() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            _ => out.push(character),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_make_paragraphs_and_lists_and_headings_do_not() {
        let text =
            "One\nline.\n\n== Heading ==\n* item\n# item\n: indented\nTwo.\n----\n| cell\n! cell\n()\n\n \nThree.";
        assert_eq!(paragraphs(text), ["One line.", "Two.", "Three."]);
        assert!(paragraphs("").is_empty() && paragraphs("= x =\n\n. , 5").is_empty());
    }

    #[test]
    fn gaps_are_closed() {
        for (text, expected) in [
            ("A river ( ; ) in  Asia .", "A river in Asia."),
            ("He (, born 1900 , ) was", "He (born 1900) was"),
            ("x (a) , y ; z . .5 and ...", "x (a), y; z. .5 and ..."),
            ("  a\u{a0}\u{2003}b  ", "a b"),
            ("((()))", ""),
        ] {
            let tidied = tidy(text);
            match expected {
                "" => assert!(!tidied.chars().any(char::is_alphabetic), "{tidied}"),
                _ => assert_eq!(tidied, expected),
            }
        }
    }
}
