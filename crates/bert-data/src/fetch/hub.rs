//! The Hub: what a dataset holds, and its files in the cache, whole and checked.
//!
//! The crate `hf-hub` speaks the protocol: the cache's layout, tokens, redirects, proxies from the environment. Here is what
//! it leaves to its users: connections that break are taken up where they broke, and every file is checked against the size
//! and the checksum that the Hub states.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use crate::checksum::sha256_file;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// How to reach the Hub; what is not said is taken from the environment, as other tools of the Hub do.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// Address of the Hub or of a mirror (`HF_ENDPOINT`).
    pub endpoint: Option<String>,
    /// Folder of the cache (`HF_HUB_CACHE`, `HF_HOME`).
    pub cache: Option<PathBuf>,
    /// Use only what is in the cache (`HF_HUB_OFFLINE`).
    pub offline: bool,
    /// How often a broken connection is taken up again without a byte of progress in between.
    pub retries: u32,
    /// The wait before the first of these; each further one is twice as long.
    pub pause: Duration,
}

impl Default for HubOptions {
    fn default() -> Self {
        HubOptions { endpoint: None, cache: None, offline: false, retries: 5, pause: Duration::from_secs(1) }
    }
}

/// Why the Hub did not give what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubProblem {
    /// There is no such dataset, revision or file.
    NotFound,
    /// It is given only to those who have accepted its terms, or only with a token.
    Gated,
    /// No connection, or one that breaks again and again.
    Unreachable,
    /// The cache does not hold it, and no connection is wanted.
    Offline,
    /// What arrived is not what the Hub says it has.
    Damaged,
    /// Any other answer.
    Other,
}

/// A connection to the Hub.
pub struct Hub {
    api: Api,
    cache: Cache,
    options: HubOptions,
    endpoint: String,
}

/// The files of a dataset at one commit, in the cache.
#[derive(Debug)]
pub struct Snapshot {
    /// The commit.
    pub commit: String,
    /// The folder that was asked for.
    pub folder: PathBuf,
    /// Names in the repository and the files, in order of the names.
    pub files: Vec<(String, PathBuf)>,
}

impl Hub {
    /// Prepares a connection; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Hub`] when the secure connections of this machine cannot be set up.
    pub fn connect(options: &HubOptions) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let cache = match options.cache.clone().or_else(|| variable("HF_HUB_CACHE").map(PathBuf::from)) {
            Some(folder) => Cache::new(folder),
            None => Cache::from_env(),
        };
        let endpoint = options.endpoint.clone().or_else(|| variable("HF_ENDPOINT"));
        let endpoint = endpoint.unwrap_or_else(|| "https://huggingface.co".into());
        let endpoint = endpoint.trim_end_matches('/').to_string();
        let offline =
            options.offline || variable("HF_HUB_OFFLINE").is_some_and(|v| !matches!(&*v, "0" | "false" | "no"));
        let mut builder = ApiBuilder::from_cache(cache.clone()).with_endpoint(endpoint.clone()).with_progress(false);
        if let Some(token) = variable("HF_TOKEN") {
            builder = builder.with_token(Some(token));
        }
        let api = builder.with_user_agent("bert-data", env!("CARGO_PKG_VERSION")).build();
        let api = api.map_err(|e| problem(&endpoint, HubProblem::Other, e.to_string()))?;
        Ok(Hub { api, cache, options: HubOptions { offline, ..options.clone() }, endpoint })
    }

    /// All Parquet files of a folder of a dataset, downloaded where the cache does not have them.
    ///
    /// # Errors
    /// [`Error::Hub`] names the dataset and the file.
    pub fn snapshot(&self, repo: &str, revision: &str, folder: &str, progress: &dyn Progress) -> Result<Snapshot> {
        let named = Repo::with_revision(repo.into(), RepoType::Dataset, revision.into());
        if self.options.offline {
            return self.cached(repo, &named, folder);
        }
        let info = self.patiently(repo, None, || self.api.repo(named.clone()).info())?;
        // Everything below is of this one commit, even when the dataset changes meanwhile.
        let pinned = Repo::with_revision(repo.into(), RepoType::Dataset, info.sha.clone());
        let (remote, local) = (self.api.repo(pinned.clone()), self.cache.repo(pinned));
        let mut names: Vec<String> = info.siblings.into_iter().map(|file| file.rfilename).collect();
        names.retain(|name| belongs(name, folder));
        names.sort();
        if names.is_empty() {
            return Err(problem(repo, HubProblem::NotFound, no_files(folder)));
        }
        let mut files = Vec::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            // A name is a path below the cache's folder, never one that leads out of it.
            if name.split('/').any(|part| part.is_empty() || part == "..") {
                return Err(problem(repo, HubProblem::Other, format!("the Hub lists a file named `{name}`")));
            }
            let label = format!("fetching {} of {}", i + 1, names.len());
            let path = match local.get(name) {
                Some(path) => path,
                None => self.download(repo, &remote, &local, name, &label, progress)?,
            };
            files.push((name.clone(), path));
        }
        let reference = self.cache.repo(named).create_ref(&info.sha);
        reference.map_err(Error::io("write a reference in", self.cache.path()))?;
        progress.finish(&format!("{repo}: {} files of commit {} are in the cache", files.len(), info.sha));
        let folder = local.pointer_path(&info.sha).join(folder);
        Ok(Snapshot { commit: info.sha, folder, files })
    }

    /// One file, taken up again where the connection broke, and checked.
    fn download(
        &self,
        repo: &str,
        remote: &ApiRepo,
        local: &CacheRepo,
        name: &str,
        label: &str,
        progress: &dyn Progress,
    ) -> Result<PathBuf> {
        let stated = self.patiently(repo, None, || self.api.metadata(&remote.url(name)))?;
        let blob = local.blob_path(stated.etag());
        let part = blob.with_extension("part");
        let mut wrong = String::new();
        for _ in 0..2 {
            // As long as the whole file: it arrived, and the program was stopped before it had its name.
            if length(&part) >= stated.size() as u64 {
                remove(&part)?;
            }
            let path = self.patiently(repo, Some(&part), || {
                remote.download_with_progress(name, Report { progress, label, begun: false })
            })?;
            match differs(&path, stated.etag(), stated.size() as u64)? {
                None => return Ok(path),
                // Perhaps a server without ranges appended the whole to a half: once more from the beginning.
                Some(difference) => wrong = difference,
            }
            for gone in [&blob, &path] {
                remove(gone)?;
            }
        }
        let cure = "The mirror or a proxy on the way gives something else; try another HF_ENDPOINT, or later";
        Err(problem(repo, HubProblem::Damaged, format!("{name} arrived twice, and {wrong}. {cure}")))
    }

    /// Asks again when a connection breaks; for a file that grows in between, as long as it grows.
    fn patiently<T>(
        &self,
        repo: &str,
        part: Option<&Path>,
        ask: impl Fn() -> std::result::Result<T, ApiError>,
    ) -> Result<T> {
        let mut tries = 0;
        loop {
            let before = part.map_or(0, length);
            let error = match ask() {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let (kind, reason) = self.explain(&error);
            if let ApiError::IoError(source) = error
                && part.is_some()
                && is_local(&source)
            {
                return Err(Error::Io { action: "write below", path: self.cache.path().clone(), source });
            }
            if part.map_or(0, length) > before {
                tries = 0;
            }
            if kind != HubProblem::Unreachable || tries == self.options.retries {
                let kept = match part.map_or(0, length) {
                    0 => String::new(),
                    bytes => format!(". {bytes} bytes are kept, and the same command goes on from there"),
                };
                return Err(problem(repo, kind, format!("{reason}{kept}")));
            }
            std::thread::sleep(self.options.pause * (1 << tries.min(6)));
            tries += 1;
        }
    }

    /// What is wrong and what to do about it.
    fn explain(&self, error: &ApiError) -> (HubProblem, String) {
        let endpoint = &self.endpoint;
        let status = match error {
            ApiError::RequestError(error) => match **error {
                ureq::Error::StatusCode(status) => Some(status),
                _ => None,
            },
            _ => None,
        };
        match (status, error) {
            (Some(404), _) => (
                HubProblem::NotFound,
                format!("{endpoint} has no such dataset, revision or file. Check the name; the dataset may have moved"),
            ),
            (Some(401 | 403), _) => (
                HubProblem::Gated,
                format!(
                    "{endpoint} does not give it to everyone (or has no dataset of that name). Accept its terms on its page there, and pass a token in HF_TOKEN or by `hf auth login`"
                ),
            ),
            (Some(status @ (408 | 429 | 500..)), _) => (
                HubProblem::Unreachable,
                format!("{endpoint} answers {status}. Try again later, or another HF_ENDPOINT"),
            ),
            (Some(status), _) => (HubProblem::Other, format!("{endpoint} answers {status}")),
            (None, ApiError::RequestError(_) | ApiError::IoError(_)) => (
                HubProblem::Unreachable,
                format!(
                    "no connection to {endpoint} ({error}). Check the network; behind a proxy set HTTPS_PROXY, for a mirror HF_ENDPOINT; or fetch on a machine with a connection, copy {} and set HF_HUB_OFFLINE=1",
                    self.cache.path().display()
                ),
            ),
            (None, ApiError::LockAcquisition(path)) => {
                (HubProblem::Other, format!("another process downloads it too ({}); wait for that", path.display()))
            }
            (None, _) => (
                HubProblem::Other,
                format!(
                    "{endpoint} does not answer as the Hub does ({error}). Check HF_ENDPOINT, and the proxy if there is one"
                ),
            ),
        }
    }

    /// What the cache holds, when it holds all.
    fn cached(&self, repo: &str, named: &Repo, folder: &str) -> Result<Snapshot> {
        let cure = format!(
            "Unset HF_HUB_OFFLINE to download it, or fetch it on a machine with a connection and copy its cache to {}",
            self.cache.path().display()
        );
        let missing =
            |what: &str| problem(repo, HubProblem::Offline, format!("{what}, and no connection is wanted. {cure}"));
        let home = self.cache.path().join(named.folder_name());
        let commit = fs::read_to_string(home.join("refs").join(named.revision()))
            .map_err(|_| missing("the cache does not hold this dataset"))?;
        let snapshot = self.cache.repo(named.clone()).pointer_path(commit.trim());
        let mut files = Vec::new();
        list(&snapshot, &snapshot, &mut files)?;
        files.retain(|(name, path)| belongs(name, folder) && path.is_file());
        files.sort();
        if files.is_empty() {
            return Err(missing("the cache holds none of its Parquet files"));
        }
        // `train-00000-of-00041.parquet`: there must be 41 of them.
        for (name, _) in &files {
            let Some((stem, of)) = name.strip_suffix(".parquet").and_then(|stem| stem.split_once("-of-")) else {
                continue;
            };
            let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit());
            let there = files.iter().filter(|(other, _)| other.starts_with(stem) && other.contains("-of-")).count();
            if of.split('-').next().and_then(|of| of.parse::<usize>().ok()).is_some_and(|of| of > there) {
                return Err(missing(&format!("the cache holds {there} of the files {stem}*-of-{of}")));
            }
        }
        Ok(Snapshot { folder: snapshot.join(folder), commit: commit.trim().to_string(), files })
    }
}

/// Passes the progress of `hf-hub` on.
struct Report<'a> {
    progress: &'a dyn Progress,
    label: &'a str,
    begun: bool,
}

impl hf_hub::api::Progress for Report<'_> {
    fn init(&mut self, size: usize, _: &str) {
        // It is told so again at each connection.
        if !self.begun {
            self.progress.start(self.label, Some(size as u64), "bytes");
        }
        self.begun = true;
    }

    fn update(&mut self, size: usize) {
        self.progress.advance(size as u64);
    }

    fn finish(&mut self) {}
}

fn problem(what: &str, kind: HubProblem, reason: String) -> Error {
    Error::Hub { what: what.to_string(), kind, reason }
}

fn no_files(folder: &str) -> String {
    format!(
        "the dataset has no Parquet files in `{folder}`. Check the language, date or folder; see its page on the Hub"
    )
}

fn belongs(name: &str, folder: &str) -> bool {
    let below = folder.is_empty() || name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    below && name.ends_with(".parquet")
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// True for what the disk refuses, not the connection.
fn is_local(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
        || matches!(error.kind(), ErrorKind::QuotaExceeded | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

/// How a file differs from what the Hub says of it; large files have their SHA-256 as their tag.
fn differs(path: &Path, etag: &str, size: u64) -> Result<Option<String>> {
    let found = length(path);
    if found != size {
        return Ok(Some(format!("has {found} bytes where the Hub states {size}")));
    }
    if etag.len() == 64 && etag.bytes().all(|b| b.is_ascii_hexdigit()) {
        let (sum, _) = sha256_file(path)?;
        if !sum.eq_ignore_ascii_case(etag) {
            return Ok(Some(format!("has SHA-256 {sum} where the Hub states {etag}")));
        }
    }
    Ok(None)
}

fn list(folder: &Path, top: &Path, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry.map_err(Error::io("read", folder))?.path();
        if path.is_dir() {
            list(&path, top, files)?;
        } else if let Ok(name) = path.strip_prefix(top) {
            files.push((name.to_string_lossy().replace('\\', "/"), path.clone()));
        }
    }
    Ok(())
}
