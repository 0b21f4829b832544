//! Bad and huge files through the program itself: what it says, what it counts, how much memory it takes.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bert_data::drops::Reason;
use bert_data::manifest::Manifest;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::corpus::Draws;

/// How a run of the program ended.
struct Run {
    code: i32,
    err: String,
    /// The most memory it had, in MiB; 0 where the system does not tell.
    peak: u64,
}

/// Runs the program and watches its memory.
fn run(dir: &Path, arguments: &[&str]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bert-data"))
        .args(arguments)
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(File::create(dir.join("stderr")).unwrap())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        // The highest so far; gone with the process, so it is asked often.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) / 1024);
        match child.try_wait().unwrap() {
            Some(ended) => break ended,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let err = fs::read_to_string(dir.join("stderr")).unwrap();
    // A panic ends with 101 and a signal with none; neither is ever right.
    Run { code: ended.code().unwrap_or_else(|| panic!("ended by a signal: {err}")), err, peak }
}

/// A folder with a vocabulary of the words `w0` to `w99`.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n.\n".to_string();
    (0..100).for_each(|i| vocabulary.push_str(&format!("w{i}\n")));
    fs::write(dir.path().join("vocab.txt"), vocabulary).unwrap();
    dir
}

/// Documents of two lines, which do not compress to nothing.
fn text(documents: u32) -> String {
    let mut draws = Draws(5);
    let mut line = || (0..9).map(|_| format!("w{}", draws.below(100))).collect::<Vec<_>>().join(" ") + ".\n";
    (0..documents).map(|_| line() + &line() + "\n").collect()
}

/// Builds from one file.
fn build(dir: &Path, input: &str, more: &[&str]) -> Run {
    let fixed = ["build", "--tokenizer", "vocab.txt", "--output", "out", "--workers", "2", "--input"];
    run(dir, &[&fixed[..], &[input], more].concat())
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn xz(text: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A file with the columns `id` and `body`; the rows as they are, UTF-8 or not.
fn parquet(rows: &[&[u8]]) -> Vec<u8> {
    let schema = parse_message_type("message m { required binary id (UTF8); required binary body (UTF8); }").unwrap();
    let mut bytes = Vec::new();
    let properties = Arc::new(WriterProperties::default());
    let mut writer = SerializedFileWriter::new(&mut bytes, Arc::new(schema), properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for column in [vec![ByteArray::from("x"); rows.len()], rows.iter().map(|r| ByteArray::from(r.to_vec())).collect()] {
        let mut writer = group.next_column().unwrap().unwrap();
        writer.typed::<ByteArrayType>().write_batch(&column, None, None).unwrap();
        writer.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

fn half(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

/// The input with its settings, what is in it, more flags, and what the error has to say.
type Case<'a> = (&'a str, Vec<u8>, &'a [&'a str], Vec<&'a str>);

#[test]
fn bad_files_are_one_error_that_names_file_and_place_and_leaves_nothing() {
    let dir = folder();
    let d = dir.path();
    let text = text(2000).into_bytes();
    let good: String = (0..20).map(|i| format!("{{\"text\": \"w{i} w1.\"}}\n")).collect();
    let jsonl = |line: &[u8]| [good.as_bytes(), line, b"\n", good.as_bytes()].concat();
    let dump = |pages: &str| format!("<mediawiki>\n{pages}</mediawiki>\n").into_bytes();
    let page =
        |text: &str| format!("<page><title>T</title><ns>0</ns><revision><text>{text}</text></revision></page>\n");
    let bad_page = {
        let mut xml = dump(&(page("w1 w2.") + &page("w3 X w4.")));
        let at = xml.iter().position(|&byte| byte == b'X').unwrap();
        xml[at] = 0xff;
        (xml, at)
    };
    let mut flipped = xz(&text);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    let whole_dump = dump(&page("w1 w2."));
    let row = b"w1 w2.".as_slice();
    let bad_page_words = format!("byte {} of the XML", bad_page.1);
    let bad_text = [&text[..5000], b"w1 \xe9", &text[5000..]].concat();
    let bad_text_words = "offset 5003".to_string();
    let broken_parquet = {
        let rows: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
        let mut file = parquet(&rows);
        let middle = file.len() / 2;
        file[middle - 20_000..middle].fill(0xff);
        file
    };
    let cases: Vec<Case> = vec![
        ("cut.txt.bz2", half(&bzip2(&text)), &[], vec!["compressed byte", "cut off", "Fetch"]),
        ("cut.txt.gz", half(&gzip(&text)), &[], vec!["compressed byte", "cut off", "Fetch"]),
        ("cut.txt.xz", half(&xz(&text)), &[], vec!["compressed byte", "cut off", "Fetch"]),
        ("cut.txt.zst", half(&zstd::encode_all(&text[..], 3).unwrap()), &[], vec!["compressed byte", "cut off"]),
        ("flipped.txt.xz", flipped, &[], vec!["compressed byte", "damaged"]),
        ("second.txt.bz2", [bzip2(&text), half(&bzip2(&text))].concat(), &[], vec!["compressed byte", "cut off"]),
        ("plain.txt.gz", text.clone(), &[], vec!["compressed byte", "damaged"]),
        ("latin.txt", bad_text.clone(), &[], vec!["line ", &bad_text_words, "iconv", "--unreadable skip"]),
        ("latin.txt.bz2", bzip2(&bad_text), &[], vec!["line ", &bad_text_words]),
        ("latin.jsonl", jsonl(b"{\"text\": \"\xe9\"}"), &[], vec!["line 21", "not UTF-8"]),
        ("torn.jsonl", jsonl(b"{\"text\": \"w1"), &[], vec!["line 21", "--unreadable skip"]),
        ("cut.xml", half(&whole_dump), &[], vec!["byte ", "cut off", "Fetch it again"]),
        ("cut.xml.bz2", half(&bzip2(&dump(&page("w1 w2.").repeat(3000)))), &[], vec!["compressed byte", "cut off"]),
        ("latin.xml", bad_page.0, &[], vec![&bad_page_words, "not UTF-8", "--unreadable skip"]),
        ("column.parquet", parquet(&[row; 3]), &[], vec!["no column \"text\"", "id, body", "text=COLUMN"]),
        ("latin.parquet:text=body", parquet(&[row, b"w1 \xff"]), &[], vec!["row 1", "offset 3", "body"]),
        ("cut.parquet:text=body", half(&parquet(&[row; 3000])), &[], vec!["not a Parquet file that can be read"]),
        ("broken.parquet:text=body", broken_parquet, &[], vec!["row group 0", "damaged"]),
        ("cut.txt", text.clone(), &["--format", "wikiextractor"], vec!["line 1", "--format text"]),
    ];
    for (input, content, more, words) in cases {
        let name = input.split(':').next().unwrap();
        fs::write(d.join(name), content).unwrap();
        let Run { code, err, .. } = build(d, input, more);
        assert_eq!(code, 1, "{input}: {err}");
        let message = err.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        for word in words.iter().chain([&name]) {
            assert!(message.contains(word), "{input}: `{word}` is not in: {err}");
        }
        assert_eq!(err.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{input}: {err}");
        fs::remove_file(d.join(name)).unwrap();
        let mut left: Vec<String> =
            fs::read_dir(d).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["stderr", "vocab.txt"], "{input}: something was left behind");
    }
}

#[test]
fn what_can_be_left_out_is_left_out_on_request_and_counted() {
    let dir = folder();
    let d = dir.path();
    let text = text(50).into_bytes();
    let good: String = (0..20).map(|i| format!("{{\"text\": \"w{i} w1.\"}}\n")).collect();
    let row = |i: usize| format!("w{i} w1.").into_bytes();
    let rows: Vec<Vec<u8>> = (0..20).map(row).chain([b"w1 \xff".to_vec()]).collect();
    let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let page = |i: usize, text: &str| {
        format!("<page><title>T</title><ns>0</ns><revision><text>w{i} {text}</text></revision></page>\n").into_bytes()
    };
    let mut pages: Vec<u8> = (0..20).flat_map(|i| page(i, "w1.")).collect();
    pages.extend(page(0, "X").iter().map(|&byte| if byte == b'X' { 0xff } else { byte }));
    for (input, content, reason, count) in [
        ("a.txt", [&text[..], b"w1 \xff w2.\n", &text[..400]].concat(), Reason::InvalidUtf8, 1),
        ("b.jsonl", [good.as_bytes(), b"{\"text\": \"w1\n", b"{\n"].concat(), Reason::MalformedJson, 2),
        ("c.jsonl", [good.as_bytes(), b"{\"body\": \"w1\"}\n"].concat(), Reason::NoTextField, 1),
        ("d.parquet:text=body", parquet(&rows), Reason::InvalidUtf8, 1),
        ("e.xml", pages, Reason::InvalidUtf8, 1),
    ] {
        fs::write(d.join(input.split(':').next().unwrap()), content).unwrap();
        let Run { code, err, .. } = build(d, input, &["--unreadable", "skip", "--keep-duplicates"]);
        assert_eq!(code, 0, "{input}: {err}");
        assert!(err.contains(&format!("{count} {}", reason.in_words())), "{input}: {err}");
        let dropped = Manifest::read(&d.join("out")).unwrap().dropped.get(reason);
        assert_eq!(dropped.documents + dropped.lines, count, "{input}: {err}");
        assert!(dropped.bytes > 0, "{input}");
        fs::remove_dir_all(d.join("out")).unwrap();
    }
}

#[test]
fn a_file_of_many_streams_is_read_whole() {
    let dir = folder();
    let d = dir.path();
    let text = text(3000);
    fs::write(d.join("plain.txt"), &text).unwrap();
    let Run { code, err, .. } = build(d, "plain.txt", &[]);
    assert_eq!(code, 0, "{err}");
    let expected = Manifest::read(&d.join("out")).unwrap();
    assert_eq!(expected.corpus.documents, 3000);
    let pieces = || text.as_bytes().chunks(7777);
    for (name, content) in [
        ("many.txt.bz2", pieces().flat_map(bzip2).collect::<Vec<u8>>()),
        ("many.txt.gz", pieces().flat_map(gzip).collect()),
        ("many.txt.xz", pieces().flat_map(xz).collect()),
        ("many.txt.zst", pieces().flat_map(|piece| zstd::encode_all(piece, 1).unwrap()).collect()),
    ] {
        fs::write(d.join(name), content).unwrap();
        let Run { code, err, .. } = build(d, name, &["--overwrite"]);
        assert_eq!(code, 0, "{name}: {err}");
        let manifest = Manifest::read(&d.join("out")).unwrap();
        assert_eq!((manifest.corpus, &manifest.files), (expected.corpus, &expected.files), "{name}");
    }
}

#[test]
fn a_document_of_100_mb_and_a_line_of_10_mb_stay_within_the_memory() {
    let dir = folder();
    let d = dir.path();
    let paragraph = (0..60).map(|i| format!("W{i} w{} w{}.", i / 2, i + 30)).collect::<Vec<_>>().join(" ");
    let mut file = BufWriter::new(File::create(d.join("big.txt")).unwrap());
    let mut written = 0;
    while written < 100_000_000 {
        writeln!(file, "{paragraph}").unwrap();
        written += paragraph.len() + 1;
    }
    // One sentence without end: random segments that come from it have millions of tokens to be cut off.
    let long = "w1 w2 w3 w4, ".repeat((10 << 20) / 13 + 1);
    writeln!(file, "\n{long}\n\nw1 w2.").unwrap();
    file.flush().unwrap();
    drop(file);
    let sentences = 60 * (written / (paragraph.len() + 1)) as u64 + 2;
    // Repeated lines are what this document is made of.
    let more = ["--memory", "512MiB", "--line-repeats", "0", "--keep-duplicates"];
    let Run { code, err, peak } = build(d, "big.txt", &more);
    assert_eq!(code, 0, "{err}");
    let manifest = Manifest::read(&d.join("out")).unwrap();
    assert_eq!((manifest.corpus.sentences, manifest.corpus.documents_cut), (sentences, 5));
    println!("a document of 100 MB under --memory 512MiB: {peak} MiB at the peak");
    assert!(peak < 512, "{peak} MiB");
}

#[test]
fn a_record_too_long_to_read_is_counted_in_every_format() {
    let dir = folder();
    let d = dir.path();
    let long = "w1 w2. ".repeat((34 << 20) / 7);
    let page =
        |text: &str| format!("<page><title>T</title><ns>0</ns><revision><text>{text}</text></revision></page>\n");
    let record = |text: &str| format!("{{\"text\": \"{text}\"}}\n");
    for (input, content) in [
        ("long.txt", format!("{long}\n\nw1 w2.\n\nw3 w4.\n").into_bytes()),
        ("long.jsonl", (record(&long) + &record("w1 w2.") + &record("w3 w4.")).into_bytes()),
        ("long.xml", (page(&long) + &page("w1 w2.") + &page("w3 w4.")).into_bytes()),
        ("long.parquet:text=body", parquet(&[long.as_bytes(), b"w1 w2.", b"w3 w4."])),
    ] {
        fs::write(d.join(input.split(':').next().unwrap()), content).unwrap();
        let Run { code, err, peak } = build(d, input, &["--memory", "512MiB"]);
        assert_eq!(code, 0, "{input}: {err}");
        let manifest = Manifest::read(&d.join("out")).unwrap();
        let dropped = manifest.dropped.get(Reason::TooLong);
        assert_eq!((manifest.corpus.documents, dropped.documents + dropped.lines), (2, 1), "{input}: {err}");
        assert!(err.contains("1 too long to read"), "{input}: {err}");
        assert!(peak < 512, "{input}: {peak} MiB");
        fs::remove_dir_all(d.join("out")).unwrap();
    }
}

#[test]
fn a_damaged_dataset_is_told_by_every_command_that_reads_it() {
    let dir = folder();
    let d = dir.path();
    fs::write(d.join("a.txt"), text(500)).unwrap();
    let Run { code, err, .. } = build(d, "a.txt", &[]);
    assert_eq!(code, 0, "{err}");
    let name = "train-00000-of-00001.arrow";
    let path = d.join("out").join(name);
    let whole = fs::read(&path).unwrap();
    let told = |commands: &[&str], words: &[&str]| {
        for command in commands {
            let Run { code, err, .. } = run(d, &[command, "out"]);
            assert_eq!(code, 1, "{command}: {err}");
            for word in words.iter().chain([&name]) {
                assert!(err.contains(word), "{command}: `{word}` is not in: {err}");
            }
        }
    };
    // Cut anywhere, it is not opened at all.
    for length in [0, 9, whole.len() / 3, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        told(&["inspect", "stats"], &["damaged", "build the dataset again"]);
        told(&["verify"], &[]);
    }
    // A flipped bit in the middle is an id: what reads all of it finds it.
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x40;
    fs::write(&path, &flipped).unwrap();
    told(&["verify"], &["SHA-256"]);
    fs::write(&path, &whole).unwrap();
    assert_eq!(run(d, &["verify", "out"]).code, 0);

    // The same output with other settings: what differs, and what can be done.
    for (more, words) in [
        (&["--seq-len", "64"][..], "seq_len is 128 there and 64 in this request"),
        (&["--pairing", "sop"], "pairing is \"nsp\" there and \"sop\" in this request"),
        (&["--seed", "3", "--validation", "0.2"], "seed is 0 there and 3 in this request, validation is 0.0 there"),
    ] {
        let Run { code, err, .. } = build(d, "a.txt", more);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(words) && err.contains("--overwrite"), "{err}");
        assert!(fs::read(&path).unwrap() == whole);
    }
}
