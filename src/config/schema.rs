//! stub
use super::problems::At;
/// stub
pub(super) fn check(_: &mut serde_json::Value, _: &At<'_>) {}
