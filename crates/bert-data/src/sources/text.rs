//! The `text` format: one sentence or paragraph a line, a blank line between documents.

use super::lines::Lines;
use super::{Document, LONGEST_DOCUMENT};
use crate::error::Result;

/// The next document, or none at the end of the file. Never an empty one. A very long document comes in parts.
pub(super) fn next_document(lines: &mut Lines) -> Result<Option<Document>> {
    let mut paragraphs = Vec::new();
    let mut bytes = 0;
    while bytes < LONGEST_DOCUMENT
        && let Some(line) = lines.next()?
    {
        let line = line.trim();
        if !line.is_empty() {
            bytes += line.len();
            paragraphs.push(line.to_string());
        } else if !paragraphs.is_empty() {
            break;
        }
    }
    let continues = bytes >= LONGEST_DOCUMENT;
    Ok((!paragraphs.is_empty()).then_some(Document { paragraphs, continues, ..Document::default() }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Unreadable;
    use super::super::lines::lines_of;
    use super::*;

    #[test]
    fn blank_lines_divide_documents() {
        let text = "\n \nA b.\n  C d. \n\t\n\n\nE f.";
        let mut lines = lines_of(text, Unreadable::Stop).unwrap();
        let mut documents = Vec::new();
        while let Some(document) = next_document(&mut lines).unwrap() {
            documents.push(document.paragraphs);
        }
        assert_eq!(documents, [vec!["A b.", "C d."], vec!["E f."]]);
    }
}
