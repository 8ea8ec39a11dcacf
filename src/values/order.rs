//! Sorting and collecting in little code: the standard library's sorts are 3 to 4 KB of wasm for each type of item, and
//! a map or set that is collected sorts its items first.

/// Collects items into a map or set, one by one.
pub fn gathered<C: Default + Extend<T>, T>(items: impl IntoIterator<Item = T>) -> C {
    let mut all = C::default();
    all.extend(items);
    all
}

/// Sorts a list; equal items may change places.
pub fn sort<T: Ord>(list: &mut Vec<T>) {
    heap_sort(list);
}

/// Sorts a list by a key; items of equal keys keep their order.
pub fn sort_by_key<T, K: Ord>(list: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut keys: Vec<(K, usize)> = list.iter().map(key).zip(0..).collect();
    sort(&mut keys);
    let mut items: Vec<Option<T>> = list.drain(..).map(Some).collect();
    list.extend(keys.into_iter().filter_map(|(_, at)| items.get_mut(at)?.take()));
}

/// A list of any type, so that the wasm has the sort once.
trait Sortable {
    fn len(&self) -> usize;
    fn is_less(&self, a: usize, b: usize) -> bool;
    fn swap(&mut self, a: usize, b: usize);
}

impl<T: Ord> Sortable for Vec<T> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn is_less(&self, a: usize, b: usize) -> bool {
        self.get(a) < self.get(b)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.as_mut_slice().swap(a, b);
    }
}

/// Heapsort: no input makes it slower than n log n, and it needs no memory.
fn heap_sort(list: &mut dyn Sortable) {
    let len = list.len();
    for root in (0..len / 2).rev() {
        sift_down(list, root, len);
    }
    for end in (1..len).rev() {
        list.swap(0, end);
        sift_down(list, 0, end);
    }
}

/// Moves the item at `node` of a heap, which ends before `end`, below those that are greater.
fn sift_down(list: &mut dyn Sortable, mut node: usize, end: usize) {
    loop {
        let left = 2 * node + 1;
        if left >= end {
            return;
        }
        let right = left + 1;
        let greater = if right < end && list.is_less(left, right) { right } else { left };
        if !list.is_less(node, greater) {
            return;
        }
        list.swap(node, greater);
        node = greater;
    }
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
    fn every_short_list_is_sorted() {
        // All lists of up to six of these items, so that the heap has every shape and repeated items.
        for len in 0..=6 {
            for number in 0..4_usize.pow(len) {
                let mut list: Vec<usize> = (0..len).map(|at| number / 4_usize.pow(at) % 4).collect();
                let mut expected = list.clone();
                expected.sort_unstable();
                sort(&mut list);
                assert_eq!(list, expected);
            }
        }
    }

    #[test]
    fn a_long_list_is_sorted() {
        let mut list: Vec<u64> =
            (0..10_000_u64).map(|at| at.wrapping_mul(6_364_136_223_846_793_005) % 7_919).collect();
        let mut expected = list.clone();
        expected.sort_unstable();
        sort(&mut list);
        assert!(list == expected);
    }

    #[test]
    fn a_set_that_is_gathered_is_sorted_and_has_each_item_once() {
        let set: std::collections::BTreeSet<u8> = gathered([3, 1, 3, 2]);
        assert_eq!(set.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
