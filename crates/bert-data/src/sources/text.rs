//! The `text` format: one sentence or paragraph a line, a blank line between documents.

use super::Document;
use super::lines::Lines;
use crate::error::Result;

/// The next document, or none at the end of the file. Never an empty one.
pub(super) fn next_document(lines: &mut Lines) -> Result<Option<Document>> {
    let mut paragraphs = Vec::new();
    while let Some(line) = lines.next()? {
        let line = line.trim();
        if !line.is_empty() {
            paragraphs.push(line.to_string());
        } else if !paragraphs.is_empty() {
            break;
        }
    }
    Ok((!paragraphs.is_empty()).then_some(Document { paragraphs }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;

    #[test]
    fn blank_lines_divide_documents() {
        let text = "\n \nA b.\n  C d. \n\t\n\n\nE f.";
        let mut lines = Lines::open(Path::new("x"), Some(text)).unwrap();
        let mut documents = Vec::new();
        while let Some(document) = next_document(&mut lines).unwrap() {
            documents.push(document.paragraphs);
        }
        assert_eq!(documents, [vec!["A b.", "C d."], vec!["E f."]]);
    }
}
