#![allow(clippy::unwrap_used)]

use std::fs;

use proptest::prelude::*;

use super::super::{Documents, Input, ReadOptions, expand};
use super::markup::strip;
use super::page::Site;
use super::paragraphs::paragraphs;
use super::*;

const HEAD: &str = "<mediawiki xmlns=\"http://www.mediawiki.org/xml/export-0.11/\" version=\"0.11\" xml:lang=\"de\">
  <siteinfo>
    <sitename>Probe</sitename>
    <namespaces>
      <namespace key=\"-2\" case=\"first-letter\">Medium</namespace>
      <namespace key=\"0\" case=\"first-letter\" />
      <namespace key=\"6\" case=\"first-letter\">Datei</namespace>
      <namespace key=\"14\" case=\"first-letter\">Kategorie</namespace>
    </namespaces>
  </siteinfo>
";

fn page(title: &str, namespace: u32, more: &str, wikitext: &str) -> String {
    let text = quick_xml::escape::escape(wikitext);
    format!(
        "  <page>\n    <title>{title}</title>\n    <ns>{namespace}</ns>\n    <id>7</id>\n{more}    <revision>\n      <id>9</id>\n      <contributor><username>A</username></contributor>\n      <model>wikitext</model>\n      <format>text/x-wiki</format>\n      <text bytes=\"{}\" xml:space=\"preserve\">{text}</text>\n      <sha1>x</sha1>\n    </revision>\n  </page>\n",
        wikitext.len()
    )
}

fn dump(pages: &[String]) -> String {
    format!("{HEAD}{}</mediawiki>\n", pages.concat())
}

fn text_of(wikitext: &str) -> Vec<String> {
    paragraphs(&strip(wikitext, &Site::from_head(HEAD)).text)
}

/// Reads a file; paragraphs of its documents, and what was left out.
fn read(path: &Path, unreadable: Unreadable) -> Result<(Vec<Vec<String>>, Drops)> {
    let input: Vec<Input> = expand(&[path.to_str().unwrap().to_string()])?;
    let mut documents = Documents::open(&input[0], ReadOptions { unreadable, ..ReadOptions::default() })?;
    let mut found = Vec::new();
    for document in &mut documents {
        found.push(document?.paragraphs);
    }
    let drops = documents.drops();
    assert_eq!(documents.record()?.format, super::super::Format::WikipediaXml);
    Ok((found, drops))
}

fn read_text(content: &[u8], unreadable: Unreadable) -> Result<(Vec<Vec<String>>, Drops)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    read(file.path(), unreadable)
}

const ARTICLE: &str = "{{Infobox lake
| name = Lake Mellow <!-- not its old name -->
| area = {{convert|12|km2}}
| map  = [[File:Map.png|thumb|A [[map]]]]
}}
[[Datei:Lake.jpg|mini|Der See mit [[Boot|Booten]] und {{lang|fr|bateaux}}]]
'''Lake Mellow''' ({{IPA|mɛl}}; {{lang-de|Mellensee}}) is a ''small'' [[lake]] in [[Nowhere (county)|]], {{convert|12|km|mi}} long.<ref name=\"a\">{{cite book|title=Lakes}} p. 5</ref><ref name=\"a\" />
It was first seen in 1812&nbsp;by [[Ann Other|Ann]]'s crew &amp; dog.<!-- really -->

== History ==
{{main|History of Lake Mellow}}
The [[town]]s around it [http://example.org/a grew] quickly [http://example.org/b].
* a list item
# another
: indented
{| class=\"wikitable\"
! Year !! People
|-
| 1900 || {{nowrap|12 000}}
|-
| colspan=2 |
{| class=\"nested\"
| inside
|}
|}
The '''second''' paragraph has x<sub>2</sub> and <math>a^2 < b</math> and <nowiki>[[no link]]</nowiki>.<br />It goes on.

<gallery>
File:A.jpg|Nothing
</gallery>
<ul><li>dropped</li></ul>
<blockquote>A quoted passage.</blockquote>

==References==
{{reflist}}
[[Category:Lakes]]
[[Kategorie:Seen]]
[[fr:Lac Mellow]]
__NOTOC__
";

#[test]
fn an_article_is_reduced_to_its_passages() {
    assert_eq!(
        text_of(ARTICLE),
        [
            "Lake Mellow (Mellensee) is a small lake in Nowhere, 12 km long. It was first seen in 1812 by Ann's crew & dog.",
            "The towns around it grew quickly.",
            "The second paragraph has x2 and and [[no link]]. It goes on.",
            "A quoted passage.",
        ]
    );
}

#[test]
fn small_pieces_of_markup() {
    for (wikitext, text) in [
        ("plain", "plain"),
        ("[[a|b]]s and [[:Category:c]] [[d#e|f]] [[Image:g.png]] [[h", "bs and Category:c f h"),
        ("[[File:a.png|thumb|with [[link|label]] and [http://x y]]] after", "after"),
        ("''i'' '''b''' '''''bi''''' it's ''''q'''' 'r'", "i b bi it's 'q' 'r'"),
        ("a {{b|{{c}}|[[d]]|{{{e|f}}}}} g", "a g"),
        ("a {{{parameter|default}}} b", "a b"),
        ("x<ref>r</ref>y<ref name=z/>z <REF>s</Ref>w", "xyz w"),
        ("a < b and c > d <unknown>e</unknown> <i>f</i>", "a < b and c > d <unknown>e</unknown> f"),
        ("&lt;b&gt; &#65;&#x42; &eacute; &unknown; & &#0; &", "<b> AB é &unknown; & &#0; &"),
        ("a<!-- b\n\n-->c\n<!-- alone -->\nd", "ac d"),
        ("-{zh-hans:头发;zh-hant:頭髮}- -{H|x=>y}-a -{b}- 5-{{nowrap|6}}", "头发 a b 5-6"),
        ("a__NOTOC__ __init__ b", "a __init__ b"),
        ("[//example.org label] [mailto:x mail] [not a link] [[[http://x y]]]", "label mail [not a link] y"),
        ("{{quote|Said.|Somebody}}", "Said."),
        ("a\r\nb", "a b"),
    ] {
        assert_eq!(text_of(wikitext).join("\n"), text, "{wikitext}");
    }
}

#[test]
fn broken_markup_costs_its_paragraph_and_not_the_article() {
    for (wikitext, text) in [
        ("Good.\n\n{{broken|a=b\nc\n\nStill here.", vec!["Good.", "Still here."]),
        ("Good.\n{| class=x\n| a\n\nStill here.", vec!["Good.", "Still here."]),
        ("Good.<ref>never closed\n\nStill here.", vec!["Good.", "Still here."]),
        ("Open [[link to nothing\n\nNext [[a|b]].", vec!["Open link to nothing", "Next b."]),
        ("}} ]] |} stray }} closes. {{a}}b", vec!["]] |} stray closes. b"]),
        ("x <!-- to the end", vec!["x"]),
        ("<ul><li>a\n\nb", vec!["b"]),
    ] {
        assert_eq!(text_of(wikitext), text, "{wikitext}");
    }
}

#[test]
fn pages_that_are_no_articles_are_counted_by_reason() {
    let other_model = page("Style", 0, "", "body {}").replace("<model>wikitext<", "<model>css<");
    let dump = dump(&[
        page("Lake Mellow", 0, "", ARTICLE),
        page("Mellow Lake", 0, "    <redirect title=\"Lake Mellow\" />\n", "#REDIRECT [[Lake Mellow]]"),
        page("Old", 0, "", "#redirect [[Lake Mellow]]"),
        page("Talk:Lake", 1, "", "Talk."),
        page("Mellow", 0, "", "'''Mellow''' may be\n* [[Lake Mellow]]\n{{disambiguation}}"),
        page("Mello (disambiguation)", 0, "", "Mello may be"),
        page("Sanft", 0, "", "Sanft ist\n{{Begriffsklärung}}"),
        other_model,
        page("Empty", 0, "", "{{stub}}"),
        page("Bad", 0, "", "x").replace("</title>", "</titel>"),
        page("Last &amp; least", 0, "", "A last article."),
    ]);
    let (documents, drops) = read_text(dump.as_bytes(), Unreadable::Stop).unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1], ["A last article."]);
    for (reason, count) in [
        (Reason::Redirect, 2),
        (Reason::OtherNamespace, 1),
        (Reason::Disambiguation, 3),
        (Reason::NotWikitext, 1),
        (Reason::NoText, 1),
        (Reason::MalformedXml, 1),
    ] {
        assert_eq!(drops.get(reason).documents, count, "{reason:?}");
        assert!(drops.get(reason).bytes > 0);
    }
}

#[test]
fn a_multistream_dump_is_read_as_one() {
    use std::io::Write;
    let dump = dump(&[page("One", 0, "", "First article."), page("Two", 0, "", "Second article.")]);
    let (at, end) = (dump.find("  <page>").unwrap(), dump.find("</mediawiki>").unwrap());
    let mut file = Vec::new();
    for part in [&dump[..at], &dump[at..end], &dump[end..]] {
        let mut encoder = bzip2::write::BzEncoder::new(&mut file, bzip2::Compression::default());
        encoder.write_all(part.as_bytes()).unwrap();
        encoder.finish().unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("probe-pages-articles-multistream.xml.bz2");
    fs::write(&path, &file).unwrap();
    assert_eq!(read(&path, Unreadable::Stop).unwrap().0, [["First article."], ["Second article."]]);
    fs::write(&path, &file[..file.len() - 20]).unwrap();
    let error = read(&path, Unreadable::Stop).unwrap_err();
    assert!(matches!(error, Error::Compressed { .. }) && error.to_string().contains("cut off"), "{error}");
}

#[test]
fn a_dump_that_was_cut_off_or_is_none_is_an_error_with_its_place() {
    let whole = dump(&[page("One", 0, "", "First article."), page("Two", 0, "", "Second article.")]);
    for end in [whole.len() - 20, whole.len() - 60, 700] {
        let error = read_text(&whole.as_bytes()[..end], Unreadable::Skip).unwrap_err();
        assert!(matches!(error, Error::Xml { offset, .. } if offset == end as u64), "{error}");
        assert!(error.to_string().contains("cut off"), "{error}");
    }
    // Pages alone, as a tool may cut them out of a dump, are fine.
    let pages = page("One", 0, "", "First article.");
    assert_eq!(read_text(pages.as_bytes(), Unreadable::Stop).unwrap().0.len(), 1);
    // A page that never ends costs itself.
    let torn = dump(&[page("One", 0, "", "First.").replace("</page>", ""), page("Two", 0, "", "Second.")]);
    let (documents, drops) = read_text(torn.as_bytes(), Unreadable::Stop).unwrap();
    assert_eq!((documents.len(), drops.get(Reason::MalformedXml).documents), (1, 1));
}

#[test]
fn bytes_that_are_not_utf_8_are_an_error_with_their_offset_or_counted() {
    let mut dump = dump(&[page("One", 0, "", "First."), page("Two", 0, "", "Second.")]).into_bytes();
    let at = memchr::memmem::find(&dump, b"First").unwrap();
    dump[at] = 0xff;
    let error = read_text(&dump, Unreadable::Stop).unwrap_err();
    assert!(matches!(error, Error::Xml { offset, .. } if offset == at as u64), "{error}");
    let (documents, drops) = read_text(&dump, Unreadable::Skip).unwrap();
    assert_eq!((documents.len(), drops.get(Reason::InvalidUtf8).documents), (1, 1));
}

#[test]
fn a_page_that_is_too_long_is_counted_and_the_next_one_is_read() {
    let long = "A sentence of some length. ".repeat(LONGEST_RECORD / 27 + 1);
    let dump = dump(&[page("Long", 0, "", &long), page("Two", 0, "", "Second.")]);
    let (documents, drops) = read_text(dump.as_bytes(), Unreadable::Stop).unwrap();
    assert_eq!(documents, [["Second."]]);
    assert_eq!(drops.get(Reason::TooLong).documents, 1);
}

#[test]
fn two_megabytes_of_nonsense_take_no_time() {
    let units = [
        "{{",
        "}}",
        "[[",
        "]]",
        "{|\n",
        "|}",
        "\n|",
        "<ref>",
        "<ref name=",
        "</ref>",
        "<!--",
        "-->",
        "''",
        "&",
        "&#",
        "__",
        "-{",
        "<ul>",
        "</ul>",
        "[http://x ",
        "]",
        "[[File:a|",
        "{{a|",
        "|",
        "=",
        "\n\n",
        "<nowiki>",
        "a",
        "(",
        "( ,",
        "\n{|",
        "<div",
        "<math>x",
        "{{{",
        "[[a|{{b|",
        "\n==",
        ". ",
    ];
    let site = Site::default();
    for (i, first) in units.iter().enumerate() {
        for second in [units[(i * 7 + 3) % units.len()], ""] {
            let text = format!("{first}{second}").repeat((2 << 20) / (first.len() + second.len()));
            let began = std::time::Instant::now();
            let out = paragraphs(&strip(&text, &site).text);
            assert!(out.iter().map(String::len).sum::<usize>() <= 2 * text.len());
            assert!(began.elapsed().as_secs() < 20, "{first:?}{second:?} took {:?}", began.elapsed());
        }
    }
}

/// Pieces of markup, whole and broken, and anything else.
fn wikitext() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-zA-Z,. ]{0,12}",
        5 => prop::sample::select(vec![
            "{{", "}}", "{{{", "}}}", "[[", "]]", "[", "]", "{|", "|}", "|-", "|", "||", "!", "\n", "\n\n", "''", "'''",
            "<ref>", "</ref>", "<ref name=a/>", "<!--", "-->", "<nowiki>", "</nowiki>", "<br/>", "<math>", "</math>",
            "<ul>", "<li>", "</ul>", "==", "\n==", "* ", "# ", ": ", "&amp;", "&#x41;", "&#", "&nbsp;", "__NOTOC__", "__",
            "-{", "}-", "[http://x y", "File:", "Category:", "#REDIRECT", "{{convert|5|km}}", "{{lang|fr|", "<table>",
            "</table>", "<", ">", "/>", "\n{|", "\n|}", "(", ")", "( ; )", "\r\n", "<div class=\"x\">", "</div>",
        ]).prop_map(String::from),
        1 => "\\PC{0,6}",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_wikitext_becomes_tidy_paragraphs(text in wikitext()) {
        for paragraph in text_of(&text) {
            prop_assert_eq!(paragraph.trim(), &paragraph);
            prop_assert!(!paragraph.contains('\n') && !paragraph.contains("  "));
            prop_assert!(paragraph.chars().any(char::is_alphabetic));
        }
    }

    #[test]
    fn words_outside_of_markup_are_kept(words in prop::collection::vec("[a-z]{1,8}", 1..20)) {
        let text = words.join(" ");
        let marked = format!("{{{{x|{text}}}}}\n'''{text}''' <ref>{text}</ref>[[{text}|{text}]] <!-- {text} -->\n== {text} ==\n* {text}\n{{|\n| {text}\n|}}\n");
        prop_assert_eq!(text_of(&marked), vec![format!("{text} {text}")]);
    }

    #[test]
    fn any_bytes_behind_a_dumps_head_are_read_or_refused(
        pieces in prop::collection::vec(prop_oneof![
            prop::sample::select(vec!["<page>", "</page>", "<title>", "</title>", "<ns>0</ns>", "<text>", "</text>", "<text/>",
                "<revision>", "</revision>", "<redirect title=\"a\"/>", "</mediawiki>", "&amp;", "&bad;", "<![CDATA[", "]]>",
                "<!--", "-->", "<?", "a", "{{", "Words here."]).prop_map(|s| s.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
        ], 0..40),
        skip in any::<bool>(),
    ) {
        let content = [HEAD.as_bytes(), &pieces.concat()].concat();
        let unreadable = if skip { Unreadable::Skip } else { Unreadable::Stop };
        match read_text(&content, unreadable) {
            Ok((documents, _)) => prop_assert!(documents.iter().all(|document| !document.is_empty())),
            Err(error) => prop_assert!(matches!(error, Error::Xml { .. }), "{}", error),
        }
    }
}
