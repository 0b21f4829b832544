//! GLUE's tab-separated files, as distributed. A quotation mark in them is a character like any other: they are not CSV.

use std::fs;
use std::path::Path;

use super::{Label, Task, TaskExample, TaskSplit};
use crate::error::{Error, Result};

/// Where a value stands in a file.
#[derive(Clone, Copy)]
enum Column {
    /// Under this name in the header.
    Named(&'static str),
    /// At this place, counted from 0, in a file without header.
    At(usize),
}

struct Layout {
    text_a: Column,
    text_b: Option<Column>,
    label: Option<Column>,
}

/// Where the columns are: the recipe of each file.
fn layout(task: Task, split: TaskSplit) -> Layout {
    use Column::{At, Named};
    let label = |column| (split != TaskSplit::Test).then_some(column);
    match task {
        // CoLA's train and dev files have no header: source, label, original mark, sentence. Its test file has one.
        Task::Cola if split == TaskSplit::Test => Layout { text_a: Named("sentence"), text_b: None, label: None },
        Task::Cola => Layout { text_a: At(3), text_b: None, label: Some(At(1)) },
        Task::Sst2 => Layout { text_a: Named("sentence"), text_b: None, label: label(Named("label")) },
        Task::Mrpc => {
            Layout { text_a: Named("#1 String"), text_b: Some(Named("#2 String")), label: label(Named("Quality")) }
        }
        Task::StsB => {
            Layout { text_a: Named("sentence1"), text_b: Some(Named("sentence2")), label: label(Named("score")) }
        }
    }
}

pub(super) fn read(task: Task, split: TaskSplit, path: &Path) -> Result<Vec<TaskExample>> {
    let bytes = fs::read(path).map_err(Error::io("open", path))?;
    parse(task, split, path, &bytes)
}

/// Reads a file's content; `path` is for messages.
pub(super) fn parse(task: Task, split: TaskSplit, path: &Path, bytes: &[u8]) -> Result<Vec<TaskExample>> {
    let text = std::str::from_utf8(bytes).map_err(|e| Error::NotUtf8 {
        path: path.to_owned(),
        line: 1 + bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() as u64,
        offset: e.valid_up_to() as u64,
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let table = Table { path };
    let mut lines = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .enumerate()
        .filter(|(_, line)| !line.is_empty());

    let layout = layout(task, split);
    let header: Option<Vec<&str>> = match layout.text_a {
        Column::At(_) => None,
        Column::Named(_) => lines.next().map(|(_, line)| line.split('\t').collect()),
    };
    let find = |column: Column| table.find(column, header.as_deref());
    let text_a = find(layout.text_a)?;
    let text_b = layout.text_b.map(find).transpose()?;
    let label = layout.label.map(find).transpose()?;

    let mut examples = Vec::new();
    for (i, line) in lines {
        let row = Row { table: &table, line: i as u64 + 1, fields: line.split('\t').collect() };
        examples.push(TaskExample {
            text_a: row.field(&text_a)?.to_string(),
            text_b: text_b.as_ref().map(|place| row.field(place).map(String::from)).transpose()?,
            label: label.as_ref().map(|place| row.label(task, place)).transpose()?,
        });
    }
    if examples.is_empty() {
        return Err(table.error(1, "1".into(), "the file holds no examples".into()));
    }
    Ok(examples)
}

/// A column found: its index and how to name it in a message.
struct Place {
    index: usize,
    name: Option<&'static str>,
}

impl Place {
    fn in_words(&self) -> String {
        match self.name {
            Some(name) => format!("{} (`{name}`)", self.index + 1),
            None => (self.index + 1).to_string(),
        }
    }
}

struct Table<'a> {
    path: &'a Path,
}

impl Table<'_> {
    fn error(&self, line: u64, column: String, reason: String) -> Error {
        Error::TaskFile { path: self.path.to_owned(), line, column, reason }
    }

    fn find(&self, column: Column, header: Option<&[&str]>) -> Result<Place> {
        let name = match column {
            Column::At(index) => return Ok(Place { index, name: None }),
            Column::Named(name) => name,
        };
        let header = header.unwrap_or_default();
        match header.iter().position(|field| field.trim() == name) {
            Some(index) => Ok(Place { index, name: Some(name) }),
            None => Err(self.error(
                1,
                format!("`{name}`"),
                format!(
                    "the column is missing; the header has {}. Take the file as GLUE distributes it",
                    header.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ")
                ),
            )),
        }
    }
}

struct Row<'a> {
    table: &'a Table<'a>,
    line: u64,
    fields: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn field(&self, place: &Place) -> Result<&'a str> {
        self.fields.get(place.index).copied().ok_or_else(|| {
            self.table.error(
                self.line,
                place.in_words(),
                format!("the column is missing; the line has {}", self.fields.len()),
            )
        })
    }

    fn label(&self, task: Task, place: &Place) -> Result<Label> {
        let text = self.field(place)?.trim();
        let error = |expected: String| {
            self.table.error(
                self.line,
                place.in_words(),
                format!("`{text}` is no label of {}; {expected} is expected", task.folder()),
            )
        };
        if task.is_regression() {
            return match text.parse::<f64>() {
                Ok(score) if (0.0..=5.0).contains(&score) => Ok(Label::Score(score)),
                _ => Err(error("a number from 0 to 5".into())),
            };
        }
        let class = task.labels().iter().position(|label| *label == text);
        class.map(Label::Class).ok_or_else(|| error(task.labels().join(" or ")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read_text(task: Task, split: TaskSplit, text: &str) -> Result<Vec<TaskExample>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(split.file_name());
        fs::write(&path, text).unwrap();
        super::super::read(task, split, dir.path())
    }

    #[test]
    fn each_task_has_its_columns() {
        let cola = read_text(Task::Cola, TaskSplit::Train, "gj04\t0\t*\tThey drank the pub.\n").unwrap();
        assert_eq!(cola[0].text_a, "They drank the pub.");
        assert_eq!((cola[0].label, &cola[0].text_b), (Some(Label::Class(0)), &None));
        let test = read_text(Task::Cola, TaskSplit::Test, "index\tsentence\n0\tBill left.\n").unwrap();
        assert_eq!((test[0].text_a.as_str(), test[0].label), ("Bill left.", None));
        let sst = read_text(Task::Sst2, TaskSplit::Dev, "sentence\tlabel\na fine film \t1\n").unwrap();
        assert_eq!(sst[0].label, Some(Label::Class(1)));
        // Bare quotation marks, a byte order mark and Windows line ends, as MRPC files come.
        let mrpc = read_text(
            Task::Mrpc,
            TaskSplit::Train,
            "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\t\" He left\tHe \" left \"\r\n",
        )
        .unwrap();
        assert_eq!(mrpc[0].text_a, "\" He left");
        assert_eq!(mrpc[0].text_b.as_deref(), Some("He \" left \""));
        let sts =
            read_text(Task::StsB, TaskSplit::Dev, "index\tsentence1\tsentence2\tscore\n0\tA.\tB.\t3.800\n").unwrap();
        assert_eq!(sts[0].label, Some(Label::Score(3.8)));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let message = |task, split, text: &str| {
            let error = read_text(task, split, text).unwrap_err();
            assert!(matches!(error, Error::TaskFile { .. }) && !error.is_request(), "{error}");
            error.to_string()
        };
        let header = "index\tsentence1\tsentence2\tscore\n";
        let m = message(Task::StsB, TaskSplit::Dev, "index\tsentence1\tscore\n0\ta\t1\n");
        assert!(m.contains("dev.tsv, line 1, column `sentence2`"), "{m}");
        let m = message(Task::StsB, TaskSplit::Dev, &format!("{header}0\ta\tb\t1.0\n1\ta\tb\n"));
        assert!(m.contains("line 3, column 4 (`score`)") && m.contains("has 3"), "{m}");
        let m = message(Task::StsB, TaskSplit::Dev, &format!("{header}0\ta\tb\thigh\n"));
        assert!(m.contains("line 2, column 4 (`score`): `high`"), "{m}");
        let m = message(Task::Cola, TaskSplit::Train, "gj04\t1\tno sentence\n");
        assert!(m.contains("line 1, column 4"), "{m}");
        let m = message(Task::Sst2, TaskSplit::Dev, "sentence\tlabel\n");
        assert!(m.contains("no examples"), "{m}");
    }

    #[test]
    fn names_are_read_however_they_are_written() {
        for (name, task) in [("cola", Task::Cola), ("SST-2", Task::Sst2), ("sst2", Task::Sst2), ("STS_B", Task::StsB)] {
            assert_eq!(Task::from_name(name).unwrap(), task);
        }
        assert!(Task::from_name("mnli").unwrap_err().is_request());
    }
}
