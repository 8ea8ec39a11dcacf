//! JSON, as an allow-grammar (RFC 8259): what parsers read differently is not read at all.

use serde_json::{Map, Value};

use super::beside::{clipped, Beside, MAX_NAME_BYTES};
use super::names;

/// The most members of an object that a pointer leads through: reading each name costs time.
const MAX_MEMBERS: usize = 1_000;

/// Members by name.
type Object = Map<String, Value>;

/// The value at the pointer (RFC 6901). `None`: it is not there, nor anything that some parser could take for it;
/// `Err` says why that is not certain.
pub fn find<'v>(body: &'v Object, pointer: &str) -> Result<Option<&'v Value>, String> {
    let segments = names::segments(pointer);
    let wanted: Vec<String> = segments.iter().flat_map(|segment| names::path(segment)).collect();
    let mut above: Vec<String> = Vec::new();
    let (mut object, mut left) = (body, segments.as_slice());
    while let Some((segment, rest)) = left.split_first() {
        if object.len() > MAX_MEMBERS {
            return Err(format!("more than {MAX_MEMBERS} members"));
        }
        if object.keys().map(String::len).sum::<usize>() > MAX_NAME_BYTES {
            return Err(format!("names of more than {MAX_NAME_BYTES} bytes"));
        }
        for key in object.keys().filter(|key| *key != segment) {
            check(key, segment, &above, &wanted)?;
        }
        match object.get(segment) {
            None | Some(Value::Null) => return Ok(object.get(segment).filter(|_| rest.is_empty())),
            found if rest.is_empty() => return Ok(found),
            Some(Value::Object(next)) => object = next,
            Some(_) => return Err(format!("{pointer} is not in an object")),
        }
        above.extend(names::path(segment));
        left = rest;
    }
    Ok(None)
}

/// A member beside the wanted one, which no parser may take for that.
fn check(key: &str, segment: &str, above: &[String], wanted: &[String]) -> Result<(), String> {
    let is_index = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    if names::odd(key) || names::special(key) || is_index(key) && is_index(segment) {
        return Err(format!("a member that could be taken for another: {}", clipped(key)));
    }
    let own = names::path(key);
    // The containers on the way are named once; beside them only what is longer than they are.
    if !own.is_empty() && names::collide(&[above, &own].concat(), wanted) {
        return Err(format!("a member that could be taken for the wanted one: {}", clipped(key)));
    }
    Ok(())
}

/// The username in a body whose other members may stand beside it.
pub fn username(body: &Object, pointer: &str, mut beside: Beside<'_>) -> Result<String, String> {
    let name = match find(body, pointer)? {
        Some(Value::String(name)) => name.clone(),
        Some(_) => return Err("the username is not text".into()),
        None => return Err(format!("nothing at {pointer}")),
    };
    let segments = names::segments(pointer);
    for (key, value) in body {
        if segments.first() == Some(key) {
            others(value, segments.get(1..).unwrap_or_default(), &mut beside)?;
        } else if !beside.top_level(key)? {
            others(value, &[], &mut beside)?;
        }
    }
    Ok(name)
}

/// Every name below a member, but for those that lead to the username. Nesting is bounded by the parser.
fn others(value: &Value, way: &[String], beside: &mut Beside<'_>) -> Result<(), String> {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match way.split_first() {
                    Some((next, rest)) if next == key => others(value, rest, beside)?,
                    _ => {
                        beside.nested(key)?;
                        others(value, &[], beside)?;
                    }
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| others(item, &[], beside)),
        _ => Ok(()),
    }
}
