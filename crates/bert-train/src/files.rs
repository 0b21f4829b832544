//! Writing files so that a crash leaves the old content or the new one.

use std::fs::{self, File};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Writes `value` as indented JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::File { path: path.to_owned(), problem: format!("has no JSON form: {error}") })?;
    text.push('\n');
    fs::write(path, text).map_err(Error::io(path, "write"))
}

/// Reads JSON written by [`write_json`].
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).map_err(Error::io(path, "read"))?;
    serde_json::from_str(&text).map_err(|error| Error::File {
        path: path.to_owned(),
        problem: format!("is not what this program writes: {error}"),
    })
}

/// Replaces a small file at once: written beside it, synced, renamed.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let aside = path.with_extension("partial");
    fs::write(&aside, text).map_err(Error::io(&aside, "write"))?;
    sync(&aside)?;
    fs::rename(&aside, path).map_err(Error::io(path, "replace"))?;
    sync_parent(path)
}

/// Creates a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::io(path, "create the folder"))
}

/// Fills `place` with a folder that is complete or absent: `fill` writes into a hidden folder beside it, whose files
/// are then synced, and which is renamed at the end. What stood there before is removed only after that.
pub(crate) fn write_folder(place: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let hidden = |prefix: &str| {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        place.with_file_name(format!(".{prefix}-{name}"))
    };
    let (aside, old) = (hidden("partial"), hidden("old"));
    remove_folder(&aside)?;
    remove_folder(&old)?;
    create_folder(&aside)?;
    let written = fill(&aside).and_then(|()| sync_folder(&aside));
    if let Err(error) = written {
        // The first error is the one to tell; what is left aside is removed by the next attempt.
        let _ = fs::remove_dir_all(&aside);
        return Err(error);
    }
    if place.exists() {
        fs::rename(place, &old).map_err(Error::io(place, "move aside"))?;
    }
    fs::rename(&aside, place).map_err(Error::io(place, "put in place"))?;
    sync_parent(place)?;
    remove_folder(&old)
}

/// Removes a folder, first out of sight, so that half a folder never stands under its name.
pub(crate) fn discard_folder(place: &Path) -> Result<()> {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let old = place.with_file_name(format!(".old-{name}"));
    remove_folder(&old)?;
    fs::rename(place, &old).map_err(Error::io(place, "move aside"))?;
    remove_folder(&old)
}

fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, "remove the folder")(error)),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::io(path, "sync"))
}

/// Syncs a folder, its files and the folders in it.
fn sync_folder(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io(folder, "list the folder"))? {
        let path = entry.map_err(Error::io(folder, "list the folder"))?.path();
        if path.is_dir() {
            sync_folder(&path)?;
        } else {
            sync(&path)?;
        }
    }
    if cfg!(unix) { sync(folder) } else { Ok(()) }
}

fn sync_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if cfg!(unix) && !parent.as_os_str().is_empty() => sync(parent),
        _ => Ok(()),
    }
}
