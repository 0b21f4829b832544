//! The `wikipedia-xml` format: a MediaWiki dump (`pages-articles.xml`, `pages-articles-multistream.xml`), streamed.
//!
//! ```text
//! dump -> pages (here) -> title, namespace, wikitext (page) -> text without markup (markup) -> paragraphs (paragraphs)
//! ```
//!
//! What is kept is what the BERT paper kept, "text passages": no templates, tables, references, lists, headings, files or
//! categories. Redirects, disambiguation pages and pages that are no articles are counted and left out, and so is a page
//! whose XML cannot be read.
//!
//! Finding the pages is the only sequential part. A page's XML and wikitext are worked on in parallel, and one bad page
//! costs that page alone.

mod markup;
mod page;
mod paragraphs;
mod tags;
mod templates;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bytes::{Reader, Until};
use super::{Document, LONGEST_RECORD, Unreadable};
use crate::drops::{Drops, Reason};
use crate::error::{Error, Result};

pub(super) use page::Site;

/// Longest head of a dump, and longest stretch between two pages, in bytes.
const LONGEST_HEAD: usize = 1 << 20;
const PAGE: &[u8] = b"<page>";
const PAGE_END: &[u8] = b"</page>";

/// A page as it stands in the dump.
#[derive(Debug)]
pub(super) struct RawPage {
    /// From behind `<page>` to the end of `</page>`.
    xml: Vec<u8>,
    /// Offset in the (decompressed) dump of its first byte.
    offset: u64,
    site: Arc<Site>,
    path: Arc<PathBuf>,
    unreadable: Unreadable,
}

impl RawPage {
    /// Length of the XML in bytes.
    pub(super) fn len(&self) -> usize {
        self.xml.len()
    }

    /// The article's paragraphs, or why there are none.
    ///
    /// # Errors
    /// [`Error::Xml`] for bytes that are not UTF-8, unless such pages are to be skipped.
    pub(super) fn article(&self) -> Result<std::result::Result<Document, Reason>> {
        let xml = match std::str::from_utf8(&self.xml) {
            Ok(xml) => xml,
            Err(_) if self.unreadable == Unreadable::Skip => return Ok(Err(Reason::InvalidUtf8)),
            Err(error) => {
                return Err(Error::Xml {
                    path: self.path.to_path_buf(),
                    offset: self.offset + error.valid_up_to() as u64,
                    reason:
                        "a byte that is not UTF-8. Fetch the dump again, or leave such pages out with --unreadable skip"
                            .into(),
                });
            }
        };
        Ok(page::article(xml, &self.site))
    }
}

/// True when a file begins as a dump does.
pub(super) fn is_dump(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    head.starts_with(b"<mediawiki") || head.starts_with(PAGE) || {
        head.starts_with(b"<?xml") && memchr::memmem::find(&head[..head.len().min(1024)], b"<mediawiki").is_some()
    }
}

/// Finds the pages of one dump.
pub(super) struct Pages {
    reader: Reader,
    path: Arc<PathBuf>,
    unreadable: Unreadable,
    site: Option<Arc<Site>>,
    /// Whether `</mediawiki>` has to come.
    closes: bool,
    buffer: Vec<u8>,
    pub(super) drops: Drops,
}

impl Pages {
    pub(super) fn new(reader: Reader, path: &Path, unreadable: Unreadable) -> Self {
        Pages {
            reader,
            path: Arc::new(path.to_owned()),
            unreadable,
            site: None,
            closes: false,
            buffer: Vec::new(),
            drops: Drops::default(),
        }
    }

    /// The next page, or none at the end of the dump.
    pub(super) fn next_page(&mut self) -> Result<Option<RawPage>> {
        loop {
            let met = self.reader.until(PAGE, &mut self.buffer, LONGEST_HEAD)?;
            let site = match &self.site {
                Some(site) => site.clone(),
                None => self.begin(&met)?,
            };
            if met == Until::End {
                return self.end().map(|()| None);
            }
            let mut offset = self.reader.offset();
            match self.reader.until(PAGE_END, &mut self.buffer, LONGEST_RECORD)? {
                Until::Mark => {}
                Until::TooLong(bytes) => {
                    self.drops.document(Reason::TooLong, bytes as usize);
                    continue;
                }
                Until::End => return Err(self.error("the dump ends inside a page: it was cut off. Fetch it again")),
            }
            // A page that never ends hides behind the next one's beginning; the next one is still good.
            let mut xml = std::mem::take(&mut self.buffer);
            if let Some(at) = memchr::memmem::rfind(&xml, PAGE) {
                self.drops.document(Reason::MalformedXml, at);
                xml.drain(..at + PAGE.len());
                offset += (at + PAGE.len()) as u64;
            }
            let (path, unreadable) = (self.path.clone(), self.unreadable);
            return Ok(Some(RawPage { xml, offset, site, path, unreadable }));
        }
    }

    /// Reads what stands before the first page.
    fn begin(&mut self, met: &Until) -> Result<Arc<Site>> {
        let head = String::from_utf8_lossy(&self.buffer);
        self.closes = head.contains("<mediawiki");
        if !self.closes && *met != Until::Mark {
            return Err(self.error(
                "neither <mediawiki> nor <page> in it: this is no MediaWiki dump. For plain text use --format text",
            ));
        }
        let site = Arc::new(Site::from_head(&head));
        self.site = Some(site.clone());
        Ok(site)
    }

    /// Checks that the dump ended where it should.
    fn end(&mut self) -> Result<()> {
        if self.closes && memchr::memmem::find(&self.buffer, b"</mediawiki>").is_none() {
            return Err(self.error("the dump ends before </mediawiki>: it was cut off. Fetch it again"));
        }
        Ok(())
    }

    fn error(&self, reason: &str) -> Error {
        Error::Xml { path: self.path.to_path_buf(), offset: self.reader.offset(), reason: reason.into() }
    }

    /// Bytes of the file on disk that were used up, about.
    pub(super) fn position(&self) -> u64 {
        self.reader.position()
    }

    /// SHA-256 and length of the file on disk.
    pub(super) fn finish(self) -> Result<(String, u64)> {
        self.reader.finish()
    }
}

#[cfg(test)]
mod tests;
