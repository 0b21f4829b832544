//! Parts of a corpus that several machines built -> one dataset.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Part, TOKENIZER_FOLDER, write_manifest};
use crate::checksum::sha256_file;
use crate::drops::Drops;
use crate::error::{Error, Result};
use crate::examples::Split;
use crate::manifest::{
    CorpusCounts, FileRecord, MANIFEST_FILE, Manifest, Settings, SplitCounts, difference_of_settings,
};
use crate::progress::Progress;
use crate::staging::Staging;
use crate::tokenizer::Tokenizer;

/// Puts all parts of a build (`--part 0/n` to `--part n-1/n`) into one dataset. Their files are linked where the file system can
/// do that, else copied, and checked against their checksums.
///
/// # Errors
/// [`Error::Setting`] when the folders are not the parts of one build, [`Error::Damaged`] when a file is not what its manifest
/// says, [`Error::OutputExists`], and errors of reading and writing. The parts stay as they are.
pub fn merge(parts: &[PathBuf], output: &Path, overwrite: bool, progress: &dyn Progress) -> Result<Manifest> {
    let mut read: Vec<(Part, &Path, Manifest)> = Vec::new();
    for dir in parts {
        let manifest = Manifest::read(dir)?;
        let part = manifest.settings.part.ok_or_else(|| wrong(dir, "it is a whole dataset and not a part of one"))?;
        read.push((part, dir, manifest));
    }
    read.sort_by_key(|(part, _, _)| part.index);
    let Some((first_part, first_dir, first)) = read.first() else {
        return Err(Error::Setting { name: "merge", reason: "no part was given".into() });
    };
    for (part, dir, manifest) in &read {
        let same_part = Settings { part: first.settings.part, ..manifest.settings.clone() };
        if let Some(difference) = difference_of_settings(&first.settings, &same_part) {
            let difference = difference.replace("in this request", "here");
            return Err(wrong(dir, &format!("beside {}, {difference}", first_dir.display())));
        }
        if manifest.tokenizer != first.tokenizer || manifest.inputs != first.inputs || part.of != first_part.of {
            return Err(wrong(
                dir,
                &format!("it was made with another tokenizer, input or number of parts than {}", first_dir.display()),
            ));
        }
    }
    for index in 0..first_part.of {
        match read.iter().filter(|(part, _, _)| part.index == index).count() {
            1 => {}
            n => {
                let reason =
                    format!("part {index}/{} was given {n} times, and every part is needed once", first_part.of);
                return Err(Error::Setting { name: "merge", reason });
            }
        }
    }

    let staging = Staging::begin(output, MANIFEST_FILE, overwrite)?;
    let mut corpus = CorpusCounts::default();
    let mut dropped = Drops::default();
    let mut splits: Vec<SplitCounts> = first.splits.iter().map(|counts| SplitCounts::new(counts.split)).collect();
    let mut files = Vec::new();
    for (_, _, manifest) in &read {
        corpus.add(&manifest.corpus);
        dropped.merge(&manifest.dropped);
        for (total, counts) in splits.iter_mut().zip(&manifest.splits) {
            total.add(counts);
        }
    }
    for split in [Split::Train, Split::Validation] {
        let of_split = read
            .iter()
            .flat_map(|(_, dir, manifest)| manifest.files.iter().map(move |file| (dir, file)))
            .filter(|(_, file)| file.split == split);
        let all: Vec<(&&Path, &FileRecord)> = of_split.collect();
        progress.start(&format!("merging ({})", split.name()), Some(all.len() as u64), "files");
        for (number, (dir, file)) in all.iter().enumerate() {
            let name = format!("{}-{number:05}-of-{:05}.arrow", split.name(), all.len());
            let (from, to) = (dir.join(&file.name), staging.folder().join(&name));
            let place_in = |from: &Path, to: &Path| fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()));
            place_in(&from, &to).map_err(Error::io("copy", &from))?;
            if sha256_file(&to)?.0 != file.sha256 {
                return Err(Error::Damaged {
                    path: from,
                    reason: "its bytes are not those that were written (the SHA-256 differs); build this part again"
                        .into(),
                });
            }
            files.push(FileRecord { name, ..(*file).clone() });
            progress.advance(1);
        }
        progress.finish(&format!("{}: {} files of {} parts", split.name(), all.len(), read.len()));
    }
    let tokenizer = Tokenizer::open(&first_dir.join(TOKENIZER_FOLDER))?;
    tokenizer.save(&staging.folder().join(TOKENIZER_FOLDER))?;
    let settings = Settings { part: None, merged_parts: Some(first_part.of), ..first.settings.clone() };
    let manifest = Manifest { settings, corpus, dropped, splits, files, ..first.clone() };
    write_manifest(staging.folder(), &manifest)?;
    staging.commit()?;
    Ok(manifest)
}

fn wrong(dir: &Path, reason: &str) -> Error {
    Error::Setting { name: "merge", reason: format!("{}: {reason}", dir.display()) }
}
