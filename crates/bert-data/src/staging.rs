//! Output folders are complete or absent: written beside their place under another name, synced, then renamed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A folder under construction. Dropped before [`commit`](Staging::commit), it disappears and what was at the output's
/// place is untouched.
pub(crate) struct Staging {
    output: PathBuf,
    folder: PathBuf,
}

impl Staging {
    /// Makes the temporary folder beside `output`.
    ///
    /// `marker` is the file by which a folder is known as an earlier output of the same command: with `overwrite` such a
    /// folder is replaced, but never any other, so a mistyped path cannot cost someone's files.
    pub(crate) fn begin(output: &Path, marker: &'static str, overwrite: bool) -> Result<Self> {
        check(output, marker, overwrite)?;
        let name = output.file_name().ok_or_else(|| Error::Setting {
            name: "output",
            reason: format!("`{}` does not name a folder to make", output.display()),
        })?;
        let parent = match output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
        let folder = parent.join(format!(".{}.partial-{}", name.to_string_lossy(), std::process::id()));
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
        }
        fs::create_dir(&folder).map_err(Error::io("create", &folder))?;
        Ok(Staging { output: output.to_owned(), folder })
    }

    /// Where to write.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Syncs every file and puts the folder in its place, instead of the one that was there.
    pub(crate) fn commit(self) -> Result<()> {
        sync_all(&self.folder)?;
        let aside = self.folder.with_extension("old");
        if self.output.exists() {
            fs::rename(&self.output, &aside).map_err(Error::io("rename", &self.output))?;
        }
        if let Err(error) = fs::rename(&self.folder, &self.output) {
            // Back as it was; the error that is reported is the one that matters.
            if aside.exists() {
                let _ = fs::rename(&aside, &self.output);
            }
            return Err(Error::io("rename", &self.folder)(error));
        }
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(Error::io("remove", &aside))?;
        }
        if let Some(parent) = self.folder.parent() {
            sync(parent)?;
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a commit there is nothing left to remove; and an error while failing cannot be told to anyone.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// True when there is nothing at this path, or an empty folder.
pub(crate) fn is_free(output: &Path) -> Result<bool> {
    if !output.exists() {
        return Ok(true);
    }
    if !output.is_dir() {
        return Ok(false);
    }
    let mut entries = fs::read_dir(output).map_err(Error::io("read", output))?;
    Ok(entries.next().is_none())
}

/// Refuses an output that exists and may not be replaced.
pub(crate) fn check(output: &Path, marker: &'static str, overwrite: bool) -> Result<()> {
    if is_free(output)? {
        return Ok(());
    }
    if !output.join(marker).is_file() {
        return Err(Error::Setting {
            name: "output",
            reason: format!(
                "{} exists and holds no {marker}, so it is not an earlier output of this command and is not replaced. Choose another folder",
                output.display()
            ),
        });
    }
    if overwrite {
        return Ok(());
    }
    Err(Error::OutputExists { path: output.to_owned(), difference: "it would be replaced".into() })
}

pub(crate) fn sync_all(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            sync(&path)?;
        }
    }
    sync(folder)
}

pub(crate) fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("sync", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn files(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_dropped_leaves_no_trace_and_what_is_committed_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("deep/out");
        {
            let staging = Staging::begin(&output, "m", false).unwrap();
            fs::write(staging.folder().join("m"), "1").unwrap();
        }
        assert!(files(output.parent().unwrap()).is_empty());
        for (content, overwrite) in [("1", false), ("2", true)] {
            let staging = Staging::begin(&output, "m", overwrite).unwrap();
            fs::write(staging.folder().join("m"), content).unwrap();
            staging.commit().unwrap();
            assert_eq!(fs::read_to_string(output.join("m")).unwrap(), content);
            assert_eq!(files(output.parent().unwrap()), ["out"]);
        }
        assert!(matches!(Staging::begin(&output, "m", false), Err(Error::OutputExists { .. })));
    }

    #[test]
    fn a_folder_of_something_else_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "x").unwrap();
        assert!(Staging::begin(dir.path(), "manifest.json", true).is_err_and(|e| e.is_request()));
        assert_eq!(files(dir.path()), ["thesis.tex"]);
    }
}
