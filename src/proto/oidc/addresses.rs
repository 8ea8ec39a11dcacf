//! The addresses of a user whom UserInfo names without one, as GitHub lists them at `/user/emails`.

use serde_json::{Map, Value};

use crate::proto::fetch::answer;
use crate::values::json;

use crate::host::task::Reply;
use crate::proto::fetch::answer::Refusal;
use crate::values::order;

/// A list of `{email, primary, verified}` as claims: the one address that is primary and verified counts.
pub(super) fn read(what: &str, reply: Reply, max: usize) -> Result<Map<String, Value>, Refusal> {
    claims(&answer::body(what, reply)?, max).map_err(|why| answer::invalid(format!("{what}: {why}")).into())
}

/// The claims of such a list.
pub(super) fn claims(list: &[u8], max: usize) -> Result<Map<String, Value>, String> {
    // As strict as for an object: the parser knows no other document.
    let document = [b"{\"list\":", list, b"}"].concat();
    let document = json::parse_object(&document, max + 16)?;
    let Some(Value::Array(addresses)) = document.get("list") else { return Err("it is not a list".into()) };
    let is = |address: &Value, flag: &str| address.get(flag) == Some(&Value::Bool(true));
    let mut counting = addresses.iter().filter(|own| is(own, "primary") && is(own, "verified"));
    match (counting.next().and_then(|own| own.get("email")), counting.next()) {
        (Some(Value::String(email)), None) => {
            let claims = [("email", Value::from(email.as_str())), ("email_verified", Value::Bool(true))];
            Ok(order::gathered(claims.map(|(name, value)| (name.to_owned(), value))))
        }
        _ => Err("no address of the list, or several, is primary and verified".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_primary_verified_address_counts() {
        let of = |email: &str, primary: bool, verified: bool| json!({ "email": email, "primary": primary, "verified": verified, "visibility": null });
        let read =
            |list: Value| claims(list.to_string().as_bytes(), 1 << 16).ok().map(|c| c["email"].clone());
        assert_eq!(
            read(json!([of("b@x.com", false, true), of("a@x.com", true, true)])),
            Some(json!("a@x.com"))
        );
        for list in [
            json!([]),
            json!({}),
            json!([of("a@x.com", true, false)]),
            json!([of("a@x.com", false, true)]),
            json!([of("a@x.com", true, true), of("b@x.com", true, true)]),
            json!([{ "email": "a@x.com", "primary": "true", "verified": true }]),
            json!([{ "email": ["a@x.com"], "primary": true, "verified": true }]),
            json!(["a@x.com"]),
        ] {
            assert_eq!(read(list.clone()), None, "{list}");
        }
        assert!(claims(b"[]},{", 100).is_err());
    }
}
