//! Files as memory: read by the operating system when touched, shared between processes, never copied.

use std::fs::File;
use std::path::Path;

use arrow::buffer::Buffer;
use bytes::Bytes;
use memmap2::Mmap;

use crate::error::{Error, Result};

/// Maps a whole file, read-only.
pub(crate) fn map(path: &Path) -> Result<Buffer> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    if length == 0 {
        return Ok(Buffer::default());
    }
    // The one `unsafe` of this crate; there is no safe way to map a file.
    // SAFETY: the mapping is read-only. What remains is that another process could change or cut the file while it is
    // mapped. The files mapped here are never changed in place by this project: datasets are written under another name
    // and renamed, so a replaced dataset keeps its old bytes for those who have it open.
    #[allow(unsafe_code)]
    let mapped = unsafe { Mmap::map(&file) }.map_err(Error::io("map", path))?;
    Ok(Buffer::from(Bytes::from_owner(mapped)))
}
