//! Wikitext -> text, without templates, tables, references, tags, links and formatting.
//!
//! One pass from left to right. What is open (a template, a table, a link) lies on a stack with the place in the output
//! where it began; when it closes, its output is replaced by what it shows. The stack has a limit and every search that
//! fails is remembered, so the time grows with the length of the text whatever stands in it.
//!
//! What never closes is text in MediaWiki too. Here an unclosed template or table costs the paragraph it began in, and an
//! unclosed link only its brackets.

use super::page::Site;
use super::tags::{self, Action};
use super::templates;

/// Deepest nesting that is followed; MediaWiki itself gives up at 100.
const DEEPEST: usize = 100;
/// Longest tag and longest entity, in bytes.
const LONGEST_TAG: usize = 4096;
const LONGEST_ENTITY: usize = 32;

/// A text without markup.
#[derive(Debug, Default)]
pub(super) struct Markup {
    /// The text; headings and lists still stand in it, a line each.
    pub(super) text: String,
    /// Whether the page says that it lists the meanings of a word.
    pub(super) disambiguation: bool,
}

/// Takes the markup off.
pub(super) fn strip(wikitext: &str, site: &Site) -> Markup {
    let mut scanner = Scanner {
        text: wikitext,
        at: 0,
        out: String::with_capacity(wikitext.len() / 2),
        frames: Vec::new(),
        site,
        unclosed: Vec::new(),
        disambiguation: false,
    };
    scanner.run();
    Markup { text: scanner.out, disambiguation: scanner.disambiguation }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Template,
    Table,
    Link,
    External,
    /// An HTML element that goes with all it encloses.
    Element(&'static str),
}

/// Something that is open.
struct Frame {
    kind: Kind,
    /// Where its output begins.
    start: usize,
    /// Where its arguments are divided, in the output.
    pipes: Vec<usize>,
}

struct Scanner<'a> {
    text: &'a str,
    /// Offset of the next byte to look at.
    at: usize,
    out: String,
    frames: Vec<Frame>,
    site: &'a Site,
    /// Tags of which no closing one is left.
    unclosed: Vec<&'static str>,
    disambiguation: bool,
}

/// Bytes at which there may be something to do.
const fn special(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b']' | b'|' | b'<' | b'&' | b'\'' | b'_' | b'\n' | b'-' | b'\r')
}

static SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = special(byte as u8);
        byte += 1;
    }
    table
};

impl<'a> Scanner<'a> {
    fn run(&mut self) {
        self.line_begins();
        while self.at < self.text.len() {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest.iter().position(|&byte| SPECIAL[usize::from(byte)]).unwrap_or(rest.len());
            if plain > 0 {
                self.keep(plain);
                continue;
            }
            // Each arm moves on by at least one byte.
            match rest[0] {
                b'{' => self.opening_braces(),
                b'}' => self.closing_braces(),
                b'[' => self.opening_brackets(),
                b']' => self.closing_brackets(),
                b'|' => self.pipe(),
                b'<' => self.less_than(),
                b'&' => self.entity(),
                b'\'' => self.apostrophes(),
                b'_' => self.underscores(),
                b'-' => self.hyphen(),
                b'\r' => self.at += 1,
                _ => {
                    self.keep(1);
                    self.line_begins();
                }
            }
        }
        while let Some(frame) = self.frames.pop() {
            self.abandon(&frame);
        }
    }

    /// Copies the next bytes; the cut has to lie between characters.
    fn keep(&mut self, bytes: usize) {
        self.out.push_str(&self.text[self.at..self.at + bytes]);
        self.at += bytes;
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn open(&mut self, kind: Kind) {
        if self.frames.len() < DEEPEST {
            self.frames.push(Frame { kind, start: self.out.len(), pipes: Vec::new() });
        }
    }

    /// The frame of this kind that would be closed now, unless one of `barriers` stands before it.
    fn find(&self, kind: Kind, is_barrier: impl Fn(Kind) -> bool) -> Option<usize> {
        for (index, frame) in self.frames.iter().enumerate().rev() {
            if frame.kind == kind {
                return Some(index);
            }
            if is_barrier(frame.kind) {
                return None;
            }
        }
        None
    }

    /// Takes frame `index` off the stack, and all that is open inside it.
    fn close(&mut self, index: usize) -> Option<Frame> {
        while self.frames.len() > index + 1 {
            self.frames.pop();
        }
        self.frames.pop()
    }

    /// What is to be done with something that never closed.
    fn abandon(&mut self, frame: &Frame) {
        match frame.kind {
            // The brackets were not copied; the words stay.
            Kind::Link | Kind::External => {}
            Kind::Template | Kind::Table | Kind::Element(_) => {
                let inside = &self.out[frame.start..];
                let end = inside.find("\n\n").unwrap_or(inside.len());
                self.out.replace_range(frame.start..frame.start + end, "");
            }
        }
    }

    /// Looks at how a line begins: tables, and links that were not closed on time.
    fn line_begins(&mut self) {
        let rest = self.rest();
        if rest.starts_with(['\n', '=', '\r']) {
            while self.frames.last().is_some_and(|frame| matches!(frame.kind, Kind::Link | Kind::External)) {
                self.frames.pop();
            }
            return;
        }
        let indent = rest.len() - rest.trim_start_matches([' ', ':', '\t']).len();
        let line = &rest[indent..];
        if line.starts_with("{|") && !line.starts_with("{|}") {
            self.at += indent + 2;
            self.open(Kind::Table);
        } else if line.starts_with("|}") {
            let innermost = self.frames.last().is_some_and(|frame| frame.kind == Kind::Table);
            // `|}}` closes a template, unless it is a table's end inside one.
            if innermost || !line.starts_with("|}}") {
                if let Some(frame) = self.find(Kind::Table, |kind| kind == Kind::Template).and_then(|i| self.close(i)) {
                    self.out.truncate(frame.start);
                }
                self.at += indent + 2;
            }
        }
    }

    fn opening_braces(&mut self) {
        if self.rest().starts_with("{{") {
            self.at += 2;
            self.open(Kind::Template);
        } else {
            self.keep(1);
        }
    }

    fn closing_braces(&mut self) {
        if !self.rest().starts_with("}}") {
            self.keep(1);
            return;
        }
        self.at += 2;
        let Some(frame) = self.find(Kind::Template, |_| false).and_then(|index| self.close(index)) else { return };
        let inside = self.out.split_off(frame.start);
        if inside.starts_with('{') {
            // `{{{name|default}}}`, a parameter: shows nothing in an article.
            self.at += usize::from(self.rest().starts_with('}'));
            return;
        }
        let parts = parts(&inside, &frame);
        self.disambiguation |= templates::is_disambiguation(parts[0]);
        templates::render(&parts, &mut self.out);
    }

    fn opening_brackets(&mut self) {
        let rest = self.rest();
        if rest.starts_with("[[") {
            self.at += 2;
            self.open(Kind::Link);
            return;
        }
        let address = &rest[1..];
        if ["http://", "https://", "//", "ftp://", "mailto:"].iter().any(|scheme| address.starts_with(scheme)) {
            self.at += 1;
            self.open(Kind::External);
        } else {
            self.keep(1);
        }
    }

    fn closing_brackets(&mut self) {
        let is_block = |kind| matches!(kind, Kind::Template | Kind::Table | Kind::Element(_));
        let innermost = self.frames.last().map(|frame| frame.kind);
        if self.rest().starts_with("]]")
            && innermost != Some(Kind::External)
            && let Some(index) = self.find(Kind::Link, is_block)
        {
            self.at += 2;
            if let Some(frame) = self.close(index) {
                self.link(&frame);
            }
            return;
        }
        match self.find(Kind::External, |kind| is_block(kind) || kind == Kind::Link) {
            Some(index) => {
                self.at += 1;
                if let Some(frame) = self.close(index) {
                    self.external(&frame);
                }
            }
            None => self.keep(1),
        }
    }

    fn pipe(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.pipes.push(self.out.len());
        }
        self.keep(1);
    }

    /// Replaces a link by what it shows: its label, or its target.
    fn link(&mut self, frame: &Frame) {
        let inside = self.out.split_off(frame.start);
        let first = frame.pipes.first().map(|pipe| pipe - frame.start);
        let (target, label) = match first {
            Some(pipe) => (&inside[..pipe], Some(&inside[pipe + 1..])),
            None => (&inside[..], None),
        };
        let target = target.trim();
        if self.site.is_invisible(target) {
            return;
        }
        self.out.push_str(match label {
            Some(label) if !label.trim().is_empty() => label,
            // `[[Word (meaning)|]]` is short for `[[Word (meaning)|Word]]`.
            Some(_) => target.rsplit(':').next().and_then(|name| name.split(" (").next()).unwrap_or(target),
            None => target.trim_start_matches(':'),
        });
    }

    /// Replaces `[http://address label]` by its label.
    fn external(&mut self, frame: &Frame) {
        let inside = self.out.split_off(frame.start);
        if let Some((_, label)) = inside.split_once(char::is_whitespace) {
            self.out.push_str(label);
        }
    }

    fn less_than(&mut self) {
        let rest = self.rest();
        if let Some(comment) = rest.strip_prefix("<!--") {
            self.at = match comment.find("-->") {
                Some(end) => self.at + 4 + end + 3,
                None => self.text.len(),
            };
            // A comment on a line of its own leaves no empty line behind.
            let line_is_empty = self.out.is_empty() || self.out.ends_with('\n');
            let after = self.rest().trim_start_matches([' ', '\t']);
            if line_is_empty && after.starts_with('\n') {
                self.at = self.text.len() - after.len() + 1;
                self.line_begins();
            }
            return;
        }
        let closing = rest[1..].starts_with('/');
        let name_at = 1 + usize::from(closing);
        let name = &rest[name_at..];
        let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len())];
        let Some((name, action)) = tags::lookup(name) else { return self.keep(1) };
        let window = &rest.as_bytes()[..rest.len().min(LONGEST_TAG)];
        let Some(end) = memchr::memchr(b'>', window) else { return self.keep(1) };
        let self_closing = rest.as_bytes()[end - 1] == b'/';
        self.at += end + 1;
        match action {
            Action::Keep if name == "br" => self.out.push(' '),
            Action::Keep => {}
            Action::Break => self.out.push('\n'),
            Action::Literal | Action::Skip if closing || self_closing => {}
            Action::Literal => {
                let start = self.at;
                let end = self.closing_tag(name);
                self.out.push_str(&self.text[start..end]);
            }
            Action::Skip => {
                self.closing_tag(name);
            }
            Action::Drop if self_closing => {}
            Action::Drop if closing => {
                let found = self.find(Kind::Element(name), |kind| kind == Kind::Template);
                if let Some(frame) = found.and_then(|index| self.close(index)) {
                    self.out.truncate(frame.start);
                    self.out.push('\n');
                }
            }
            Action::Drop => self.open(Kind::Element(name)),
        }
    }

    /// Goes behind the next closing tag of this name and returns where it begins. Where there is none, what it would have
    /// enclosed ends with the paragraph.
    fn closing_tag(&mut self, name: &'static str) -> usize {
        let start = self.at;
        if !self.unclosed.contains(&name) {
            let mut from = start;
            while let Some(found) = self.text[from..].find("</") {
                let tag = from + found;
                let after = &self.text.as_bytes()[tag + 2..];
                let is_it = after.len() > name.len()
                    && after[..name.len()].eq_ignore_ascii_case(name.as_bytes())
                    && !after[name.len()].is_ascii_alphanumeric();
                if is_it {
                    let end = memchr::memchr(b'>', after).map_or(self.text.len(), |end| tag + 2 + end + 1);
                    self.at = end;
                    return tag;
                }
                from = tag + 2;
            }
            self.unclosed.push(name);
        }
        self.at = self.rest().find("\n\n").map_or(self.text.len(), |end| start + end);
        self.at
    }

    fn entity(&mut self) {
        let rest = self.rest();
        let window = &rest.as_bytes()[..rest.len().min(LONGEST_ENTITY)];
        let decoded = memchr::memchr(b';', window).and_then(|end| Some((end, decode(&rest[1..end])?)));
        match decoded {
            Some((end, text)) => {
                self.out.push_str(&text);
                self.at += end + 1;
            }
            None => self.keep(1),
        }
    }

    /// Two or more apostrophes are italics and bold.
    fn apostrophes(&mut self) {
        let rest = self.rest();
        let run = rest.len() - rest.trim_start_matches('\'').len();
        let shown = match run {
            1 | 4 => 1,
            _ => run.saturating_sub(5),
        };
        self.out.push_str(&rest[..shown]);
        self.at += run;
    }

    /// `__NOTOC__` and its like.
    fn underscores(&mut self) {
        let rest = self.rest();
        let word = rest.strip_prefix("__").and_then(|rest| {
            let end = memchr::memmem::find(&rest.as_bytes()[..rest.len().min(LONGEST_ENTITY)], b"__")?;
            let word = &rest[..end];
            (!word.is_empty() && word.chars().all(|c| c.is_alphabetic() && !c.is_lowercase())).then_some(word)
        });
        match word {
            Some(word) => {
                self.disambiguation |= word == "DISAMBIG";
                self.at += word.len() + 4;
            }
            None => self.keep(1),
        }
    }

    /// `-{zh-hans:A; zh-hant:B}-`, a choice between scripts: the first.
    fn hyphen(&mut self) {
        let choice = self.rest().strip_prefix("-{").filter(|rest| !rest.starts_with('{')).and_then(|rest| {
            let end = memchr::memmem::find(&rest.as_bytes()[..rest.len().min(LONGEST_TAG)], b"}-")?;
            let inside = &rest[..end];
            (!inside.contains(['\n', '{', '['])).then_some(inside)
        });
        let Some(inside) = choice else { return self.keep(1) };
        let (flags, text) = inside.rsplit_once('|').unwrap_or(("", inside));
        // H and T set rules for the rest of the page and show nothing.
        if !flags.contains(['H', 'T']) {
            let first = text.split(';').next().unwrap_or(text);
            self.out.push_str(first.split_once(':').map_or(first, |(_, shown)| shown).trim());
        }
        self.at += 2 + inside.len() + 2;
    }
}

/// The name and the arguments of a template.
fn parts<'b>(inside: &'b str, frame: &Frame) -> Vec<&'b str> {
    let mut parts = Vec::with_capacity(frame.pipes.len() + 1);
    let mut start = 0;
    for pipe in &frame.pipes {
        let end = pipe - frame.start;
        parts.push(&inside[start..end]);
        start = end + 1;
    }
    parts.push(&inside[start..]);
    parts
}

/// The character of an entity's name or number; none when there is no such entity.
fn decode(name: &str) -> Option<std::borrow::Cow<'static, str>> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        let character = char::from_u32(code).filter(|c| !c.is_control() || c.is_whitespace())?;
        return Some(character.to_string().into());
    }
    match name {
        "nbsp" => Some(" ".into()),
        "shy" => Some("".into()),
        _ => quick_xml::escape::resolve_html5_entity(name).map(Into::into),
    }
}
