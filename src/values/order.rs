//! Sorting and collecting in little code: the standard library's stable sort is 4 KB of wasm for each type of item, and
//! a map or set that is collected sorts its items first.

use std::cmp::Ordering;

/// Collects items into a map or set, one by one.
pub fn gathered<C: Default + Extend<T>, T>(items: impl IntoIterator<Item = T>) -> C {
    let mut all = C::default();
    all.extend(items);
    all
}

/// Sorts a list by a key; items of equal keys keep their order.
pub fn sort_by_key<T, K: Ord>(list: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let keys: Vec<K> = list.iter().map(key).collect();
    let order = order(keys.len(), &|a, b| keys.get(a).cmp(&keys.get(b)));
    let mut items: Vec<Option<T>> = list.drain(..).map(Some).collect();
    list.extend(order.into_iter().filter_map(|at| items.get_mut(at)?.take()));
}

/// The places of a list in their order.
#[inline(never)]
fn order(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..len).collect();
    places.sort_by(|a, b| compare(*a, *b));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_equal_keys_keep_their_order() {
        let mut list = vec![("b", 2), ("a", 1), ("c", 2), ("d", 1), ("e", 0)];
        sort_by_key(&mut list, |(_, key)| *key);
        assert_eq!(list, [("e", 0), ("a", 1), ("d", 1), ("b", 2), ("c", 2)]);
        let mut none: Vec<u8> = Vec::new();
        sort_by_key(&mut none, |item| *item);
        assert!(none.is_empty());
    }

    #[test]
    fn a_set_that_is_gathered_is_sorted_and_has_each_item_once() {
        let set: std::collections::BTreeSet<u8> = gathered([3, 1, 3, 2]);
        assert_eq!(set.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
