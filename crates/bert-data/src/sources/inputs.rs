//! What a user gives as input -> the list of files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Format, SAMPLE_INPUT};
use crate::error::{Error, Result};
use crate::sample;

/// The name of the field or column that holds the text, where the input does not name another.
pub const TEXT_FIELD: &str = "text";

/// One corpus file, or one text of the embedded sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The file's path; for the sample `sample/NAME`.
    pub path: PathBuf,
    /// Which of the given inputs it belongs to, from 0.
    pub source: usize,
    /// The format that this input asked for.
    pub format: Option<Format>,
    /// The JSON field or Parquet column that holds the text.
    pub text: String,
    pub(super) embedded: Option<&'static str>,
}

impl Input {
    /// Number of bytes, 0 when that cannot be told (reading the file will say why).
    pub fn bytes(&self) -> u64 {
        match self.embedded {
            Some(text) => text.len() as u64,
            None => fs::metadata(&self.path).map_or(0, |metadata| metadata.len()),
        }
    }
}

/// One input as it is given: a file, folder or pattern, and settings behind a colon: `books/:weight=2,format=text`.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// The file, folder or pattern, or [`SAMPLE_INPUT`].
    pub pattern: String,
    /// How often each of its documents is used: 1 once, 2 twice, 0.5 half of them.
    pub weight: f64,
    /// Its format, where it differs from that of the other inputs.
    pub format: Option<Format>,
    /// The JSON field or Parquet column that holds the text.
    pub text: String,
}

impl InputSpec {
    /// Reads an input as it is given. What exists under the whole name is that file, whatever stands behind a colon.
    ///
    /// # Errors
    /// [`Error::Input`] for a setting that is not known or has no sensible value.
    pub fn parse(given: &str) -> Result<Self> {
        let mut spec =
            InputSpec { pattern: given.to_string(), weight: 1.0, format: None, text: TEXT_FIELD.to_string() };
        let keys = ["weight", "format", "text"];
        let Some((pattern, settings)) = given.rsplit_once(':').filter(|(_, settings)| {
            !Path::new(given).exists() && keys.iter().any(|key| settings.starts_with(&format!("{key}=")))
        }) else {
            return Ok(spec);
        };
        spec.pattern = pattern.to_string();
        let bad = |reason: String| Error::Input { pattern: given.to_string(), reason };
        for setting in settings.split(',') {
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            match key {
                "weight" => {
                    spec.weight =
                        value.parse().ok().filter(|weight| (1e-6..=1e6).contains(weight)).ok_or_else(|| {
                            bad(format!("weight={value} is not a number between 0.000001 and 1000000"))
                        })?;
                }
                "format" => {
                    let format = Format::from_str(value, false);
                    spec.format = Some(format.map_err(|_| {
                        let names: Vec<String> = Format::value_variants()
                            .iter()
                            .filter_map(|format| Some(format.to_possible_value()?.get_name().to_string()))
                            .collect();
                        bad(format!("format={value} is none of {}", names.join(", ")))
                    })?);
                }
                "text" if !value.is_empty() => spec.text = value.to_string(),
                _ => {
                    return Err(bad(format!(
                        "`{setting}` is not a setting of an input; there are weight=NUMBER, format=FORMAT and text=FIELD, with commas between them"
                    )));
                }
            }
        }
        Ok(spec)
    }
}

/// Turns what a user gives as input (globs, files, folders, or [`SAMPLE_INPUT`], each with settings behind a colon, see
/// [`InputSpec`]) into the list of files.
///
/// Folders are walked, hidden files left out. Each pattern's files come sorted by path, a file named twice comes once, so the
/// list does not depend on the file system.
///
/// # Errors
/// [`Error::Input`] for a pattern that is not valid or names no file, or a setting that is not known.
pub fn expand(patterns: &[String]) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    let mut seen = BTreeSet::new();
    for (source, given) in patterns.iter().enumerate() {
        let spec = InputSpec::parse(given)?;
        let mut add = |path: PathBuf, embedded| {
            if seen.insert(path.clone()) {
                inputs.push(Input { path, source, format: spec.format, text: spec.text.clone(), embedded });
            }
        };
        if spec.pattern == SAMPLE_INPUT {
            for (name, text) in sample::corpus() {
                add(Path::new(SAMPLE_INPUT).join(name), Some(*text));
            }
            continue;
        }
        let mut files = Vec::new();
        for path in matches(&spec.pattern)? {
            walk(&path, &mut files)?;
        }
        if files.is_empty() {
            return Err(Error::Input {
                pattern: given.clone(),
                reason: "no file matches. Check the path; quote a pattern with * so that the shell leaves it alone"
                    .into(),
            });
        }
        files.sort();
        files.into_iter().for_each(|path| add(path, None));
    }
    if inputs.is_empty() {
        return Err(Error::Setting {
            name: "input",
            reason: "no input given. Name a file, a folder, a pattern, or `sample`".into(),
        });
    }
    Ok(inputs)
}

/// The paths a pattern names. A path that exists is taken as it is, even when it holds characters special to globs.
fn matches(pattern: &str) -> Result<Vec<PathBuf>> {
    if Path::new(pattern).exists() {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let bad = |reason: String| Error::Input { pattern: pattern.to_string(), reason };
    glob::glob(pattern)
        .map_err(|e| bad(format!("not a valid pattern: {e}")))?
        .map(|entry| entry.map_err(|e| bad(format!("cannot be searched: {e}"))))
        .collect()
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(Error::io("read", path))? {
        let entry = entry.map_err(Error::io("read", path))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            walk(&entry.path(), files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn folders_are_walked_and_files_come_once_and_sorted() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b/c")).unwrap();
        for name in ["b/c/two.txt", "b/.hidden", "a.txt"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let root = dir.path().to_str().unwrap().to_string();
        let names = |patterns: &[String]| -> Vec<String> {
            expand(patterns)
                .unwrap()
                .iter()
                .map(|i| i.path.strip_prefix(dir.path()).unwrap().to_string_lossy().into_owned())
                .collect()
        };
        assert_eq!(names(std::slice::from_ref(&root)), ["a.txt", "b/c/two.txt"]);
        assert_eq!(names(&[format!("{root}/*.txt"), root.clone()]), ["a.txt", "b/c/two.txt"]);
        assert_eq!(names(&[format!("{root}/b/**/*.txt")]), ["b/c/two.txt"]);
        let inputs = expand(&[format!("{root}/b"), format!("{root}:text=body,format=jsonl")]).unwrap();
        let (first, second) = (&inputs[0], &inputs[1]);
        assert_eq!((first.source, first.format, first.text.as_str()), (0, None, "text"));
        assert_eq!((second.source, second.format, second.text.as_str()), (1, Some(Format::Jsonl), "body"));
    }

    #[test]
    fn a_pattern_without_files_is_a_wrong_request() {
        let error = expand(&["/nowhere/*.txt".to_string()]).unwrap_err();
        assert!(error.is_request() && error.to_string().contains("/nowhere/*.txt"), "{error}");
        assert!(expand(&["a[".to_string()]).unwrap_err().is_request());
        assert!(expand(&[]).unwrap_err().is_request());
    }

    #[test]
    fn settings_stand_behind_a_colon() {
        let spec = InputSpec::parse("C:/a b/*.gz:weight=0.5,text=body").unwrap();
        assert_eq!((spec.pattern.as_str(), spec.weight, spec.text.as_str()), ("C:/a b/*.gz", 0.5, "body"));
        assert_eq!(InputSpec::parse("a:b.txt").unwrap().pattern, "a:b.txt");
        for (given, word) in [
            ("x:weight=0", "weight=0"),
            ("x:weight=two", "weight=two"),
            ("x:format=doc", "wikipedia-xml"),
            ("x:weight=2,colour=red", "colour"),
            ("x:text=", "text="),
        ] {
            let error = InputSpec::parse(given).unwrap_err();
            assert!(error.is_request() && error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_file_that_exists_is_itself_whatever_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x:weight=2");
        fs::write(&path, "x").unwrap();
        let spec = InputSpec::parse(path.to_str().unwrap()).unwrap();
        assert_eq!((spec.pattern.as_str(), spec.weight), (path.to_str().unwrap(), 1.0));
    }
}
