//! One page of a dump: what it is, and its article.

use std::collections::BTreeSet;

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event;

use super::super::Document;
use super::{markup, paragraphs, templates};
use crate::drops::Reason;

/// Numbers of the namespaces whose links are pictures, sounds and categories.
const MEDIA: &str = "-2";
const FILE: &str = "6";
const CATEGORY: &str = "14";

/// What a wiki calls things in its own language.
#[derive(Debug, Default)]
pub(in super::super) struct Site {
    /// Lower-case names of the namespaces whose links show no text.
    invisible: BTreeSet<String>,
}

impl Site {
    /// Reads the names of the namespaces from a dump's head. What cannot be read leaves the English names, which work in
    /// every wiki.
    pub(in super::super) fn from_head(head: &str) -> Self {
        let mut invisible: BTreeSet<String> = ["file", "image", "media", "category"].map(String::from).into();
        let mut reader = Reader::from_str(head);
        while let Ok(event) = reader.read_event() {
            match event {
                Event::Start(start) if start.local_name().as_ref() == "namespace" => {
                    let key = start.try_get_attribute("key").ok().flatten();
                    let names_such = key.is_some_and(|key| [MEDIA, FILE, CATEGORY].contains(&&*key.value));
                    if let (true, Ok(name)) = (names_such, reader.read_text(start.name())) {
                        invisible.insert(name.to_lowercase());
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        Site { invisible }
    }

    /// True when a link to this target shows no text: pictures, categories, and the same article in other languages.
    pub(super) fn is_invisible(&self, target: &str) -> bool {
        // A colon in front makes a link of it that is shown.
        let Some((prefix, _)) = target.split_once(':').filter(|(prefix, _)| prefix.len() <= 64) else {
            return false;
        };
        let prefix = prefix.trim();
        let is_language = || {
            let code = prefix.split('-').next().unwrap_or_default();
            matches!(code.len(), 2 | 3) && prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        is_language() || self.invisible.contains(&prefix.replace('_', " ").to_lowercase())
    }
}

/// The fields of a page that decide what becomes of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    title: String,
    namespace: String,
    redirects: bool,
    model: String,
    text: String,
}

/// The article of a page, or why it has none. `xml` begins behind `<page>` and ends with `</page>`.
pub(super) fn article(xml: &str, site: &Site) -> Result<Document, Reason> {
    let page = parse(xml).ok_or(Reason::MalformedXml)?;
    // Dumps before 2012 have no <ns>; their namespaces would have to be told from titles, which no dump in use needs.
    if !matches!(page.namespace.as_str(), "" | "0") {
        return Err(Reason::OtherNamespace);
    }
    if page.redirects || begins_with_redirect(&page.text) {
        return Err(Reason::Redirect);
    }
    if !matches!(page.model.as_str(), "" | "wikitext") {
        return Err(Reason::NotWikitext);
    }
    let markup = markup::strip(&page.text, site);
    if markup.disambiguation || templates::is_disambiguation_title(&page.title) {
        return Err(Reason::Disambiguation);
    }
    let paragraphs = paragraphs::paragraphs(&markup.text);
    match paragraphs.is_empty() {
        true => Err(Reason::NoText),
        false => Ok(Document { paragraphs, ..Document::default() }),
    }
}

fn begins_with_redirect(text: &str) -> bool {
    text.trim_start().get(..9).is_some_and(|begin| begin.eq_ignore_ascii_case("#redirect"))
}

/// Reads a page; none when its XML is malformed.
fn parse(xml: &str) -> Option<Page> {
    let mut reader = Reader::from_str(xml);
    // The opening tag was read away by whoever found the page.
    reader.config_mut().allow_unmatched_ends = true;
    let mut page = Page::default();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let name = start.name();
                let content = |reader: &mut Reader<&[u8]>| {
                    let raw = reader.read_text(name).ok()?.into_inner();
                    Some(unescape(&raw).ok()?.into_owned())
                };
                match name.as_ref() {
                    "title" => page.title = content(&mut reader)?,
                    "ns" => page.namespace = content(&mut reader)?.trim().to_string(),
                    "model" => page.model = content(&mut reader)?.trim().to_string(),
                    // Of several revisions the last one counts, which is the newest.
                    "text" => page.text = content(&mut reader)?,
                    "redirect" => page.redirects = true,
                    _ => {}
                }
            }
            Event::Empty(empty) => page.redirects |= empty.name().as_ref() == "redirect",
            // The page's own end is the last thing in it.
            Event::End(end) if end.name().as_ref() == "page" => return Some(page),
            Event::Eof => return None,
            _ => {}
        }
    }
}
