//! The embedded sample: a small corpus that is part of the program, so that a first run needs no download.

/// The sample corpus as (file name, text) pairs, in the `text` format.
pub fn corpus() -> &'static [(&'static str, &'static str)] {
    &[]
}
