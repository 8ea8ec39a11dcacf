//! A directory that is read page by page: what counts as the next page, and when the reading ends.

use super::*;
use crate::directory::scim::read::Page;
use crate::directory::scim::Pages;

/// One page: its `startIndex`, the ids of its users, `totalResults`.
type Shown<'a> = (Option<usize>, &'a [&'a str], Option<u64>);

/// Reads these pages: the `startIndex` of each question and of the next one (`None`: done), or the fault of the last page.
fn read(count: usize, most: usize, shown: &[Shown<'_>]) -> Result<Vec<Option<usize>>, String> {
    let mut pages = Pages::new(count, most);
    let mut asked = vec![pages.next()];
    for (start, ids, total) in shown {
        let record = |id: &&str| Record { id: Some((*id).to_owned()), ..Record::default() };
        let page = Page { start: *start, total: *total, records: ids.iter().map(record).collect() };
        let taken = pages.take(page).map_err(|fault| fault.detail)?;
        assert_eq!(taken.len(), ids.len());
        asked.push(pages.next());
    }
    Ok(asked)
}

#[test]
fn the_next_page_begins_behind_the_last_user() {
    let both = |total| [(Some(1), &["a", "b"][..], total), (Some(3), &["c"][..], total)];
    assert_eq!(read(2, 9, &both(Some(3))), Ok(vec![Some(1), Some(3), None]));
    // Without a total a page that is not full is the last; a full one may not be.
    assert_eq!(read(2, 9, &both(None)), Ok(vec![Some(1), Some(3), None]));
    assert_eq!(read(2, 9, &[(None, &["a", "b"], None), (None, &[], None)]), Ok(vec![Some(1), Some(3), None]));
    // The server's pages may be smaller than asked for.
    assert_eq!(
        read(2, 9, &[(Some(1), &["a"], Some(2)), (Some(2), &["b"], Some(2))]),
        Ok(vec![Some(1), Some(2), None])
    );
    assert_eq!(read(2, 9, &[(Some(1), &[], Some(0))]), Ok(vec![Some(1), None]));
}

#[test]
fn a_page_that_was_not_asked_for_is_a_fault() {
    let second = |page| read(2, 9, &[(Some(1), &["a", "b"], Some(3)), page]);
    assert!(
        second((Some(1), &["x", "y"], Some(3))).is_err_and(|why| why.contains("asked for the page from 3"))
    );
    assert!(second((None, &["a", "b"], Some(3))).is_err_and(|why| why.contains("the same users")));
    assert_eq!(
        second((None, &["c"], Some(3))),
        Ok(vec![Some(1), Some(3), None]),
        "not every server numbers them"
    );
    // What a first page, or one without users, says of its number is nothing to hide users behind.
    assert_eq!(read(2, 9, &[(Some(5), &["a"], Some(1))]), Ok(vec![Some(1), None]));
    assert_eq!(
        read(2, 9, &[(Some(1), &["a", "b"], None), (Some(1), &[], None)]),
        Ok(vec![Some(1), Some(3), None])
    );
}

#[test]
fn users_that_are_promised_and_not_shown_are_a_fault() {
    let first = (Some(1), &["a", "b"][..], Some(3));
    assert!(read(2, 9, &[first, (Some(3), &[], Some(3))])
        .is_err_and(|why| why.contains("of 3 users the directory shows 2")));
    // Another one left while it was read.
    assert_eq!(read(2, 9, &[first, (Some(3), &[], Some(2))]), Ok(vec![Some(1), Some(3), None]));
}

#[test]
fn a_reading_has_an_end() {
    let first = |total| (Some(1), &["a", "b"][..], Some(total));
    assert_eq!(
        read(2, 1, &[first(2)]),
        Ok(vec![Some(1), None]),
        "the last page that is read was the last one"
    );
    assert!(read(2, 1, &[first(3)]).is_err_and(|why| why.contains("more pages than are read")));
    assert_eq!(read(2, 2, &[first(3)]), Ok(vec![Some(1), Some(3)]));
}
