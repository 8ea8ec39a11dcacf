//! The trace that a request belongs to (W3C Trace Context), for the calls that are made for it.

use super::Head;

/// W3C Trace Context section 3.3.1.1: at least 512 characters have to be passed on.
const MAX_STATE: usize = 512;

/// `traceparent`, `tracestate` and `x-request-id` of a request, as far as they are well-formed: they come from outside
/// and go to providers and directories.
pub fn trace(head: &Head) -> Vec<(String, String)> {
    let mut trace = Vec::new();
    if let Some(parent) = head.one("traceparent").filter(|value| is_parent(value.as_bytes())) {
        trace.push(("traceparent".to_owned(), parent.to_owned()));
        let state: Vec<&[u8]> = head.all("tracestate").collect();
        let state = state.join(&b","[..]);
        let is_fine = !state.is_empty()
            && state.len() <= MAX_STATE
            && state.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
        if let (true, Ok(state)) = (is_fine, String::from_utf8(state)) {
            trace.push(("tracestate".to_owned(), state));
        }
    }
    if !head.request_id().is_empty() {
        trace.push(("x-request-id".to_owned(), head.request_id().to_owned()));
    }
    trace
}

/// Version, trace ID, parent ID, flags (section 3.2). Version `ff` and IDs of zeros are invalid; a later version may
/// have more behind its flags, which is not passed on.
fn is_parent(value: &[u8]) -> bool {
    let is_hex = |part: &[u8], len: usize| {
        part.len() == len && part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &[u8], len: usize| is_hex(part, len) && part.iter().any(|byte| *byte != b'0');
    let mut parts = value.split(|byte| *byte == b'-');
    let (version, trace, parent, flags) = (parts.next(), parts.next(), parts.next(), parts.next());
    parts.next().is_none()
        && version.is_some_and(|part| is_hex(part, 2) && part != b"ff")
        && trace.is_some_and(|part| is_id(part, 32))
        && parent.is_some_and(|part| is_id(part, 16))
        && flags.is_some_and(|part| is_hex(part, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn of(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        trace(&Head::new(headers.collect(), true))
    }

    #[test]
    fn what_is_well_formed_goes_on() {
        let all = [
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
            ("x-request-id", "7f3c-1"),
        ];
        let expected = [("traceparent", PARENT), ("tracestate", "a=1,b=2"), ("x-request-id", "7f3c-1")];
        let expected: Vec<(String, String)> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(of(&all), expected);
    }

    #[test]
    fn what_is_not_stays_here() {
        for parent in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01",
        ] {
            assert!(of(&[("traceparent", parent), ("tracestate", "a=1")]).is_empty(), "{parent}");
        }
        assert!(of(&[("traceparent", PARENT), ("traceparent", PARENT)]).is_empty(), "two are none");
        for state in ["a=1\u{7f}", "a=\u{e9}", &"a".repeat(513)] {
            assert_eq!(of(&[("traceparent", PARENT), ("tracestate", state)]).len(), 1, "{state}");
        }
        for id in ["a b", "a\r\nb", &"a".repeat(65)] {
            assert!(of(&[("x-request-id", id)]).is_empty(), "{id}");
        }
    }
}
