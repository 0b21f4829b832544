//! The `wikiextractor` format: `<doc id=".." url=".." title="..">`, the title on a line of its own, paragraphs, `</doc>`.

use super::lines::Lines;
use super::{Document, LONGEST_RECORD};
use crate::drops::Reason;
use crate::error::Result;

/// The next article, without its title line and without left-over markup, or none at the end of the file. An article may
/// have no text at all.
pub(super) fn next_document(lines: &mut Lines) -> Result<Option<Document>> {
    let title = loop {
        let Some(line) = lines.next()? else {
            return Ok(None);
        };
        let line = line.trim();
        if line.starts_with("<doc ") && line.ends_with('>') {
            break attribute(line, "title").map(unescape);
        }
        if !line.is_empty() {
            return Err(lines.malformed(
                "text outside <doc ..> and </doc>; this is not a file of WikiExtractor. For plain text use --format text",
            ));
        }
    };
    let mut paragraphs = Vec::new();
    let mut bytes = 0;
    let mut first = true;
    loop {
        let Some(line) = lines.next()? else {
            return Err(lines.malformed(
                "the file ends inside an article, before </doc>; it was cut off. Extract it again, or remove the last article",
            ));
        };
        let line = line.trim();
        if line == "</doc>" {
            if bytes > LONGEST_RECORD {
                lines.drops.document(Reason::TooLong, bytes);
            }
            return Ok(Some(Document { paragraphs, ..Document::default() }));
        }
        if line.starts_with("<doc ") && line.ends_with('>') {
            return Err(lines.malformed("an article begins before the one above has ended with </doc>"));
        }
        // The title is a heading, not a sentence of the article.
        let is_title = first && title.as_deref() == Some(&*unescape(line));
        first = first && line.is_empty();
        let text = without_tags(line);
        if !is_title && !text.is_empty() {
            bytes += text.len();
            paragraphs.push(text);
        }
        if bytes > LONGEST_RECORD {
            paragraphs.clear();
        }
    }
}

/// The value of an attribute in a `<doc ..>` line. A quotation mark in the title is not escaped, so the last one ends it.
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let start = line.find(&format!("{name}=\""))? + name.len() + 2;
    let end = line.rfind('"')?;
    line.get(start..end)
}

/// The five entities that WikiExtractor leaves in.
fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_string();
    }
    // `&amp;` last, so that `&amp;lt;` becomes `&lt;` and no further.
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

/// Removes left-over HTML tags such as `<br>`, `</dl>` and `<poem>`, undoes entities, and trims.
fn without_tags(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(open) = rest.find('<') {
        let (before, from_open) = rest.split_at(open);
        text.push_str(before);
        let name = from_open[1..].trim_start_matches('/');
        match from_open.find('>') {
            // A tag begins with a letter; "a < b and c > d" holds none.
            Some(close)
                if name.starts_with(|c: char| c.is_ascii_alphabetic()) && !from_open[1..close].contains('<') =>
            {
                text.push(' ');
                rest = &from_open[close + 1..];
            }
            _ => {
                text.push('<');
                rest = &from_open[1..];
            }
        }
    }
    text.push_str(rest);
    unescape(text.trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Unreadable;
    use super::super::lines::lines_of;
    use super::*;
    use crate::error::Error;

    fn read(text: &'static str) -> Result<Vec<Vec<String>>> {
        let mut lines = lines_of(text, Unreadable::Stop)?;
        let mut documents = Vec::new();
        while let Some(document) = next_document(&mut lines)? {
            documents.push(document.paragraphs);
        }
        Ok(documents)
    }

    #[test]
    fn articles_lose_their_title_and_their_tags() {
        let documents = read(
            "<doc id=\"1\" url=\"u\" title=\"Q &amp; \"A\"\">\nQ &amp; \"A\"\n\nFirst<br> one. 1 < 2 &lt; 3\n</dl>\nQ &amp; \"A\"\n\n</doc>\n<doc id=\"2\" url=\"u\" title=\"Empty\">\nEmpty\n\n</doc>\n",
        )
        .unwrap();
        assert_eq!(documents, [vec!["First  one. 1 < 2 < 3", "Q & \"A\""], vec![]]);
    }

    #[test]
    fn a_cut_off_file_is_an_error_with_its_line() {
        let error = read("<doc id=\"1\" url=\"u\" title=\"T\">\nT\n\nText.\n").unwrap_err();
        assert!(matches!(error, Error::Malformed { line: 4, .. }), "{error}");
        let error = read("Plain text.\n").unwrap_err();
        assert!(matches!(error, Error::Malformed { line: 1, .. }), "{error}");
    }
}
