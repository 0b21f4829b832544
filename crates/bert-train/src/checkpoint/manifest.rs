//! `manifest.json`: what files there are, and what is in them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

pub(super) const MANIFEST: &str = "manifest.json";
const FORMAT: &str = "bert-train checkpoint 1";

/// Sizes and checksums of the files of a folder.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: String,
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

impl Manifest {
    /// Of the files that lie in `folder` now.
    pub fn of(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(Error::io(folder, "list the folder"))? {
            let entry = entry.map_err(Error::io(folder, "list the folder"))?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            files.insert(name, entry_of(&path).map_err(Error::io(&path, "read"))?);
        }
        Ok(Self { format: FORMAT.into(), files })
    }

    /// Writes itself into `folder`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        crate::files::write_json(&folder.join(MANIFEST), self)
    }

    /// Checks every file of the checkpoint `folder` against its manifest.
    ///
    /// # Errors
    /// The first file that is missing or whose bytes differ.
    pub fn verify(folder: &Path) -> Result<()> {
        let wrong = |file: &str, problem: String| Error::Checkpoint {
            checkpoint: folder.to_owned(),
            file: file.to_owned(),
            problem: format!("{problem}; the checkpoint is damaged, resume from another one"),
        };
        let text = std::fs::read_to_string(folder.join(MANIFEST))
            .map_err(|error| wrong(MANIFEST, format!("cannot be read ({error})")))?;
        let manifest: Self =
            serde_json::from_str(&text).map_err(|error| wrong(MANIFEST, format!("is not a manifest ({error})")))?;
        if manifest.format != FORMAT {
            let found = &manifest.format;
            return Err(wrong(MANIFEST, format!("has format {found:?}, not {FORMAT:?}")));
        }
        for (name, entry) in &manifest.files {
            let found =
                entry_of(&folder.join(name)).map_err(|error| wrong(name, format!("cannot be read ({error})")))?;
            if found.bytes != entry.bytes {
                let (found, want) = (found.bytes, entry.bytes);
                return Err(wrong(name, format!("has {found} bytes, the manifest says {want}")));
            }
            if found.sha256 != entry.sha256 {
                return Err(wrong(name, "its SHA-256 is not the manifest's".into()));
            }
        }
        Ok(())
    }
}

fn entry_of(path: &Path) -> std::io::Result<Entry> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        bytes += n as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Entry { bytes, sha256 })
}
