//! Sentences as a person cuts them, in `tests/golden/sentences.txt`.

use bert_data::cleaning::split_sentences;

#[test]
fn paragraphs_are_cut_as_a_person_cuts_them() {
    let gold = include_str!("../golden/sentences.txt");
    let mut wrong = Vec::new();
    let mut paragraphs = 0;
    for block in gold.split("\n\n") {
        let mut sentences: Vec<&str> =
            block.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        let joint = if sentences.first() == Some(&"~") { "" } else { " " };
        sentences.retain(|&line| line != "~");
        paragraphs += usize::from(!sentences.is_empty());
        let paragraph = sentences.join(joint);
        let found = split_sentences(&paragraph);
        if found != sentences {
            wrong.push(format!("expected {sentences:#?}\n   found {found:#?}"));
        }
    }
    assert!(paragraphs > 60, "{paragraphs}");
    assert!(wrong.is_empty(), "{} of {paragraphs} paragraphs:\n{}", wrong.len(), wrong.join("\n"));
}
