//! The `jsonl` format: one JSON object a line, the document's text in one of its fields.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::lines::Lines;
use super::{Document, Unreadable, document_of};
use crate::drops::Reason;
use crate::error::Result;

/// Records without the text field before which none had it: then its name is wrong.
const PATIENCE: u64 = 100;

/// Reads the records of one file.
pub(super) struct Records {
    field: String,
    /// Records without text so far, while none had any.
    without: Option<u64>,
    /// The fields of the first record without text.
    seen: String,
}

impl Records {
    pub(super) fn new(field: &str) -> Self {
        Records { field: field.to_string(), without: Some(0), seen: String::new() }
    }

    /// The next document, or none at the end of the file.
    pub(super) fn next_document(&mut self, lines: &mut Lines) -> Result<Option<Document>> {
        loop {
            let Some(line) = lines.next()? else {
                return match self.without {
                    Some(records) if records > 0 => Err(self.wrong_field(lines)),
                    _ => Ok(None),
                };
            };
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let bytes = line.len();
            let mut json = serde_json::Deserializer::from_str(line);
            let record =
                Field { name: &self.field }.deserialize(&mut json).and_then(|found| json.end().map(|()| found));
            match record {
                Ok(Found::Text(text)) => {
                    self.without = None;
                    let document = document_of(&text);
                    if document.paragraphs.is_empty() {
                        lines.drops.document(Reason::NoText, bytes);
                        continue;
                    }
                    return Ok(Some(document));
                }
                Ok(Found::Other(fields)) => {
                    lines.drops.document(Reason::NoTextField, bytes);
                    if let Some(without) = &mut self.without {
                        if *without == 0 {
                            self.seen = fields.join(", ");
                        }
                        *without += 1;
                        if *without == PATIENCE {
                            return Err(self.wrong_field(lines));
                        }
                    }
                }
                Err(_) if lines.unreadable() == Unreadable::Skip => {
                    lines.drops.document(Reason::MalformedJson, bytes);
                }
                Err(error) => {
                    // The library says "at line 1 column N" of the one line that it was given.
                    let column = error.column();
                    let reason = error.to_string();
                    let reason = reason.split(" at line ").next().unwrap_or_default();
                    return Err(lines.malformed(format!(
                        "column {column}: {reason}. Every line has to be one JSON object with a \"{}\" of text; lines that are not can be left out with --unreadable skip",
                        self.field
                    )));
                }
            }
        }
    }

    fn wrong_field(&self, lines: &Lines) -> crate::error::Error {
        lines.malformed(format!(
            "none of the records so far has text in a field \"{}\"; the first has {}. Name the right one: --input 'FILE:text=FIELD'",
            self.field, self.seen
        ))
    }
}

/// What a record holds.
enum Found {
    Text(String),
    /// No text; the names of the fields.
    Other(Vec<String>),
}

/// Takes one field out of a record without building the others.
struct Field<'a> {
    name: &'a str,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Found, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Found, A::Error> {
        let mut text = None;
        let mut names = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == self.name {
                text = map.next_value::<Text>()?.0;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            if names.len() < 20 {
                names.push(name);
            }
        }
        Ok(text.map_or(Found::Other(names), Found::Text))
    }
}

/// A string, or anything else that is not text.
struct Text(Option<String>);

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Value {
            Text(String),
            Other(IgnoredAny),
        }
        Ok(Text(match Value::deserialize(deserializer)? {
            Value::Text(text) => Some(text),
            Value::Other(_) => None,
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::lines::lines_of;
    use super::*;

    fn read(text: &'static str, field: &str, unreadable: Unreadable) -> Result<(Vec<Vec<String>>, Lines)> {
        let mut lines = lines_of(text, unreadable)?;
        let mut records = Records::new(field);
        let mut documents = Vec::new();
        while let Some(document) = records.next_document(&mut lines)? {
            documents.push(document.paragraphs);
        }
        Ok((documents, lines))
    }

    #[test]
    fn the_text_field_becomes_paragraphs_and_the_rest_is_ignored() {
        let text = "{\"id\": 1, \"meta\": {\"text\": \"no\"}, \"text\": \"One.\\n\\nT\\u0077o \\u00e9.\"}\n\n{\"text\": null}\n{\"text\": \" \\n\"}\n{\"text\": \"Last\", \"n\": [1, 2e5]}";
        let (documents, lines) = read(text, "text", Unreadable::Stop).unwrap();
        assert_eq!(documents, [vec!["One.", "Two é."], vec!["Last"]]);
        assert_eq!(lines.drops.get(Reason::NoTextField).documents, 1);
        assert_eq!(lines.drops.get(Reason::NoText).documents, 1);
        assert_eq!(read("{\"a\":\"x\",\"body\":\"y\"}", "body", Unreadable::Stop).unwrap().0, [["y"]]);
    }

    #[test]
    fn what_is_not_a_record_is_an_error_or_counted() {
        let text = "{\"text\": \"a\"}\n{\"text\": \"cut o\n[1]\n{\"text\": \"b\"} x\n{\"text\": \"c\"}\n";
        let error = read(text, "text", Unreadable::Stop).err().unwrap().to_string();
        assert!(error.contains("line 2: column") && error.contains("--unreadable skip"), "{error}");
        let (documents, lines) = read(text, "text", Unreadable::Skip).unwrap();
        assert_eq!(documents, [["a"], ["c"]]);
        assert_eq!(lines.drops.get(Reason::MalformedJson).documents, 3);
    }

    #[test]
    fn a_field_that_no_record_has_is_an_error_that_names_those_there_are() {
        let error = read("{\"title\": \"a\", \"body\": \"b\"}\n", "text", Unreadable::Skip).err().unwrap().to_string();
        assert!(error.contains("title, body") && error.contains("text=FIELD"), "{error}");
    }
}
