//! Lists, a page at a time.

use crate::refusal::{Kind, Refusal};
use axum::extract::{Query, rejection::QueryRejection};
use serde::Deserialize;

/// Items of a page: as many as nearly any list has.
const MOST: usize = 1000;

/// What may follow the `?` of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// How many items are wanted at most.
    #[serde(default = "most")]
    #[param(required = false, minimum = 1, maximum = 1000, default = 1000)]
    limit: usize,
    /// The id after which they begin: `next` of the page before.
    after: Option<String>,
}

/// A list's query, as it comes.
pub(crate) type AnyPage = Result<Query<Page>, QueryRejection>;

fn most() -> usize {
    MOST
}

/// The page of a list that is wanted, and what is to be asked for next.
pub(crate) fn page<T>(
    items: Vec<T>,
    wanted: AnyPage,
    id: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, Option<String>), Refusal> {
    let wrong = |problem: String| {
        let known = format!("known are \"limit\", 1 to {MOST}, and \"after\", an id of the list");
        Refusal::new(Kind::Invalid, format!("{problem}; {known}"))
    };
    let Query(Page { limit, after }) = wanted.map_err(|error| wrong(error.body_text()))?;
    if !(1..=MOST).contains(&limit) {
        return Err(wrong(format!("{limit} items cannot be told at once")));
    }
    let from = match &after {
        None => 0,
        Some(after) => {
            let place = items.iter().position(|item| id(item) == after);
            place.ok_or_else(|| wrong(format!("the list has no {after:?}")))? + 1
        }
    };
    let is_last = items.len() - from <= limit;
    let part: Vec<T> = items.into_iter().skip(from).take(limit).collect();
    let next = part.last().filter(|_| !is_last).map(|item| id(item).to_owned());
    Ok((part, next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Uri;

    fn of(query: &str) -> Result<(Vec<&'static str>, Option<String>), Kind> {
        let uri: Uri = format!("http://h/x?{query}").parse().unwrap();
        page(vec!["a", "b", "c"], Query::try_from_uri(&uri), |item| item).map_err(|refusal| refusal.kind)
    }

    #[test]
    fn pages_follow_one_another_until_there_is_no_next() {
        let next = |id: &str| Some(id.to_owned());
        assert_eq!(of(""), Ok((vec!["a", "b", "c"], None)));
        assert_eq!(of("limit=2"), Ok((vec!["a", "b"], next("b"))));
        assert_eq!(of("limit=2&after=b"), Ok((vec!["c"], None)));
        assert_eq!(of("limit=1&after=a"), Ok((vec!["b"], next("b"))));
        assert_eq!(of("after=c"), Ok((vec![], None)));
        for bad in ["limit=0", "limit=1001", "limit=x", "after=d", "page=2"] {
            assert_eq!(of(bad), Err(Kind::Invalid), "{bad}");
        }
    }
}
