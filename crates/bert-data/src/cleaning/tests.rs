#![allow(clippy::unwrap_used)]

use super::*;

fn documents(texts: &[&[&str]]) -> Vec<Document> {
    let document = |lines: &&[&str]| Document {
        paragraphs: lines.iter().map(ToString::to_string).collect(),
        ..Document::default()
    };
    texts.iter().map(document).collect()
}

/// What is left of each document, and the reasons for what is not.
fn cleaned(opts: &CleaningOptions, texts: &[&[&str]]) -> Vec<(Vec<String>, Vec<Reason>)> {
    let cleaned = Cleaner::new(opts).unwrap().clean(documents(texts));
    cleaned.into_iter().map(|c| (c.document.paragraphs, c.dropped.iter().map(|d| d.reason).collect())).collect()
}

#[test]
fn the_second_of_two_equal_documents_goes() {
    let opts = CleaningOptions { duplicates: true, ..CleaningOptions::none() };
    let texts: &[&[&str]] = &[&["a", "b"], &["a"], &["a", "b"], &["ab"], &[], &[]];
    let reasons: Vec<_> = cleaned(&opts, texts).into_iter().map(|(_, reasons)| reasons).collect();
    assert_eq!(reasons, [vec![], vec![], vec![Reason::DuplicateDocument], vec![], vec![], vec![]]);
    assert!(cleaned(&CleaningOptions::none(), texts).iter().all(|(_, reasons)| reasons.is_empty()));
}

#[test]
fn a_line_may_come_so_often_in_the_whole_corpus() {
    let opts = CleaningOptions { line_repeats: 2, ..CleaningOptions::none() };
    let texts: &[&[&str]] = &[&["x", "a"], &["x", "b"], &["x", "c", "x"], &["x"]];
    assert_eq!(
        cleaned(&opts, texts),
        [
            (vec!["x".into(), "a".into()], vec![]),
            (vec!["x".into(), "b".into()], vec![]),
            (vec!["c".into()], vec![Reason::RepeatedLine]),
            (vec![], vec![Reason::RepeatedLine]),
        ]
    );
}

#[test]
fn nothing_disappears_and_a_document_that_goes_counts_once() {
    let opts = CleaningOptions {
        duplicates: true,
        line_repeats: 1,
        min_line_chars: 2,
        min_document_chars: 6,
        scripts: vec!["Latin".into()],
        ..CleaningOptions::none()
    };
    let texts: &[&[&str]] =
        &[&["x", "long enough", "слово"], &["x", "long enough", "слово"], &["long enough", "short"], &["also long"]];
    let cleaned = Cleaner::new(&opts).unwrap().clean(documents(texts));
    for (cleaned, text) in cleaned.iter().zip(texts) {
        let dropped = cleaned.dropped.iter().flat_map(|dropped| &dropped.lines);
        let mut all: Vec<&String> = cleaned.document.paragraphs.iter().chain(dropped).collect();
        all.sort();
        let mut expected: Vec<&str> = text.to_vec();
        expected.sort_unstable();
        assert_eq!(all, expected);
        let whole = cleaned.dropped.iter().filter(|dropped| dropped.is_document).count();
        assert_eq!(whole, usize::from(cleaned.gone));
    }
    let gone: Vec<bool> = cleaned.iter().map(|cleaned| cleaned.gone).collect();
    assert_eq!(gone, [false, true, true, false]);
    let reasons: Vec<Reason> = cleaned[2].dropped.iter().map(|dropped| dropped.reason).collect();
    assert_eq!(reasons, [Reason::RepeatedLine, Reason::ShortDocument]);
}

#[test]
fn options_come_back_from_json_and_say_whether_they_do_anything() {
    let opts = CleaningOptions { near_duplicates: Some(0.8), ..CleaningOptions::default() };
    let json = serde_json::to_string(&opts).unwrap();
    assert_eq!(serde_json::from_str::<CleaningOptions>(&json).unwrap(), opts);
    assert!(CleaningOptions::none().is_none() && !CleaningOptions::default().is_none());
    let wrong = CleaningOptions { near_duplicates: Some(1.5), ..CleaningOptions::none() };
    assert!(Cleaner::new(&wrong).err().unwrap().is_request());
}
