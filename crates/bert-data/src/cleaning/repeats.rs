//! Lines that come too often, counted in bounded memory.
//!
//! A table of buckets; a bucket counts a few lines by the algorithm of Misra and Gries (1982): a line that finds no place
//! takes one off every count of its bucket instead. A count is therefore never too high, so no line is taken out too early,
//! and too low by at most a ninth of the lines that fell into its bucket. Frequent lines are what the table is for, and
//! those it cannot miss.

/// Lines in a bucket.
const PLACES: usize = 8;
/// Buckets to begin with.
const SMALLEST: usize = 1 << 10;

#[derive(Clone, Copy, Default)]
struct Bucket {
    lines: [u64; PLACES],
    /// 0: the place is free.
    counts: [u32; PLACES],
}

/// How often each line came so far.
pub(super) struct Repeats {
    /// A power of two of them.
    buckets: Vec<Bucket>,
    /// Places that are taken.
    taken: usize,
    most_buckets: usize,
    limit: u32,
}

impl Repeats {
    /// A line may come `limit` times; the table grows to at most `memory` bytes.
    pub(super) fn new(limit: u64, memory: usize) -> Self {
        // While it grows, the old half is there too.
        let most = (memory / size_of::<Bucket>() * 2 / 3).max(1);
        let most_buckets = 1 << most.ilog2();
        Repeats {
            buckets: vec![Bucket::default(); SMALLEST.min(most_buckets)],
            taken: 0,
            most_buckets,
            limit: u32::try_from(limit).unwrap_or(u32::MAX - 1),
        }
    }

    /// Counts a line, and tells whether it has come more often than it may.
    pub(super) fn is_too_frequent(&mut self, line: u64) -> bool {
        // A quarter full on average, hardly any bucket is full.
        if self.taken * 4 > self.buckets.len() * PLACES && self.buckets.len() < self.most_buckets {
            self.grow();
        }
        self.count(line, 1) > self.limit
    }

    /// Adds to the count of a line and returns it.
    fn count(&mut self, line: u64, n: u32) -> u32 {
        // The high bits choose the bucket, so that a bucket's lines stay together in two when the table grows.
        let index = (u128::from(line) * self.buckets.len() as u128) >> 64;
        let bucket = &mut self.buckets[index as usize];
        let place = (0..PLACES).find(|&place| bucket.counts[place] > 0 && bucket.lines[place] == line);
        if let Some(place) = place {
            bucket.counts[place] = bucket.counts[place].saturating_add(n);
            return bucket.counts[place];
        }
        if let Some(free) = bucket.counts.iter().position(|&count| count == 0) {
            (bucket.lines[free], bucket.counts[free]) = (line, n);
            self.taken += 1;
            return n;
        }
        for count in &mut bucket.counts {
            *count -= 1;
            self.taken -= usize::from(*count == 0);
        }
        0
    }

    fn grow(&mut self) {
        let larger = vec![Bucket::default(); self.buckets.len() * 2];
        self.taken = 0;
        for bucket in std::mem::replace(&mut self.buckets, larger) {
            for (line, count) in bucket.lines.into_iter().zip(bucket.counts) {
                if count > 0 {
                    self.count(line, count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::mix;
    use super::*;

    #[test]
    fn a_line_may_come_so_often_and_no_more() {
        let mut repeats = Repeats::new(3, 1 << 20);
        let out: Vec<bool> = (0..5).map(|_| repeats.is_too_frequent(7)).collect();
        assert_eq!(out, [false, false, false, true, true]);
        assert!(!repeats.is_too_frequent(8));
    }

    #[test]
    fn frequent_lines_are_found_in_a_table_too_small_for_all_and_no_other_is_taken_out() {
        // 400,000 different lines in a table of at most 43,000, and every 100th line is the same.
        let (limit, different) = (100, 400_000_u64);
        let mut repeats = Repeats::new(limit, 1 << 20);
        let mut kept = 0;
        for n in 0..different {
            assert!(!repeats.is_too_frequent(mix(n)), "a line that came once was taken out");
            if n % 100 == 0 && !repeats.is_too_frequent(mix(u64::MAX)) {
                kept += 1;
            }
        }
        assert!(repeats.buckets.len() * size_of::<Bucket>() <= 1 << 20);
        // 4,000 times in all; the error is at most a ninth of the bucket's lines.
        let lines_of_a_bucket = different as usize / repeats.buckets.len() + 4000;
        assert!((100..100 + lines_of_a_bucket / 9).contains(&kept), "{kept}");
    }

    #[test]
    fn growing_keeps_the_counts() {
        let mut repeats = Repeats::new(1, 1 << 24);
        let lines = 20_000;
        assert!((0..lines).all(|n| !repeats.is_too_frequent(mix(n))));
        assert!(repeats.buckets.len() > SMALLEST);
        let found = (0..lines).filter(|&n| repeats.is_too_frequent(mix(n))).count();
        assert!(found > 19_900, "{found}");
    }
}
