//! JSON, as an allow-grammar (RFC 8259): what parsers read differently is not read at all.

use std::collections::HashSet;

use super::names;

/// The deepest nesting.
const MAX_DEPTH: usize = 32;

/// The text at the pointer (RFC 6901), which must be there once and once only; `Err` says why it is not
/// certain.
pub fn read(body: &[u8], pointer: &str) -> Result<String, String> {
    let text = std::str::from_utf8(body).map_err(|_| "not UTF-8")?;
    let segments: Vec<String> =
        pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect();
    let wanted = segments.iter().flat_map(|segment| names::path(segment)).collect();
    let mut reader = Reader { rest: text, segments, wanted, found: None };
    reader.space();
    if !reader.rest.starts_with('{') {
        return Err("not an object".into());
    }
    reader.value(0, Some(0))?;
    reader.space();
    if !reader.rest.is_empty() {
        return Err("something after the object".into());
    }
    reader.found.ok_or_else(|| format!("nothing at {pointer}"))
}

struct Reader<'a> {
    rest: &'a str,
    segments: Vec<String>,
    wanted: Vec<String>,
    found: Option<String>,
}

type Read<T> = Result<T, String>;

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn eat(&mut self, token: char) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Reads a value. `level` counts the segments of the pointer that led here, and is `None` beside it.
    fn value(&mut self, depth: usize, level: Option<usize>) -> Read<()> {
        if depth > MAX_DEPTH {
            return Err("nested too deeply".into());
        }
        let target = level.is_some_and(|level| level == self.segments.len());
        let on_the_way = level.is_some() && !target;
        match self.rest.bytes().next() {
            Some(b'{') if !target => self.object(depth, level),
            Some(b'[') if !target && !on_the_way => self.array(depth),
            Some(b'"') if !on_the_way => {
                let text = self.string()?;
                if target {
                    self.found = Some(text);
                }
                Ok(())
            }
            _ if target => Err("the username is no text".into()),
            _ if on_the_way => Err("the username is not in an object".into()),
            _ => self.scalar(),
        }
    }

    fn object(&mut self, depth: usize, level: Option<usize>) -> Read<()> {
        self.eat('{');
        let mut keys: HashSet<String> = HashSet::new();
        self.space();
        if self.eat('}') {
            return Ok(());
        }
        loop {
            self.space();
            let key = self.string()?;
            let mut inner = None;
            if let Some(level) = level {
                if self.segments.get(level) == Some(&key) {
                    inner = Some(level + 1);
                } else if names::odd(&key) || names::special(&key) {
                    return Err(format!("a member that could be taken for another: {key:?}"));
                } else {
                    let above = self.segments.iter().take(level).flat_map(|segment| names::path(segment));
                    let path: Vec<String> = above.chain(names::path(&key)).collect();
                    // The containers on the way are named once; beside them only what is longer than they are.
                    if !names::path(&key).is_empty() && names::collide(&path, &self.wanted) {
                        return Err(format!("a member that could be taken for the username: {key:?}"));
                    }
                }
            }
            if !keys.insert(key) {
                return Err("a member twice".into());
            }
            self.space();
            if !self.eat(':') {
                return Err("no ':' after a member's name".into());
            }
            self.space();
            self.value(depth + 1, inner)?;
            self.space();
            if self.eat('}') {
                return Ok(());
            }
            if !self.eat(',') || keys.len() >= 1_000 {
                return Err("no ',' between members, or too many".into());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Read<()> {
        self.eat('[');
        self.space();
        if self.eat(']') {
            return Ok(());
        }
        loop {
            self.space();
            self.value(depth + 1, None)?;
            self.space();
            if self.eat(']') {
                return Ok(());
            }
            if !self.eat(',') {
                return Err("no ',' between elements".into());
            }
        }
    }

    /// A string as it is meant. serde_json judges one string at a time, escapes and surrogates included.
    fn string(&mut self) -> Read<String> {
        let mut escaped = false;
        let inside = self.rest.strip_prefix('"').ok_or("a name or value without quotes")?;
        for (at, byte) in inside.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    let (literal, rest) =
                        self.rest.split_at_checked(at + 2).ok_or("a string without an end")?;
                    let text = serde_json::from_str(literal).map_err(|_| "a string that is none")?;
                    self.rest = rest;
                    return Ok(text);
                }
                _ => {}
            }
        }
        Err("a string without an end".into())
    }

    /// true, false, null or a number.
    fn scalar(&mut self) -> Read<()> {
        let end = self.rest.find([',', '}', ']', ' ', '\t', '\n', '\r']).unwrap_or(self.rest.len());
        let (literal, rest) = self.rest.split_at(end);
        let number = || {
            let digits = literal.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
            literal.len() <= 64 && digits && serde_json::from_str::<f64>(literal).is_ok()
        };
        if !matches!(literal, "true" | "false" | "null") && !number() {
            return Err("a value that is none".into());
        }
        self.rest = rest;
        Ok(())
    }
}
