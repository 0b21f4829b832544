//! Which examples go together: unequal lengths grouped to a number of tokens.

use std::collections::BTreeSet;

/// Puts items of these lengths into packs of at most `budget`: longest first, each where it leaves the least room (best fit
/// decreasing: at most 11/9 of the packs needed and four more; Johnson 1973). A function of its arguments. An item above the budget
/// has a pack of its own. Packs hold indices, ascending.
pub fn best_fit(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_unstable_by_key(|&item| (std::cmp::Reverse(lengths[item]), item));
    let mut packs: Vec<Vec<usize>> = Vec::new();
    // Packs by the room that is left in them, full ones taken out.
    let mut open: BTreeSet<(usize, usize)> = BTreeSet::new();
    for item in order {
        let length = lengths[item];
        let (room, pack) = match open.range((length, 0)..).next().copied() {
            Some(found) => {
                open.remove(&found);
                found
            }
            None => {
                packs.push(Vec::new());
                (budget.max(length), packs.len() - 1)
            }
        };
        packs[pack].push(item);
        if room > length {
            open.insert((room - length, pack));
        }
    }
    packs.iter_mut().for_each(|pack| pack.sort_unstable());
    packs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Random};

    #[test]
    fn each_item_goes_where_it_leaves_the_least_room() {
        // 7 | 6, then 4 into the 6's pack, 3 into the 7's, and 2 opens a third.
        assert_eq!(best_fit(&[2, 6, 3, 7, 4], 10), [vec![2, 3], vec![1, 4], vec![0]]);
        assert_eq!(best_fit(&[], 10), Vec::<Vec<usize>>::new());
        assert_eq!(best_fit(&[5, 12, 5, 0], 10), [vec![1], vec![0, 2], vec![3]]);
    }

    #[test]
    fn every_item_once_and_no_pack_above_the_budget() {
        for index in 0..200 {
            let mut random = Random::new(9, Purpose::Order, 0, index);
            let budget = random.between(20, 200) as usize;
            let lengths: Vec<usize> =
                (0..random.below(300)).map(|_| random.between(1, budget as u64 / 2) as usize).collect();
            let packs = best_fit(&lengths, budget);
            let mut items: Vec<usize> = packs.concat();
            items.sort_unstable();
            assert!(items.into_iter().eq(0..lengths.len()));
            let fills: Vec<usize> = packs.iter().map(|pack| pack.iter().map(|&item| lengths[item]).sum()).collect();
            assert!(fills.iter().all(|&fill| fill <= budget));
            // No two packs could be one.
            let mut least = fills.clone();
            least.sort_unstable();
            assert!(least.len() < 2 || least[0] + least[1] > budget, "{fills:?}");
            let total: usize = lengths.iter().sum();
            assert!(packs.len() <= total.div_ceil(budget) + 1 + packs.len() / 10, "{} packs of {total}", packs.len());
        }
    }
}
