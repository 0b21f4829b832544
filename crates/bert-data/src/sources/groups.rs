//! Reading ahead: a thread of its own reads and decompresses while the others work on what was read before.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rayon::prelude::*;

use super::{Document, Documents, Input, InputRecord, Item, ReadOptions};
use crate::drops::Drops;
use crate::error::Result;

/// Groups that may wait for the workers.
const GROUPS_AHEAD: usize = 1;

/// Documents to work on together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The documents, in the order of the files.
    pub(crate) documents: Vec<Document>,
    /// Bytes of the files on disk that were read since the group before.
    pub(crate) bytes: u64,
    /// What the sources left out since the beginning, up to about here.
    pub(crate) dropped: Drops,
}

/// What was read of a whole corpus.
#[derive(Debug, Default)]
pub(crate) struct ReadCorpus {
    /// The files, in order.
    pub(crate) records: Vec<InputRecord>,
    /// What the sources left out.
    pub(crate) drops: Drops,
}

/// What the reading thread hands over.
#[derive(Default)]
struct RawGroup {
    items: Vec<(usize, Item)>,
    bytes: u64,
    dropped: Drops,
}

/// Reads all inputs in order and hands their documents over in groups of about `group_bytes` of text.
///
/// Groups exist so that a group's documents can be worked on in parallel while memory stays bounded: at any time there
/// are at most three, one being read, one waiting, one being worked on.
///
/// # Errors
/// Those of reading, and those of `each`.
pub(crate) fn for_each_group(
    inputs: &[Input],
    opts: ReadOptions,
    group_bytes: usize,
    mut each: impl FnMut(Group) -> Result<()>,
) -> Result<ReadCorpus> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(GROUPS_AHEAD);
        let reader = thread::Builder::new()
            .name("corpus".into())
            .spawn_scoped(scope, move || read(inputs, opts, group_bytes, &sender));
        let reader = reader.map_err(|e| crate::error::Error::Setting {
            name: "workers",
            reason: format!("a thread for reading cannot be started: {e}"),
        })?;
        let mut drops = Drops::default();
        let worked = work(receiver, &mut drops, &mut each);
        // The receiver is gone by now, so a reader that is still at work ends at its next group.
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        worked?;
        let mut corpus = read?;
        corpus.drops.merge(&drops);
        Ok(corpus)
    })
}

/// Works on the groups as they come. What was read before an error is still worked on, so that the first error in the order
/// of the corpus is the one that is told.
fn work(receiver: Receiver<RawGroup>, drops: &mut Drops, each: &mut impl FnMut(Group) -> Result<()>) -> Result<()> {
    for RawGroup { items, bytes, mut dropped } in receiver {
        // All outcomes are collected before the first error is looked for: the same one on every run.
        let worked: Vec<Result<_>> = items
            .into_par_iter()
            .map(|(source, item)| match item {
                Item::Document(document) => Ok(Ok(Document { source, ..document })),
                Item::Page(page) => Ok(match page.article()? {
                    Ok(document) => Ok(Document { source, ..document }),
                    Err(reason) => Err((reason, page.len())),
                }),
            })
            .collect();
        let mut documents = Vec::with_capacity(worked.len());
        for outcome in worked {
            match outcome? {
                Ok(document) => documents.push(document),
                Err((reason, bytes)) => drops.document(reason, bytes),
            }
        }
        dropped.merge(drops);
        each(Group { documents, bytes, dropped })?;
    }
    Ok(())
}

/// The reading thread.
fn read(inputs: &[Input], opts: ReadOptions, group_bytes: usize, sender: &SyncSender<RawGroup>) -> Result<ReadCorpus> {
    let mut corpus = ReadCorpus { records: Vec::with_capacity(inputs.len()), drops: Drops::default() };
    let mut group = RawGroup::default();
    let mut size = 0;
    for input in inputs {
        let mut documents = Documents::open(input, opts)?;
        let mut position = 0;
        while let Some(item) = documents.next_item()? {
            size += item.bytes();
            group.items.push((input.source, item));
            if size >= group_bytes {
                group.bytes += documents.position().saturating_sub(position);
                position = documents.position();
                group.dropped = corpus.drops.clone();
                group.dropped.merge(&documents.drops());
                if sender.send(std::mem::take(&mut group)).is_err() {
                    // The worker stopped with an error of its own, which is the one to tell.
                    return Ok(corpus);
                }
                size = 0;
            }
        }
        corpus.drops.merge(&documents.drops());
        let record = documents.record()?;
        group.bytes += record.bytes.saturating_sub(position);
        corpus.records.push(record);
    }
    if !group.items.is_empty() || group.bytes > 0 {
        group.dropped = corpus.drops.clone();
        let _ = sender.send(group);
    }
    Ok(corpus)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::super::{Format, expand, record_of};
    use super::*;
    use crate::drops::Reason;

    #[test]
    fn the_format_of_each_file_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/two.txt"), "One.\n\nTwo.\n").unwrap();
        fs::write(dir.path().join("a.txt"), "<doc id=\"1\" url=\"u\" title=\"T\">\nT\n\nThree.\n</doc>\n").unwrap();
        let inputs = expand(&[dir.path().to_str().unwrap().to_string()]).unwrap();
        let mut paragraphs = Vec::new();
        let mut bytes = 0;
        let corpus = for_each_group(&inputs, ReadOptions::default(), 1, |group| {
            bytes += group.bytes;
            paragraphs.extend(group.documents.into_iter().map(|d| d.paragraphs));
            Ok(())
        })
        .unwrap();
        assert_eq!(paragraphs, [["Three."], ["One."], ["Two."]]);
        let records = corpus.records;
        assert_eq!(records[0].format, Format::Wikiextractor);
        assert_eq!(records[1].format, Format::Text);
        assert_eq!(records[0], record_of(&inputs[0], ReadOptions::default()).unwrap());
        assert_eq!(records[1].bytes, 11);
        assert_eq!(bytes, records[0].bytes + records[1].bytes);
    }

    #[test]
    fn what_the_sources_leave_out_is_told_with_every_group() {
        let dir = tempfile::tempdir().unwrap();
        let page =
            |ns: u32| format!("<page><title>T</title><ns>{ns}</ns><revision><text>A b.</text></revision></page>\n");
        fs::write(dir.path().join("a.xml"), [page(0), page(1), page(0), page(1), page(0)].concat()).unwrap();
        fs::write(dir.path().join("b.jsonl"), "{\"text\": \"A b.\"}\n{\"body\": \"\"}\n{\"text\": \"C d.\"}\n")
            .unwrap();
        let inputs = expand(&[dir.path().to_str().unwrap().to_string()]).unwrap();
        let mut told = Vec::new();
        let corpus = for_each_group(&inputs, ReadOptions::default(), 1, |group| {
            told.push(group.dropped);
            Ok(())
        })
        .unwrap();
        let articles: Vec<u64> = told.iter().map(|drops| drops.get(Reason::OtherNamespace).documents).collect();
        assert_eq!(articles[..5], [0, 1, 1, 2, 2]);
        assert_eq!(told.last(), Some(&corpus.drops));
        assert_eq!(corpus.drops.get(Reason::NoTextField).documents, 1);
    }

    #[test]
    fn an_error_of_the_work_ends_the_reading() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        fs::write(&path, "a\n\n".repeat(10_000)).unwrap();
        let inputs = expand(&[path.to_str().unwrap().to_string()]).unwrap();
        let mut groups = 0;
        let outcome = for_each_group(&inputs, ReadOptions::default(), 1, |_| {
            groups += 1;
            Err(crate::error::Error::EmptyCorpus { inputs: "told".into() })
        });
        assert!(outcome.unwrap_err().to_string().contains("told"));
        assert_eq!(groups, 1);
    }
}
