//! The folder of a build under way: `.NAME.partial` beside the output, which a build that was stopped leaves and `--resume`
//! goes on from.
//!
//! `dataset/` in it becomes the output; everything beside that is temporary.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::BuildOptions;
use crate::error::{Error, Result};
use crate::manifest::{MANIFEST_FILE, Settings, TokenizerRecord, difference_of_settings};
use crate::sources::Input;
use crate::staging;

/// What a build was asked for; a build that goes on must be asked for the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Request {
    /// Version of the program: another one may write other bytes.
    version: String,
    settings: Settings,
    shard_size: u64,
    tokenizer: TokenizerRecord,
    inputs: Vec<Stamp>,
}

/// What can be told of an input without reading it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stamp {
    path: String,
    bytes: u64,
    /// Seconds since 1970 when it was last changed; none for the embedded sample.
    modified: Option<u64>,
}

impl Request {
    pub(super) fn new(
        opts: &BuildOptions,
        settings: &Settings,
        tokenizer: &TokenizerRecord,
        inputs: &[Input],
    ) -> Request {
        let stamp = |input: &Input| Stamp {
            path: input.path.to_string_lossy().into_owned(),
            bytes: input.bytes(),
            modified: fs::metadata(&input.path)
                .and_then(|found| found.modified())
                .ok()
                .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
                .map(|since| since.as_secs()),
        };
        Request {
            version: env!("CARGO_PKG_VERSION").into(),
            settings: settings.clone(),
            shard_size: opts.shard_size,
            tokenizer: tokenizer.clone(),
            inputs: inputs.iter().map(stamp).collect(),
        }
    }

    /// In words, how `self`, the earlier request, differs from `new`.
    fn difference(&self, new: &Request) -> Option<String> {
        if self == new {
            return None;
        }
        if let Some(settings) = difference_of_settings(&self.settings, &new.settings) {
            return Some(settings);
        }
        if self.version != new.version {
            return Some(format!("it was begun by version {} and this is {}", self.version, new.version));
        }
        if self.shard_size != new.shard_size {
            return Some(format!("shard-size is {} there and {} in this request", self.shard_size, new.shard_size));
        }
        if self.tokenizer != new.tokenizer {
            return Some("it was begun with another tokenizer".into());
        }
        let changed = self.inputs.iter().zip(&new.inputs).find(|(old, new)| old != new);
        Some(match changed {
            Some((old, new)) if old.path == new.path => format!("the input {} has changed since", new.path),
            _ => "it was begun with other input files".into(),
        })
    }
}

/// The folder, locked against a second build of the same output.
pub(super) struct WorkFolder {
    output: PathBuf,
    folder: PathBuf,
    lock: Option<File>,
    keep: bool,
}

impl WorkFolder {
    /// Makes the folder, or with `--resume` goes on with the one that an interrupted build of the same request left.
    pub(super) fn begin(opts: &BuildOptions, request: &Request) -> Result<Self> {
        let output = &opts.output;
        staging::check(output, MANIFEST_FILE, opts.overwrite)?;
        let folder = place(output)?;
        let request_path = folder.join("request.json");
        let begun = request_path.is_file();
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let mut work = WorkFolder { output: output.clone(), lock: Some(lock(&folder)?), folder, keep: true };
        work.restore_old()?;
        let differs =
            |difference: &str| Error::Interrupted { path: work.folder.clone(), difference: difference.into() };
        if begun && !opts.resume {
            return Err(differs("this request does not say what to do with it"));
        }
        if begun {
            let text = fs::read(&request_path).map_err(Error::io("read", &request_path))?;
            let earlier: Request =
                serde_json::from_slice(&text).map_err(|_| differs("it was begun by another version"))?;
            if let Some(difference) = earlier.difference(request) {
                return Err(differs(&difference));
            }
        }
        for folder in [work.dataset(), work.records()] {
            fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        }
        if !begun {
            // Serialising these types cannot fail: no maps with keys other than strings, no values that refuse.
            let text = serde_json::to_vec_pretty(request).unwrap_or_default();
            write_whole(&request_path, &text)?;
        }
        work.keep = false;
        Ok(work)
    }

    /// Removes what a build left that was stopped after its output was in place.
    pub(super) fn clean(output: &Path) -> Result<()> {
        let folder = place(output)?;
        if !folder.is_dir() {
            return Ok(());
        }
        drop(lock(&folder)?);
        fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))
    }

    /// Temporary files.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What becomes the output.
    pub(super) fn dataset(&self) -> PathBuf {
        self.folder.join("dataset")
    }

    /// Records of finished files, and files that are not finished.
    pub(super) fn records(&self) -> PathBuf {
        self.folder.join("files")
    }

    fn old(&self) -> PathBuf {
        self.folder.join("old")
    }

    /// A build killed between taking the old output away and putting the new one there: the old one comes back.
    fn restore_old(&self) -> Result<()> {
        let old = self.old();
        if old.exists() && !self.output.exists() {
            fs::rename(&old, &self.output).map_err(Error::io("rename", &old))?;
        }
        Ok(())
    }

    /// Puts the dataset in its place, instead of the one that was there, and removes everything else.
    pub(super) fn commit(self) -> Result<()> {
        let (dataset, old) = (self.dataset(), self.old());
        staging::sync_all(&dataset)?;
        if self.output.exists() {
            fs::rename(&self.output, &old).map_err(Error::io("rename", &self.output))?;
        }
        if let Err(error) = fs::rename(&dataset, &self.output) {
            // Back as it was; the error that is reported is the one that matters.
            let _ = self.restore_old();
            return Err(Error::io("rename", &dataset)(error));
        }
        match self.output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => staging::sync(parent),
            _ => staging::sync(Path::new(".")),
        }
        // Dropped here, and with it the temporary files.
    }

    /// Leaves the folder for `--resume`.
    pub(super) fn keep(mut self) -> PathBuf {
        self.keep = true;
        self.folder.clone()
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // Some systems refuse to remove a locked file.
        self.lock = None;
        if !self.keep {
            // An error while failing cannot be told to anyone, and after a commit the next build finds what is left.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The folder's place: beside the output, so that a rename puts the output where it belongs.
fn place(output: &Path) -> Result<PathBuf> {
    let name = output.file_name().ok_or_else(|| Error::Setting {
        name: "output",
        reason: format!("`{}` does not name a folder to make", output.display()),
    })?;
    Ok(output.with_file_name(format!(".{}.partial", name.to_string_lossy())))
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(Error::io("create", &path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::Setting {
            name: "output",
            reason: format!("another build is at work in {}; wait for it or choose another --output", folder.display()),
        }),
        // Some network file systems have no locks; then nothing warns of a second build.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Writes a file that is whole or absent, whenever the process ends.
pub(super) fn write_whole(path: &Path, text: &[u8]) -> Result<()> {
    let aside = path.with_extension("tmp");
    fs::write(&aside, text).map_err(Error::io("write", &aside))?;
    staging::sync(&aside)?;
    fs::rename(&aside, path).map_err(Error::io("rename", &aside))
}
