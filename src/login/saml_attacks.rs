//! What attackers, operators and odd IdPs do to a SAML login, through the whole filter.

use serde_json::json;

use super::saml_tests::*;
use crate::saml::bindings::encode_post;

#[test]
fn a_message_whose_base64_is_wrapped_survives_the_bounce() {
    let (_, _, mut browser) = filter(json!({}));
    let login = begin(&mut browser);
    let encoded = encode_post(&answer(&login.id).write());
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let cookies = std::mem::take(&mut browser.cookies);
    let form = [("SAMLResponse", lines.join("\r\n")), ("RelayState", login.relay_state.clone())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let page = browser.post(ACS, &form, &mut nobody);
    browser.cookies = cookies;
    assert_eq!(bounced(&mut browser, &page).location(), "/reports?q=1");
}
