//! `bert-data fetch` against a Hub of one's own: what arrives can be used at once, and whatever goes wrong is told.

#![allow(clippy::unwrap_used)]

mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bert_data::tasks::{Label, Task, TaskSplit, read};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use server::Server;

/// A column of a Parquet file.
enum Column<'a> {
    Text(&'a [&'a str]),
    Class(&'a [i64]),
    Number(&'a [i32]),
    Real(&'a [f32]),
}

fn parquet(columns: &[(&str, Column)]) -> Vec<u8> {
    let fields: String = columns
        .iter()
        .map(|(name, column)| match column {
            Column::Text(_) => format!("required binary {name} (UTF8);"),
            Column::Class(_) => format!("required int64 {name};"),
            Column::Number(_) => format!("required int32 {name};"),
            Column::Real(_) => format!("required float {name};"),
        })
        .collect();
    let schema = Arc::new(parse_message_type(&format!("message m {{ {fields} }}")).unwrap());
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::default())).unwrap();
    let mut group = file.next_row_group().unwrap();
    for (_, column) in columns {
        let mut writer = group.next_column().unwrap().unwrap();
        match column {
            Column::Text(values) => {
                let values: Vec<ByteArray> = values.iter().map(|text| ByteArray::from(*text)).collect();
                writer.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
            }
            Column::Class(values) => drop(writer.typed::<Int64Type>().write_batch(values, None, None).unwrap()),
            Column::Number(values) => drop(writer.typed::<Int32Type>().write_batch(values, None, None).unwrap()),
            Column::Real(values) => drop(writer.typed::<FloatType>().write_batch(values, None, None).unwrap()),
        };
        writer.close().unwrap();
    }
    group.close().unwrap();
    file.close().unwrap();
    bytes
}

fn hub(files: &[(&str, Vec<u8>)]) -> Server {
    Server::start(files.iter().map(|(name, bytes)| (name.to_string(), bytes.clone())).collect::<BTreeMap<_, _>>())
}

/// A corpus of one file that no compression makes small.
fn corpus() -> Server {
    let text: Vec<String> = (0..3000_u32).map(|n| format!("Document {n} {}.", n.wrapping_mul(2_654_435_761))).collect();
    let text: Vec<&str> = text.iter().map(String::as_str).collect();
    hub(&[
        ("20231101.en/train-00000-of-00001.parquet", parquet(&[("text", Column::Text(&text))])),
        ("README.md", vec![1]),
    ])
}

/// Runs the program; gives exit code, standard output and standard error.
fn fetch(dir: &Path, endpoint: &str, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bert-data"));
    for name in
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "NO_PROXY", "no_proxy"]
    {
        command.env_remove(name);
    }
    command.env_remove("HF_TOKEN").env_remove("HF_HUB_CACHE").env_remove("HF_HUB_OFFLINE");
    command.arg("fetch").args(arguments).current_dir(dir).env("HF_HOME", dir.join("home")).env("HF_ENDPOINT", endpoint);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

#[test]
fn a_task_becomes_its_official_files_and_is_never_overwritten_unasked() {
    let sts = |n: usize| {
        parquet(&[
            ("sentence1", Column::Text(&["A\tplane.", "B"][..n])),
            ("sentence2", Column::Text(&["An air plane.", "C \"d\""][..n])),
            ("label", Column::Real(&[3.8, 5.0][..n])),
            ("idx", Column::Number(&[0, 1][..n])),
        ])
    };
    let hub = hub(&[
        ("stsb/train-00000-of-00001.parquet", sts(2)),
        ("stsb/validation-00000-of-00001.parquet", sts(1)),
        ("stsb/test-00000-of-00001.parquet", sts(1)),
        ("cola/train-00000-of-00001.parquet", vec![0]),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    let (code, out, err) = fetch(d, &hub.url, &["sts-b"], &[]);
    assert_eq!((code, out.as_str()), (0, "STS-B\n"), "{err}");
    assert!(err.contains("bert-train finetune --task sts-b --data STS-B"), "{err}");
    let train = read(Task::StsB, TaskSplit::Train, d).unwrap();
    assert_eq!((train.len(), train[0].label, train[0].text_a.as_str()), (2, Some(Label::Score(3.8)), "A plane."));
    assert_eq!(train[1].text_b.as_deref(), Some("C \"d\""));
    assert_eq!(read(Task::StsB, TaskSplit::Dev, d).unwrap().len(), 1);
    assert_eq!(read(Task::StsB, TaskSplit::Test, d).unwrap()[0].label, None);
    assert!(fs::read_to_string(d.join("STS-B/source.json")).unwrap().contains(server::COMMIT));

    let (code, _, err) = fetch(d, &hub.url, &["sts-b"], &[]);
    assert!(code == 2 && err.contains("exists already") && err.contains("--overwrite"), "{err}");
    fs::create_dir(d.join("mine")).unwrap();
    fs::write(d.join("mine/thesis.tex"), "x").unwrap();
    let (code, _, err) = fetch(d, &hub.url, &["sts-b", "--output", "mine", "--overwrite"], &[]);
    assert!(code == 2 && d.join("mine/thesis.tex").exists(), "{err}");
    // From the cache alone, with the Hub out of reach.
    let offline = [("HF_HUB_OFFLINE", "1")];
    let (code, _, err) = fetch(d, "http://127.0.0.1:1", &["sts-b", "--overwrite"], &offline);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = fetch(d, "http://127.0.0.1:1", &["mrpc"], &offline);
    assert!(code == 1 && err.contains("HF_HUB_OFFLINE") && err.contains("nyu-mll/glue"), "{err}");
}

#[test]
fn the_other_tables_are_read_by_their_readers() {
    let one = |mut columns: Vec<(&'static str, Column<'static>)>| {
        columns.extend([("label", Column::Class(&[1, 0])), ("idx", Column::Number(&[0, 1]))]);
        parquet(&columns)
    };
    let hub = hub(&[
        ("cola/train-00000-of-00001.parquet", one(vec![("sentence", Column::Text(&["They left.", "Left they the."]))])),
        ("sst2/train-00000-of-00001.parquet", one(vec![("sentence", Column::Text(&["good ", "bad"]))])),
        (
            "mrpc/train-00000-of-00001.parquet",
            one(vec![("sentence1", Column::Text(&["a", "b"])), ("sentence2", Column::Text(&["c", "d"]))]),
        ),
    ]);
    let dir = tempfile::tempdir().unwrap();
    for task in [Task::Cola, Task::Sst2, Task::Mrpc] {
        let (code, _, err) = fetch(dir.path(), &hub.url, &[task.name()], &[]);
        assert_eq!(code, 0, "{err}");
        let rows = read(task, TaskSplit::Train, dir.path()).unwrap();
        let classes: Vec<_> = rows.iter().map(|row| row.label).collect();
        assert_eq!(classes, [Some(Label::Class(1)), Some(Label::Class(0))], "{task:?}");
    }
}

#[test]
fn wikitext_becomes_articles() {
    let lines = |lines: &[&str]| parquet(&[("text", Column::Text(lines))]);
    let hub = hub(&[
        (
            "wikitext-2-raw-v1/train-00000-of-00002.parquet",
            lines(&["", " = One = \n", " First . \n", " = = Part = = \n"]),
        ),
        ("wikitext-2-raw-v1/train-00001-of-00002.parquet", lines(&[" More . \n", " = Two = \n", " Second . \n"])),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let (code, _, err) = fetch(dir.path(), &hub.url, &["wikitext-2", "--output", "w"], &[]);
    assert_eq!(code, 0, "{err}");
    let text = fs::read_to_string(dir.path().join("w/train-00000-of-00002.txt")).unwrap();
    assert_eq!(text, "\nFirst .\nMore .\n\nSecond .\n");
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_broke_and_the_corpus_can_be_built() {
    let hub = corpus();
    *hub.mood.lock().unwrap() = server::Mood { breaks: 2, break_after: 9000, ..Default::default() };
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = fetch(dir.path(), &hub.url, &["wikipedia", "--output", "wiki"], &[]);
    assert_eq!((code, out.as_str()), (0, "wiki\n"), "{err}");
    let ranges = hub.ranges();
    assert!(ranges.iter().any(|range| range == "9000-") && ranges.iter().any(|range| range == "18000-"), "{ranges:?}");
    let fetched = fs::read_dir(dir.path().join("wiki")).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
    assert!(fetched.contains(&"20231101.en.train-00000-of-00001.parquet".into()), "{fetched:?}");
    let before = hub.ranges().len();
    assert_eq!(fetch(dir.path(), &hub.url, &["wikipedia"], &[]).0, 0);
    assert_eq!(hub.ranges().len(), before, "what is in the cache was downloaded again");

    fs::write(dir.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ndocument\n.\n").unwrap();
    let built = Command::new(env!("CARGO_BIN_EXE_bert-data"))
        .args([
            "build",
            "--input",
            "wiki/*.parquet",
            "--format",
            "parquet",
            "--tokenizer",
            "vocab.txt",
            "--output",
            "out",
        ])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    assert!(fs::read_to_string(dir.path().join("out/manifest.json")).unwrap().contains("\"documents\": 3000"));
}

#[test]
fn whatever_goes_wrong_is_told_with_its_cure() {
    let hub = corpus();
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    for (status, words) in [(404, vec!["wikimedia/wikipedia", "Check the name"]), (401, vec!["HF_TOKEN", "terms"])] {
        hub.mood.lock().unwrap().status = Some(status);
        let (code, _, err) = fetch(d, &hub.url, &["wikipedia"], &[]);
        assert!(code == 1 && words.iter().all(|word| err.contains(word)), "{err}");
    }
    hub.mood.lock().unwrap().status = None;
    let (code, _, err) = fetch(d, &hub.url, &["wikipedia/xx"], &[]);
    assert!(code == 1 && err.contains("no Parquet files in `20231101.xx`"), "{err}");
    let (code, _, err) = fetch(d, &hub.url, &["nonsense"], &[]);
    assert!(code == 2 && err.contains("wikitext-103"), "{err}");
    hub.mood.lock().unwrap().wrong_bytes = true;
    let (code, _, err) = fetch(d, &hub.url, &["wikipedia", "--output", "wiki"], &[]);
    assert!(code == 1 && err.contains("SHA-256") && !d.join("wiki").exists(), "{err}");
    hub.mood.lock().unwrap().wrong_bytes = false;
    assert_eq!(fetch(d, &hub.url, &["wikipedia", "--output", "wiki"], &[]).0, 0, "nothing wrong stays in the cache");
}

#[test]
fn without_a_connection_it_says_what_to_do_and_a_proxy_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let hub_options = bert_data::fetch::HubOptions {
        endpoint: Some("http://127.0.0.1:1".into()),
        cache: Some(dir.path().join("cache")),
        pause: std::time::Duration::from_millis(1),
        ..Default::default()
    };
    let options = bert_data::fetch::FetchOptions { name: "cola".into(), hub: hub_options, ..Default::default() };
    let error = bert_data::fetch::fetch(&options, &bert_data::progress::Silent).unwrap_err().to_string();
    for word in ["no connection", "HTTPS_PROXY", "HF_ENDPOINT", "HF_HUB_OFFLINE"] {
        assert!(error.contains(word), "{error}");
    }
    let hub = corpus();
    for variable in ["HTTP_PROXY", "HTTPS_PROXY"] {
        let home = tempfile::tempdir().unwrap();
        let proxy = [(variable, hub.url.as_str())];
        let (code, _, err) = fetch(home.path(), "http://hub.invalid", &["wikipedia"], &proxy);
        assert_eq!(code, 0, "{err}");
    }
    assert!(hub.mood.lock().unwrap().log.iter().any(|(line, _)| line.contains("hub.invalid")));
}
