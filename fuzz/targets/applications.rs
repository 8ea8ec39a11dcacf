//! How applications read what is sent to them: parsers of our own that behave like those of others,
//! lenient wherever one of those is. They share nothing with the filter.

use std::collections::BTreeMap;

/// Decodes `%XX` once, whatever else stands there.
pub fn percent(text: &[u8]) -> String {
    String::from_utf8_lossy(&percent_bytes(text)).into_owned()
}

/// The same, whatever bytes come out.
pub fn percent_bytes(text: &[u8]) -> Vec<u8> {
    bytes(text, Broken::Kept)
}

/// What becomes of a `%` that escapes nothing.
#[derive(Clone, Copy, PartialEq)]
enum Broken {
    Kept,
    Dropped,
    /// And `%u0061` is read, as ASP and old JavaScript do.
    Unicode,
}

fn bytes(text: &[u8], broken: Broken) -> Vec<u8> {
    let hex = |digits: Option<&[u8]>| {
        let digits = std::str::from_utf8(digits?).ok()?;
        digits.bytes().all(|d| d.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(byte) = text.get(at) {
        at += 1;
        if *byte != b'%' {
            out.push(*byte);
        } else if let Some(value) = hex(text.get(at..at + 2)) {
            out.push(value as u8);
            at += 2;
        } else {
            let unicode = (broken == Broken::Unicode && matches!(text.get(at), Some(b'u' | b'U')))
                .then(|| hex(text.get(at + 1..at + 5)).and_then(char::from_u32))
                .flatten();
            match unicode {
                Some(c) => {
                    out.extend_from_slice(c.to_string().as_bytes());
                    at += 5;
                }
                None if broken == Broken::Dropped => {}
                None => out.push(b'%'),
            }
        }
    }
    out
}

/// The fields of a form, decoded.
fn pairs(body: &[u8], separators: &[u8], broken: Broken) -> Vec<(String, String)> {
    let decode = |text: &[u8]| {
        let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        String::from_utf8_lossy(&bytes(&spaced, broken)).into_owned()
    };
    let pairs = body.split(|b| separators.contains(b)).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.iter().position(|b| *b == b'=') {
            Some(at) => (decode(&pair[..at]), decode(&pair[at + 1..])),
            None => (decode(pair), String::new()),
        })
        .collect()
}

type Taken = Vec<(&'static str, String)>;

/// The username that each application takes out of a form.
pub fn form_usernames(body: &[u8], field: &str) -> Taken {
    let usual = pairs(body, b"&", Broken::Kept);
    let named = |pairs: &[(String, String)], same: &dyn Fn(&str) -> bool| {
        pairs.iter().filter(|(name, _)| same(name)).map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let exact = |name: &str| name == field;
    let mut taken = Vec::new();
    let mut take = |application, name: Option<String>| taken.extend(name.map(|name| (application, name)));

    let all = named(&usual, &exact);
    take("servlet, Go: the first", all.first().cloned());
    take("Django, Rails: the last", all.last().cloned());
    take("ASP.NET: all, joined", (!all.is_empty()).then(|| all.join(",")));
    take("Express: an array as text", (!all.is_empty()).then(|| all.concat()));
    for (application, broken) in
        [("drops what is not an escape", Broken::Dropped), ("reads %u", Broken::Unicode)]
    {
        let all = named(&pairs(body, b"&", broken), &exact);
        take(application, all.first().cloned());
        take(application, all.last().cloned());
    }
    // CGI.pm, Python before 3.9.2, Rack before 3: `;` too. Some servers split at line ends.
    for (application, separators) in [("splits at ;", &b"&;"[..]), ("splits at line ends", b"&\r\n")] {
        let all = named(&pairs(body, separators, Broken::Kept), &exact);
        take(application, all.first().cloned());
        take(application, all.last().cloned());
    }
    let folded = |name: &str| name.to_lowercase() == field.to_lowercase();
    let trimmed = |name: &str| name.trim() == field;
    let cut = |name: &str| name.split('\0').next() == Some(field);
    let listed = |name: &str| name.strip_suffix("[]").unwrap_or(name) == field;
    let indexed = |name: &str| name.strip_suffix("[0]").unwrap_or(name) == field;
    let hyphens = |name: &str| name.replace(['-', '_'], "") == field.replace(['-', '_'], "");
    type Same<'a> = &'a dyn Fn(&str) -> bool;
    let aliases: [(&str, Same<'_>); 6] = [
        ("ASP.NET: without case", &folded),
        ("trims names", &trimmed),
        ("C: names end at NUL", &cut),
        ("username[] is username", &listed),
        ("Spring: username[0] is username", &indexed),
        ("Spring, Jackson: user-name is user_name is username", &hyphens),
    ];
    for (application, same) in aliases {
        let all = named(&usual, same);
        take(application, all.first().cloned());
        take(application, all.last().cloned());
    }
    take("PHP", php(&usual, field));
    for (application, dots) in [("Rack, qs: brackets nest", false), ("Spring, qs: dots nest too", true)] {
        let read = |name: &str| nested(name, dots);
        let all = named(&usual, &|name| read(name) == read(field));
        take(application, all.first().cloned());
        take(application, all.last().cloned());
    }
    taken
}

/// `$_POST`: leading spaces dropped, space, `.` and a lone `[` become `_`, names end at NUL, the last wins.
fn php(pairs: &[(String, String)], field: &str) -> Option<String> {
    let key = |name: &str| {
        let name = name.trim_start_matches(' ').split('\0').next().unwrap_or_default();
        let (base, rest) = match name.find('[') {
            Some(at) if name[at..].contains(']') => name.split_at(at),
            _ => (name, ""),
        };
        let base: String = base.chars().map(|c| if matches!(c, ' ' | '.' | '[') { '_' } else { c }).collect();
        let inner = rest.split(['[', ']']).filter(|part| !part.is_empty()).map(str::to_owned);
        std::iter::once(base).chain(inner).collect::<Vec<_>>()
    };
    let mut array: BTreeMap<Vec<String>, String> = BTreeMap::new();
    for (name, value) in pairs {
        // A scalar and what is nested in it replace each other.
        let key = key(name);
        array.retain(|other, _| !(other.starts_with(&key) || key.starts_with(other)));
        array.insert(key, value.clone());
    }
    array.remove(&key(field))
}

/// `user[name]` and, with dots, `user.name`.
fn nested(name: &str, dots: bool) -> Vec<String> {
    let name = if dots { name.replace('.', "[") } else { name.to_owned() };
    name.split(['[', ']']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The names of a form's fields, as paths that nest by brackets and dots.
pub fn form_names(body: &[u8]) -> Vec<Vec<String>> {
    pairs(body, b"&", Broken::Kept).iter().map(|(name, _)| nested(name, true)).collect()
}

/// The names in a JSON document at any depth, as paths.
pub fn json_names(body: &[u8]) -> Vec<Vec<String>> {
    let mut names = Vec::new();
    if let Some(value) = Reader::read(body, PLAIN) {
        value.names(&mut Vec::new(), &mut names);
    }
    names
}

/// The username that each application takes out of a JSON document.
pub fn json_usernames(body: &[u8], pointer: &str) -> Taken {
    let path: Vec<String> = pointer.split('/').skip(1).map(str::to_owned).collect();
    let mut taken = Vec::new();
    for (application, style) in STYLES {
        let Some(value) = Reader::read(body, *style) else { continue };
        taken.extend(value.text(&path, *style).map(|name| (*application, name)));
    }
    taken
}

#[derive(Clone, Copy)]
struct Style {
    /// The first of equal keys wins.
    first: bool,
    /// Keys are compared without case, and with Unicode's simple folding as Go does.
    fold: bool,
    /// `-` and `_` in keys do not count.
    hyphens: bool,
    /// Comments, single quotes, names without quotes, commas at the end (JSON5, Jackson's leniency).
    loose: bool,
    /// Something may follow.
    trailing: bool,
    /// Text ends at NUL.
    nul: bool,
    /// `user.name` and `user[name]` are paths.
    flat: bool,
    /// A list stands for its first element.
    list: bool,
}

const PLAIN: Style = Style {
    first: false,
    fold: false,
    hyphens: false,
    loose: false,
    trailing: false,
    nul: false,
    flat: false,
    list: false,
};
const STYLES: &[(&str, Style)] = &[
    ("the last wins", PLAIN),
    ("the first wins", Style { first: true, ..PLAIN }),
    ("Go: without case, the last wins", Style { fold: true, ..PLAIN }),
    ("Go's Decoder: something follows", Style { fold: true, trailing: true, ..PLAIN }),
    (".NET: without case, the first wins", Style { fold: true, first: true, ..PLAIN }),
    ("raw_decode: something follows", Style { trailing: true, ..PLAIN }),
    ("JSON5", Style { loose: true, ..PLAIN }),
    ("Jackson, lenient, the first wins", Style { loose: true, first: true, trailing: true, ..PLAIN }),
    ("C: text ends at NUL", Style { nul: true, ..PLAIN }),
    ("C: text ends at NUL, the first wins", Style { nul: true, first: true, ..PLAIN }),
    ("json.NET: naming strategies", Style { hyphens: true, fold: true, ..PLAIN }),
    ("Spring: flattened", Style { flat: true, ..PLAIN }),
    ("Spring: flattened, the first wins", Style { flat: true, first: true, fold: true, ..PLAIN }),
    ("UNWRAP_SINGLE_VALUE_ARRAYS", Style { list: true, ..PLAIN }),
];

#[derive(Clone)]
enum Json {
    Text(String),
    Object(Vec<(String, Json)>),
    List(Vec<Json>),
    Other,
}

impl Json {
    fn names(&self, above: &mut Vec<String>, names: &mut Vec<Vec<String>>) {
        match self {
            Json::Object(members) => {
                for (name, value) in members {
                    let depth = above.len();
                    above.extend(nested(name, true));
                    names.push(above.clone());
                    value.names(above, names);
                    above.truncate(depth);
                }
            }
            Json::List(list) => list.iter().for_each(|value| value.names(above, names)),
            Json::Text(_) | Json::Other => {}
        }
    }

    fn text(&self, path: &[String], style: Style) -> Option<String> {
        match (self, path) {
            (Json::Text(text), []) => Some(text.clone()),
            (Json::List(list), _) if style.list => list.first()?.text(path, style),
            (Json::Object(members), [first, rest @ ..]) => {
                let key = |name: &str| style.key(name);
                let all: Vec<Option<String>> = members
                    .iter()
                    .filter_map(|(name, value)| {
                        if key(name) == key(first) {
                            return Some(value.text(rest, style));
                        }
                        let parts = nested(name, true);
                        let longer = style.flat && parts.len() > 1 && path.len() >= parts.len();
                        (longer && parts.iter().zip(path).all(|(a, b)| key(a) == key(b)))
                            .then(|| value.text(path.get(parts.len()..).unwrap_or_default(), style))
                    })
                    .collect();
                // What is there twice is taken as a whole, wherever it is a text or not.
                if style.first {
                    all.first().cloned()?
                } else {
                    all.last().cloned()?
                }
            }
            _ => None,
        }
    }
}

impl Style {
    fn key(self, name: &str) -> String {
        let name = if self.nul { name.split('\0').next().unwrap_or_default() } else { name };
        let mut name = name.to_owned();
        if self.hyphens {
            name = name.replace(['-', '_'], "");
        }
        if self.fold {
            // Simple folding has three letters that are ASCII's: long s, Kelvin, and capital sharp s stays.
            name = name.replace('\u{17f}', "s").replace('\u{212a}', "k").to_lowercase();
        }
        name
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    style: Style,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn read(body: &'a [u8], style: Style) -> Option<Json> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let mut reader = Self { rest: body, style, depth: 0 };
        let value = reader.value()?;
        reader.space();
        (style.trailing || reader.rest.is_empty()).then_some(value)
    }

    fn space(&mut self) {
        loop {
            self.rest = self.rest.trim_ascii_start();
            let end = match self.rest {
                [b'/', b'/', ..] | [b'#', ..] => self.rest.iter().position(|b| *b == b'\n'),
                [b'/', b'*', ..] => self.rest.windows(2).skip(2).position(|w| w == b"*/").map(|at| at + 4),
                _ => return,
            };
            if !self.style.loose {
                return;
            }
            self.rest = end.and_then(|end| self.rest.get(end..)).unwrap_or_default();
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self) -> Option<Json> {
        self.depth += 1;
        if self.depth > 100 {
            return None;
        }
        self.space();
        let value = match self.rest.first()? {
            b'{' => self.object()?,
            b'[' => self.list()?,
            b'"' => Json::Text(self.string(b'"')?),
            b'\'' if self.style.loose => Json::Text(self.string(b'\'')?),
            _ => {
                self.word()?;
                Json::Other
            }
        };
        self.depth -= 1;
        Some(value)
    }

    fn object(&mut self) -> Option<Json> {
        self.eat(b'{');
        let mut members = Vec::new();
        if self.eat(b'}') {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let name = match self.rest.first()? {
                b'"' => self.string(b'"')?,
                b'\'' if self.style.loose => self.string(b'\'')?,
                b'}' if self.style.loose => {
                    self.eat(b'}');
                    return Some(Json::Object(members));
                }
                _ if self.style.loose => self.word()?,
                _ => return None,
            };
            if !self.eat(b':') {
                return None;
            }
            members.push((name, self.value()?));
            if self.eat(b'}') {
                return Some(Json::Object(members));
            }
            if !self.eat(b',') {
                return None;
            }
        }
    }

    fn list(&mut self) -> Option<Json> {
        self.eat(b'[');
        let mut items = Vec::new();
        if self.eat(b']') {
            return Some(Json::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.eat(b']') {
                return Some(Json::List(items));
            }
            if !self.eat(b',') {
                return None;
            }
        }
    }

    /// A number, true, false, null, NaN, or a name without quotes.
    fn word(&mut self) -> Option<String> {
        let part = |b: &u8| b.is_ascii_alphanumeric() || b"+-._$".contains(b);
        let end = self.rest.iter().position(|b| !part(b)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| String::from_utf8_lossy(word).into_owned())
    }

    /// A string, control characters and all; what is not UTF-8 or no surrogate pair becomes U+FFFD.
    fn string(&mut self, quote: u8) -> Option<String> {
        self.rest = self.rest.get(1..)?;
        let mut out: Vec<u8> = Vec::new();
        let mut high = None;
        loop {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            if *byte == quote {
                break;
            }
            if *byte != b'\\' {
                high = None;
                out.push(*byte);
                continue;
            }
            let (escape, rest) = self.rest.split_first()?;
            self.rest = rest;
            let c = match escape {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let (digits, rest) = self.rest.split_at_checked(4)?;
                    self.rest = rest;
                    let digits = std::str::from_utf8(digits).ok()?;
                    let unit = u16::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
                    match (high.take(), unit) {
                        (Some(first), 0xdc00..=0xdfff) => {
                            out.truncate(out.len() - '\u{fffd}'.len_utf8());
                            char::decode_utf16([first, unit]).next()?.unwrap_or('\u{fffd}')
                        }
                        (_, unit) => {
                            high = (0xd800..=0xdbff).contains(&unit).then_some(unit);
                            char::from_u32(u32::from(unit)).unwrap_or('\u{fffd}')
                        }
                    }
                }
                // What is not an escape: the character itself, as lenient parsers have it.
                other if other.is_ascii() => char::from(*other),
                _ => return None,
            };
            if *escape != b'u' {
                high = None;
            }
            out.extend_from_slice(c.to_string().as_bytes());
        }
        let text = String::from_utf8_lossy(&out).into_owned();
        Some(if self.style.nul { text.split('\0').next().unwrap_or_default().to_owned() } else { text })
    }
}

#[cfg(test)]
mod tests;
