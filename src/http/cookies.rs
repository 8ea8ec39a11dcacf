//! The `cookie` headers of one request, read in one pass: what of them is this filter's, and what is left
//! for the application. What goes out is `session::cookie`, the names are made in `config::check`.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

use memchr::memchr;

use super::Head;

/// Cookies one session may need.
pub const MAX_CHUNKS: usize = 4;

/// The cookies of a request.
#[derive(Debug, Default)]
pub struct Jar<'a> {
    chunks: [Option<&'a [u8]>; MAX_CHUNKS],
    /// How many of them the first one says there are.
    count: usize,
    /// Two different cookies of one chunk's name, by number.
    doubled: [bool; MAX_CHUNKS],
    /// Cookies of a chunk's name that are none, by number.
    rubbish: [bool; MAX_CHUNKS],
    /// Cookies of ours that are no chunk: logins and logouts in progress.
    others: Vec<(&'a [u8], &'a [u8])>,
    ours: bool,
    rest: Rest<'a>,
}

/// What belongs to the application.
#[derive(Debug, Default)]
enum Rest<'a> {
    #[default]
    Nothing,
    /// In one piece: in which header, from which byte on.
    Piece(usize, usize, &'a [u8]),
    /// Put together.
    Pieces(Vec<u8>),
}

/// What the cookies say about a session.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// There is no session cookie.
    Nothing,
    /// The whole envelope.
    Sealed(Cow<'a, [u8]>),
    /// Cookies that are no session: two different ones of one name, a chunk missing.
    Broken,
}

/// What becomes of the `cookie` header on the way to the application.
#[derive(Debug, Default)]
pub enum CookieEdit {
    /// Nothing of ours was in it.
    #[default]
    Keep,
    /// It held only ours.
    Remove,
    /// A part of it is left: of which `cookie` header. It is kilobytes often, so that it is not copied.
    Part(Rc<Head>, usize, Range<usize>),
    /// Several parts are left.
    Parts(Vec<u8>),
}

impl CookieEdit {
    /// What is left, where something is left and something was taken out.
    #[inline]
    pub fn left(&self) -> Option<&[u8]> {
        match self {
            CookieEdit::Keep | CookieEdit::Remove => None,
            CookieEdit::Part(head, nth, range) => head.cookies().nth(*nth)?.get(range.clone()),
            CookieEdit::Parts(all) => Some(all),
        }
    }
}

/// One `name=value`; RFC 6265 section 4.2.1.
#[inline]
fn split(pair: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr(b'=', pair).and_then(|at| pair.split_at_checked(at)) {
        Some((name, value)) => (name.trim_ascii_end(), value.get(1..).map(<[u8]>::trim_ascii)),
        None => (pair.trim_ascii_end(), None),
    }
}

/// How many cookies the envelope that begins like this is split over. Every request asks, so nothing else
/// is looked at: what is wrong with the rest shows when it is opened.
#[inline]
pub fn chunks(beginning: &[u8]) -> Option<usize> {
    let rest = beginning.strip_prefix(b"1.")?;
    let key = memchr(b'.', rest)?;
    match rest.get(key + 1..)? {
        [digit @ b'1'..=b'9', b'.', ..] => Some(usize::from(digit - b'0')).filter(|n| *n <= MAX_CHUNKS),
        _ => None,
    }
}

impl Head {
    /// The cookies; several `cookie` headers are one (RFC 9113 section 8.2.3).
    /// `base` is the session cookie's name.
    #[inline]
    pub fn jar(&self, base: &str) -> Jar<'_> {
        Jar::read(base.as_bytes(), self.cookies())
    }
}

impl<'a> Jar<'a> {
    /// Reads them. `base` is the session cookie's name.
    #[inline]
    pub fn read(base: &[u8], headers: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut jar = Self::default();
        for (nth, header) in headers.enumerate() {
            let mut left = header;
            // What belongs to the application is kept in runs, up to the next cookie of ours.
            let mut run = 0;
            while !left.is_empty() {
                let end = memchr(b';', left).unwrap_or(left.len());
                let (pair, after) = left.split_at_checked(end).unwrap_or((left, &[]));
                let own = pair.trim_ascii_start();
                if own.starts_with(base) && jar.take(base, own) {
                    jar.keep(nth, header, run..header.len() - left.len());
                    run = header.len() - after.get(1..).unwrap_or_default().len();
                }
                left = after.get(1..).unwrap_or_default();
            }
            jar.keep(nth, header, run..header.len());
        }
        jar
    }

    /// Takes a cookie where it is ours.
    #[inline]
    fn take(&mut self, base: &[u8], pair: &'a [u8]) -> bool {
        let (name, value) = split(pair);
        let rest = name.get(base.len()..).unwrap_or_default();
        let index = match rest {
            b"" => Some(0),
            [b'-', digit @ b'1'..=b'9'] => Some(usize::from(digit - b'0')),
            _ if rest.starts_with(b"-flow-") || rest.starts_with(b"-logout") || rest == b"_device" => None,
            _ => return false,
        };
        self.ours = true;
        let Some(value) = value else { return true };
        match index {
            None => self.others.push((name, value)),
            Some(index) => self.take_chunk(index, value),
        }
        true
    }

    /// Takes a chunk. What cannot be one is as good as absent: otherwise an attacker who can set a cookie of that
    /// name, on another host of the domain, could take the session away.
    #[inline]
    fn take_chunk(&mut self, index: usize, value: &'a [u8]) {
        let count = if index == 0 { chunks(value) } else { Some(self.count).filter(|_| !value.is_empty()) };
        match (count, self.chunks.get_mut(index), self.doubled.get_mut(index), self.rubbish.get_mut(index)) {
            (Some(count), Some(chunk), Some(doubled), _) => {
                *doubled |= chunk.is_some_and(|other| other != value);
                *chunk = Some(value);
                self.count = count;
            }
            (None, _, _, Some(rubbish)) => *rubbish = true,
            _ => {}
        }
    }

    #[inline]
    fn keep(&mut self, nth: usize, header: &'a [u8], run: Range<usize>) {
        let from = run.start;
        let run = header.get(run).unwrap_or_default().trim_ascii_end();
        let run = run.strip_suffix(b";").unwrap_or(run).trim_ascii_end();
        let trimmed = run.trim_ascii_start();
        if trimmed.is_empty() {
            return;
        }
        self.rest = match std::mem::take(&mut self.rest) {
            Rest::Nothing => Rest::Piece(nth, from + run.len() - trimmed.len(), trimmed),
            Rest::Piece(_, _, first) => Rest::Pieces([first, b"; ", trimmed].concat()),
            Rest::Pieces(mut all) => {
                all.extend_from_slice(b"; ");
                all.extend_from_slice(trimmed);
                Rest::Pieces(all)
            }
        };
    }

    /// Puts the session's envelope together. Two cookies of one name with different values: neither
    /// counts, since another host of the domain may have set one of them ("cookie tossing").
    #[inline]
    pub fn session(&self) -> Found<'a> {
        let [first, rest @ ..] = &self.chunks;
        let Some(first) = *first else {
            return if self.sent().next().is_some() { Found::Broken } else { Found::Nothing };
        };
        // Only the first chunk says how many there are; those beyond are left over from a larger session.
        if self.doubled.iter().take(self.count).any(|doubled| *doubled) {
            return Found::Broken;
        }
        if self.count == 1 {
            return Found::Sealed(Cow::Borrowed(first));
        }
        let mut whole = first.to_vec();
        for chunk in rest.iter().take(self.count.saturating_sub(1)) {
            let Some(chunk) = chunk else { return Found::Broken };
            whole.extend_from_slice(chunk);
        }
        Found::Sealed(Cow::Owned(whole))
    }

    /// The values of a cookie of ours that is not a session's.
    pub fn named<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = &'a [u8]> + 's {
        self.others.iter().filter(move |(own, _)| *own == name).map(|(_, value)| *value)
    }

    /// Cookies of ours that are no session's, by the beginning of their name.
    pub fn beginning<'s>(&'s self, prefix: &'s [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 's {
        self.others.iter().filter(move |(own, _)| own.starts_with(prefix)).copied()
    }

    /// Which of a session's cookies were sent, by number.
    pub fn sent(&self) -> impl Iterator<Item = usize> + '_ {
        let sent =
            |(n, (chunk, rubbish)): (usize, (&Option<_>, &bool))| (chunk.is_some() || *rubbish).then_some(n);
        self.chunks.iter().zip(&self.rubbish).enumerate().filter_map(sent)
    }

    /// The header for the application: this filter's cookies are nothing to it. `head` is where they are from.
    #[inline]
    pub fn edit(self, head: &Rc<Head>) -> CookieEdit {
        match self.rest {
            _ if !self.ours => CookieEdit::Keep,
            Rest::Nothing => CookieEdit::Remove,
            Rest::Piece(nth, at, piece) => CookieEdit::Part(head.clone(), nth, at..at + piece.len()),
            Rest::Pieces(all) => CookieEdit::Parts(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `None`: it is kept as it is; empty: it is removed.
    fn edit(headers: &[&[u8]]) -> Option<Vec<u8>> {
        let cookies = headers.iter().map(|value| ("cookie".to_owned(), value.to_vec()));
        let others = [("accept".to_owned(), b"*/*".to_vec()), ("x".to_owned(), b"1".to_vec())];
        let head = Rc::new(Head::new(others.into_iter().chain(cookies).collect(), true));
        let edit = head.jar("sso").edit(&head);
        match &edit {
            CookieEdit::Keep => None,
            CookieEdit::Remove => Some(Vec::new()),
            edit => Some(edit.left().unwrap().to_vec()),
        }
    }

    #[test]
    fn only_our_own_cookies_are_taken_out() {
        let left = |text: &[u8]| Some(text.to_vec());
        for (headers, wanted) in [
            (&[&b"a=1; sso=x; b=2"[..]][..], left(b"a=1; b=2")),
            (&[b"sso=x; sso-1=y; sso-flow-abc=z; sso-logout=1; sso_device=1"], Some(vec![])),
            (&[b"sso_devices=1; sso_theme=2"], None),
            (&[b"ssot=1; sso-theme=2; a=sso; SSO=2"], None),
            (&[b"sso"], Some(vec![])),
            (&[b" sso =1;\xff=\xfe"], left(b"\xff=\xfe")),
            (&[b"a=1", b"sso=x", b"b=2;;c=\"3\""], left(b"a=1; b=2;;c=\"3\"")),
            (&[b"sso=x", b"a=1; b=2"], left(b"a=1; b=2")),
            (&[b"a=1", b"b=2; sso=x"], left(b"a=1; b=2")),
            (&[b"sso=x; ;  a=1 ; "], left(b";  a=1")),
            (&[b"a=1; b=2; sso=x"], left(b"a=1; b=2")),
            (&[b"sso=x;a=1; b=2"], left(b"a=1; b=2")),
            (&[b""], None),
            (&[], None),
        ] {
            assert_eq!(edit(headers), wanted, "{headers:?}");
        }
    }

    #[test]
    fn a_session_is_found_among_thousands_of_other_cookies() {
        let many: Vec<String> = (0..5000).map(|i| format!("c{i}={i}")).collect();
        let header = format!("{}; sso=1.k.1.a.x; {}", many.join("; "), many.join("; "));
        let jar = Jar::read(b"sso", [header.as_bytes()].into_iter());
        assert_eq!(jar.session(), Found::Sealed(Cow::Borrowed(b"1.k.1.a.x")));
        assert_eq!(jar.sent().collect::<Vec<_>>(), [0]);
        let wanted = format!("{}; {}", many.join("; "), many.join("; ")).into_bytes();
        assert_eq!(edit(&[header.as_bytes()]), Some(wanted));
    }

    #[test]
    fn what_is_no_chunk_takes_no_session_away() {
        let sealed = |text: &'static [u8]| Found::Sealed(Cow::Borrowed(text));
        for (cookies, wanted, sent) in [
            ("sso=1.k.1.a.x", sealed(b"1.k.1.a.x"), &[0][..]),
            ("sso=1.k.1.a.x; sso=1.k.1.a.x", sealed(b"1.k.1.a.x"), &[0]),
            ("sso=1.k.1.a.x; sso=rubbish", sealed(b"1.k.1.a.x"), &[0]),
            ("sso=rubbish; sso=1.k.1.a.x; sso=", sealed(b"1.k.1.a.x"), &[0]),
            ("sso=; sso=1.k.1.a.x", sealed(b"1.k.1.a.x"), &[0]),
            ("sso; sso=1.k.1.a.x", sealed(b"1.k.1.a.x"), &[0]),
            ("sso=1.k.1.a.x; sso-1=y; sso-1=z", sealed(b"1.k.1.a.x"), &[0, 1]),
            ("sso=1.k.2.a.x; sso-1=y", sealed(b"1.k.2.a.xy"), &[0, 1]),
            ("sso-1=; sso=1.k.2.a.x; sso-1=y; sso-3=1; sso-3=2", sealed(b"1.k.2.a.xy"), &[0, 1, 3]),
            // Which of two is meant cannot be known.
            ("sso=1.k.1.a.x; sso=1.k.1.a.y", Found::Broken, &[0]),
            ("sso=1.k.1.a.x; sso=1.k.2.a.x; sso-1=y", Found::Broken, &[0, 1]),
            ("sso=1.k.2.a.x; sso-1=y; sso-1=z", Found::Broken, &[0, 1]),
            ("sso-1=y; sso=1.k.2.a.x; sso-1=z", Found::Broken, &[0, 1]),
            ("sso=1.k.2.a.x", Found::Broken, &[0]),
            ("sso=1.k.2.a.x; sso-1=", Found::Broken, &[0, 1]),
            // Nothing but what has to be deleted.
            ("sso=rubbish", Found::Broken, &[0]),
            ("sso=", Found::Broken, &[0]),
            ("sso-2=", Found::Broken, &[2]),
            ("sso-1=y", Found::Broken, &[1]),
            ("a=1", Found::Nothing, &[]),
        ] {
            let jar = Jar::read(b"sso", [cookies.as_bytes()].into_iter());
            assert_eq!(jar.session(), wanted, "{cookies}");
            assert_eq!(jar.sent().collect::<Vec<_>>(), sent, "{cookies}");
        }
    }

    #[test]
    fn cookies_of_flows_are_found_by_name() {
        let jar = Jar::read(b"sso", [&b"sso-flow-a=1; sso-flow-b=2; sso-flow-a=3"[..]].into_iter());
        assert_eq!(jar.named(b"sso-flow-a").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(jar.beginning(b"sso-flow-").count(), 3);
        assert_eq!(jar.session(), Found::Nothing);
    }

    #[test]
    fn only_what_begins_like_an_envelope_says_how_many_cookies_there_are() {
        for (text, wanted) in [
            (&b"1.k.1.a.x"[..], Some(1)),
            (b"1.k.4.a", Some(4)),
            (b"1.key.2.", Some(2)),
            (b"1.k.5.a.x", None),
            (b"1.k.0.a.x", None),
            (b"1.k.11.a.x", None),
            (b"1.k.1", None),
            (b"1.k", None),
            (b"2.k.1.a.x", None),
            (b"\xff\xff", None),
            (b"", None),
        ] {
            assert_eq!(chunks(text), wanted, "{text:?}");
        }
    }
}
