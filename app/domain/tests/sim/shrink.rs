//! Delta debugging: a short list that still fails.

/// How many items all tries together may have, so that a search ends within minutes.
const EFFORT_MAX: usize = 5_000_000;

/// Takes the shortest end of a failing list that fails too, then drops chunks, large ones first, as long as it still fails. Of what is left
/// no single item can be dropped, unless the search took too long.
pub(crate) fn shrink<T: Clone>(failing: &[T], fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    let ends = (4..usize::BITS).map(|bits| failing.len().saturating_sub(1 << bits)).take_while(|start| *start > 0);
    let mut list = ends.map(|start| &failing[start..]).find(|end| fails(end)).unwrap_or(failing).to_vec();
    let mut chunk = list.len().div_ceil(2).max(1);
    let mut effort = 0;
    loop {
        let before = list.len();
        let mut start = 0;
        while start < list.len() && effort < EFFORT_MAX {
            let shorter: Vec<T> = list.iter().take(start).chain(list.iter().skip(start + chunk)).cloned().collect();
            effort += shorter.len();
            if fails(&shorter) {
                list = shorter;
            } else {
                start += chunk;
            }
        }
        if effort >= EFFORT_MAX || chunk == 1 && list.len() == before {
            return list;
        }
        chunk = (chunk / 2).max(1);
    }
}

#[test]
fn what_does_not_matter_is_dropped() {
    let list: Vec<u32> = (0..1_000).collect();
    assert_eq!(shrink(&list, |list| list.contains(&17) && list.contains(&830)), [17, 830]);
    assert_eq!(shrink(&list, |list| list.contains(&990)), [990]);
    assert_eq!(shrink(&list, |_| true), [0; 0]);
}
