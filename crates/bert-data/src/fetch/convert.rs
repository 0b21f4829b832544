//! Rows of the Hub -> files that the readers of corpora and tasks take.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::catalog::{Dataset, HubTask, Layout};
use super::rows::{Row, Rows};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Sentences that become a document where the Hub does not say where a book ends.
const SENTENCES_PER_DOCUMENT: u64 = 200;

/// Writes the files of a dataset into a folder; returns what a reader of them should know.
pub(super) fn convert(
    dataset: &Dataset,
    files: &[(String, PathBuf)],
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Vec<String>> {
    match dataset.layout {
        Layout::Documents => linked(files, folder, progress),
        Layout::WikiText => articles(files, folder),
        Layout::Sentences => sentences(files, folder),
        Layout::Task(HubTask::Squad1) => squad(files, folder, "1.1"),
        Layout::Task(HubTask::Squad2) => squad(files, folder, "2.0"),
        Layout::Task(task) => tables(task, files, folder),
    }
}

/// The files themselves: a second name where the cache is on the same disk, else a copy.
fn linked(files: &[(String, PathBuf)], folder: &Path, progress: &dyn Progress) -> Result<Vec<String>> {
    progress.start("placing files", Some(files.len() as u64), "files");
    for (name, path) in files {
        // Folders become part of the name, so that one pattern finds all files and none replaces another.
        let to = folder.join(name.replace('/', "."));
        let from = fs::canonicalize(path).map_err(Error::io("read", path))?;
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to).map_err(Error::io("write", &to))?;
        }
        progress.advance(1);
    }
    Ok(vec![])
}

/// A file that is being written.
struct Out {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Out {
    fn create(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        let file = File::create_new(&path).map_err(Error::io("create", &path))?;
        Ok(Out { file: BufWriter::new(file), path })
    }

    fn line(&mut self, text: &str) -> Result<()> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(Error::io("write", &self.path))
    }

    fn end(mut self) -> Result<()> {
        self.file.flush().map_err(Error::io("write", &self.path))
    }
}

/// `train-00000-of-00002` of `folder/train-00000-of-00002.parquet`.
fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.strip_suffix(".parquet").unwrap_or(file)
}

/// `train`, `validation_matched`, .. of a file's name.
fn split(name: &str) -> &str {
    stem(name).split('-').next().unwrap_or_default()
}

/// Lines of articles: a blank line before each article. An article that goes on in the next file stays together, because all
/// files of a split become one.
fn articles(files: &[(String, PathBuf)], folder: &Path) -> Result<Vec<String>> {
    for part in ["train", "validation", "test"] {
        let mut out = None;
        for (name, path) in files.iter().filter(|(name, _)| split(name) == part) {
            if out.is_none() {
                out = Some(Out::create(folder, &format!("{}.txt", stem(name)))?);
            }
            let Some(out) = out.as_mut() else { continue };
            for row in Rows::open(path)? {
                let row = row?;
                let text = row.text("text")?.trim();
                if is_title(text) {
                    out.line("")?;
                } else if !text.is_empty() && !text.starts_with("= ") {
                    out.line(&one_line(text))?;
                }
            }
        }
        out.map_or(Ok(()), Out::end)?;
    }
    Ok(vec!["titles and headings are left out; an article is a document".into()])
}

/// `= Title =`, but not the heading `= = Section = =`.
fn is_title(text: &str) -> bool {
    text.len() > 4 && text.starts_with("= ") && text.ends_with(" =") && !text.starts_with("= =")
}

/// One sentence a line, with a blank line now and then.
fn sentences(files: &[(String, PathBuf)], folder: &Path) -> Result<Vec<String>> {
    for (name, path) in files {
        // Folders become part of the name, so that none replaces another.
        let name = name.strip_suffix(".parquet").unwrap_or(name).replace('/', ".");
        let mut out = Out::create(folder, &format!("{name}.txt"))?;
        for (i, row) in Rows::open(path)?.enumerate() {
            if i > 0 && (i as u64).is_multiple_of(SENTENCES_PER_DOCUMENT) {
                out.line("")?;
            }
            let row = row?;
            let text = one_line(row.text("text")?);
            if !text.is_empty() {
                out.line(&text)?;
            }
        }
        out.end()?;
    }
    Ok(vec![format!("the Hub does not say where a book ends: {SENTENCES_PER_DOCUMENT} sentences are a document")])
}

/// Tabs and line ends would make other columns and lines of a text.
fn one_line(text: &str) -> String {
    text.trim().replace(['\t', '\n', '\r'], " ")
}

/// GLUE's tab-separated files and SWAG's comma-separated ones.
fn tables(task: HubTask, files: &[(String, PathBuf)], folder: &Path) -> Result<Vec<String>> {
    for (name, path) in files {
        let part = split(name);
        let test = part.starts_with("test");
        let (header, file) = (header(task, test), file_name(task, part));
        let mut out = Out::create(folder, &file)?;
        if !header.is_empty() {
            out.line(&header.replace('|', if task == HubTask::Swag { "," } else { "\t" }))?;
        }
        for row in Rows::open(path)? {
            let row = row?;
            out.line(&line(task, test, &row)?)?;
        }
        out.end()?;
    }
    Ok(vec!["columns that the Hub does not have hold `none`; tabs and line ends in texts became spaces".into()])
}

fn file_name(task: HubTask, part: &str) -> String {
    let part = part.replace("validation", if task == HubTask::Swag { "val" } else { "dev" });
    match task {
        HubTask::Swag => format!("{part}.csv"),
        HubTask::Diagnostic => "diagnostic.tsv".into(),
        _ => format!("{part}.tsv"),
    }
}

/// The official columns; `|` stands between them. MNLI's dev files have more labels.
fn header(task: HubTask, test: bool) -> &'static str {
    match (task, test) {
        (HubTask::Cola, false) => "",
        (HubTask::Cola | HubTask::Sst2, true) => "index|sentence",
        (HubTask::Sst2, false) => "sentence|label",
        (HubTask::Mrpc, false) => "Quality|#1 ID|#2 ID|#1 String|#2 String",
        (HubTask::Mrpc, true) => "index|#1 ID|#2 ID|#1 String|#2 String",
        (HubTask::StsB, false) => "index|genre|filename|year|old_index|source1|source2|sentence1|sentence2|score",
        (HubTask::StsB, true) => "index|genre|filename|year|old_index|source1|source2|sentence1|sentence2",
        (HubTask::Qqp, false) => "id|qid1|qid2|question1|question2|is_duplicate",
        (HubTask::Qqp, true) => "id|question1|question2",
        (HubTask::Mnli, false) => {
            "index|promptID|pairID|genre|sentence1_binary_parse|sentence2_binary_parse|sentence1_parse|sentence2_parse|sentence1|sentence2|label1|gold_label"
        }
        (HubTask::Mnli, true) => {
            "index|promptID|pairID|genre|sentence1_binary_parse|sentence2_binary_parse|sentence1_parse|sentence2_parse|sentence1|sentence2"
        }
        (HubTask::Qnli, false) => "index|question|sentence|label",
        (HubTask::Qnli, true) => "index|question|sentence",
        (HubTask::Rte | HubTask::Wnli, false) => "index|sentence1|sentence2|label",
        (HubTask::Rte | HubTask::Wnli | HubTask::Diagnostic, true) => "index|sentence1|sentence2",
        (HubTask::Diagnostic, false) => "index|sentence1|sentence2|label",
        (HubTask::Swag, _) => {
            "|video-id|fold-ind|startphrase|sent1|sent2|gold-source|ending0|ending1|ending2|ending3|label"
        }
        (HubTask::Squad1 | HubTask::Squad2, _) => "",
    }
}

fn line(task: HubTask, test: bool, row: &Row) -> Result<String> {
    let text = |name: &str| row.text(name).map(one_line);
    let label = |names: &[&'static str]| -> Result<String> {
        let class = row.number("label")?;
        let name = usize::try_from(class).ok().and_then(|class| names.get(class));
        name.map(ToString::to_string).ok_or_else(|| row.error(&format!("{class} is no label of this task")))
    };
    let inference = ["entailment", "not_entailment"];
    let number = || row.number("idx").map(|n| n.to_string());
    if task == HubTask::Swag {
        let names = ["video-id", "fold-ind", "startphrase", "sent1", "sent2", "gold-source"];
        let endings = ["ending0", "ending1", "ending2", "ending3"];
        let mut cells = vec![String::new()];
        for name in names.iter().chain(&endings) {
            cells.push(quoted(&text(name)?));
        }
        cells.push(if test { String::new() } else { label(&["0", "1", "2", "3"])? });
        return Ok(cells.join(","));
    }
    let none = || "none".to_string();
    let mut cells = match task {
        HubTask::Cola if test => vec![number()?, text("sentence")?],
        HubTask::Cola => {
            let label = label(&["0", "1"])?;
            let mark = if label == "0" { "*" } else { "" };
            return Ok(["none", &label, mark, &text("sentence")?].join("\t"));
        }
        HubTask::Sst2 if test => vec![number()?, text("sentence")?],
        HubTask::Sst2 => vec![text("sentence")?],
        HubTask::Mrpc => {
            let first = if test { number()? } else { label(&["0", "1"])? };
            return Ok([first, none(), none(), text("sentence1")?, text("sentence2")?].join("\t"));
        }
        HubTask::StsB => {
            let places = std::iter::repeat_with(none).take(6);
            std::iter::once(number()?).chain(places).chain([text("sentence1")?, text("sentence2")?]).collect()
        }
        HubTask::Qqp if test => vec![number()?, text("question1")?, text("question2")?],
        HubTask::Qqp => vec![number()?, none(), none(), text("question1")?, text("question2")?],
        HubTask::Mnli => {
            let places = std::iter::repeat_with(none).take(7);
            std::iter::once(number()?).chain(places).chain([text("premise")?, text("hypothesis")?]).collect()
        }
        HubTask::Qnli => vec![number()?, text("question")?, text("sentence")?],
        HubTask::Diagnostic => vec![number()?, text("premise")?, text("hypothesis")?],
        _ => vec![number()?, text("sentence1")?, text("sentence2")?],
    };
    if !test {
        match task {
            HubTask::StsB => cells.push(format!("{:.3}", row.real("label")?)),
            HubTask::Mnli => {
                let label = label(&["entailment", "neutral", "contradiction"])?;
                cells.extend([label.clone(), label]);
            }
            HubTask::Diagnostic => cells.push(label(&["entailment", "neutral", "contradiction"])?),
            HubTask::Qnli | HubTask::Rte => cells.push(label(&inference)?),
            _ => cells.push(label(&["0", "1"])?),
        }
    }
    Ok(cells.join("\t"))
}

/// A cell of a comma-separated file.
fn quoted(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
}

/// SQuAD's nesting: articles, paragraphs, questions. Rows of one article and paragraph stand together on the Hub.
fn squad(files: &[(String, PathBuf)], folder: &Path, version: &str) -> Result<Vec<String>> {
    for (name, path) in files {
        let mut articles: Vec<Value> = Vec::new();
        let (mut title, mut context) = (None, None);
        for row in Rows::open(path)? {
            let row = row?;
            if title.as_deref() != Some(row.text("title")?) {
                title = Some(row.text("title")?.to_string());
                context = None;
                articles.push(json!({ "title": title, "paragraphs": [] }));
            }
            let Some(Value::Array(paragraphs)) = articles.last_mut().and_then(|article| article.get_mut("paragraphs"))
            else {
                continue;
            };
            if context.as_deref() != Some(row.text("context")?) {
                context = Some(row.text("context")?.to_string());
                paragraphs.push(json!({ "context": context, "qas": [] }));
            }
            if let Some(Value::Array(questions)) = paragraphs.last_mut().and_then(|p| p.get_mut("qas")) {
                questions.push(question(&row, version)?);
            }
        }
        let part = split(name).replace("validation", "dev");
        let mut out = Out::create(folder, &format!("{part}-v{version}.json"))?;
        out.line(&json!({ "version": version, "data": articles }).to_string())?;
        out.end()?;
    }
    Ok(vec![])
}

fn question(row: &Row, version: &str) -> Result<Value> {
    let answers = row.get("answers")?;
    let list = |name: &str| answers.get(name).and_then(Value::as_array);
    let (Some(texts), Some(starts)) = (list("text"), list("answer_start")) else {
        return Err(row.error("column \"answers\" holds no lists `text` and `answer_start`"));
    };
    if texts.len() != starts.len() {
        return Err(row.error("an answer without its place"));
    }
    let answers: Vec<Value> =
        texts.iter().zip(starts).map(|(text, start)| json!({ "text": text, "answer_start": start })).collect();
    let mut question = Map::new();
    question.insert("id".into(), json!(row.text("id")?));
    question.insert("question".into(), json!(row.text("question")?));
    if version == "2.0" {
        question.insert("is_impossible".into(), json!(answers.is_empty()));
    } else if answers.is_empty() {
        return Err(row.error("a question without an answer"));
    }
    question.insert("answers".into(), json!(answers));
    Ok(question.into())
}
