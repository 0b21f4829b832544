//! `--part i/n`: one of several machines that build a corpus together.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which part of the documents. Document `d` of the corpus belongs to part `d mod of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Number of this part, from 0.
    pub index: u64,
    /// Number of parts.
    pub of: u64,
}

impl Default for Part {
    /// The whole.
    fn default() -> Self {
        Part { index: 0, of: 1 }
    }
}

impl Part {
    /// True when a document of the corpus belongs to this part.
    pub(crate) fn has(self, number: u64) -> bool {
        number % self.of == self.index
    }

    /// The number in the corpus of this part's document `local`.
    pub(crate) fn number(self, local: u64) -> u64 {
        local * self.of + self.index
    }

    /// The part that a launcher gave this process, and the variables that say so; none when it was started alone.
    ///
    /// `variable` gives the value of an environment variable.
    ///
    /// # Errors
    /// In words, when a launcher is there but does not say how many processes there are, or says something else than numbers.
    pub fn of_launcher(
        variable: impl Fn(&str) -> Option<String>,
    ) -> std::result::Result<Option<(Part, String)>, String> {
        for (index, of, first) in [
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", None),
            ("PMI_RANK", "PMI_SIZE", None),
            ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", Some("SLURM_ARRAY_TASK_MIN")),
            ("SLURM_PROCID", "SLURM_NTASKS", None),
            ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", None),
        ] {
            let Some(given) = variable(index) else { continue };
            let Some(count) = variable(of) else {
                return Err(format!(
                    "{index} is {given} but {of} is not set, so the number of parts is unknown; pass --part {given}/N, or --part none"
                ));
            };
            let first = first.and_then(&variable).unwrap_or_else(|| "0".into());
            let parsed = (given.parse::<u64>(), count.parse::<u64>(), first.parse::<u64>());
            let (Ok(number), Ok(count), Ok(first)) = parsed else {
                return Err(format!(
                    "{index}={given}, {of}={count} are not two numbers; pass --part i/n, or --part none"
                ));
            };
            let part = Part { index: number.wrapping_sub(first), of: count };
            if part.index >= part.of {
                return Err(format!("{index}={given} is not below {of}={count}; pass --part i/n, or --part none"));
            }
            // One process is no launcher's share of anything.
            return Ok((count > 1).then(|| (part, format!("{index}={given}, {of}={count}"))));
        }
        Ok(None)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parsed {
            Some((index, of)) if index < of => Ok(Part { index, of }),
            _ => Err(format!("`{text}` is not a part; write i/n with i from 0 to n - 1, such as 0/4")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn parts_are_written_as_fractions() {
        assert_eq!("3/4".parse(), Ok(Part { index: 3, of: 4 }));
        assert_eq!(Part { index: 3, of: 4 }.to_string(), "3/4");
        for text in ["4/4", "1", "a/b", "1/0", "-1/3", ""] {
            assert!(text.parse::<Part>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_document_belongs_to_one_part_and_keeps_its_number() {
        for of in [1, 2, 5] {
            let mut seen = [0; 100];
            for index in 0..of {
                let part = Part { index, of };
                for (local, number) in (0..100).filter(|&number| part.has(number)).enumerate() {
                    assert_eq!(part.number(local as u64), number);
                    seen[number as usize] += 1;
                }
            }
            assert_eq!(seen, [1; 100]);
        }
    }

    #[test]
    fn launchers_are_known_by_their_variables() {
        let launched = |variables: &[(&str, &str)]| {
            Part::of_launcher(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string()))
        };
        let part = |variables| launched(variables).unwrap().map(|(part, _)| part.to_string());
        assert_eq!(part(&[]), None);
        assert_eq!(part(&[("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_SIZE", "8")]), Some("2/8".into()));
        assert_eq!(part(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "1")]), None);
        let array = [
            ("SLURM_ARRAY_TASK_ID", "5"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
            ("SLURM_ARRAY_TASK_MIN", "2"),
            ("SLURM_PROCID", "0"),
            ("SLURM_NTASKS", "1"),
        ];
        assert_eq!(part(&array), Some("3/4".into()));
        let error = launched(&[("JOB_COMPLETION_INDEX", "3")]).unwrap_err();
        assert!(error.contains("--part 3/N"), "{error}");
        assert!(launched(&[("PMI_RANK", "9"), ("PMI_SIZE", "4")]).is_err());
        assert!(launched(&[("PMI_RANK", "x"), ("PMI_SIZE", "4")]).is_err());
    }
}
