//! Which surface a path belongs to: whatever an application makes of it, no door opens that is closed.

use envoy_sso::access::{demand, Demand};
use envoy_sso::config::{AccessRule, Admission, Match};
use envoy_sso::http::Path;

use super::applications::{percent, percent_bytes};

const CLOSED: &str = "/admin/";
const OPEN: &str = "/static/";
const PROGRAMS: &str = "/api/sql/";
const HEALTH: &str = "/healthz";

fn rules() -> Vec<AccessRule> {
    let roles = vec!["account_admin".to_owned()];
    vec![
        AccessRule { matches: Match::Path(HEALTH.into()), methods: Vec::new(), admission: Admission::Anyone },
        AccessRule { matches: Match::Prefix(OPEN.into()), methods: Vec::new(), admission: Admission::Anyone },
        AccessRule {
            matches: Match::Prefix(PROGRAMS.into()),
            methods: Vec::new(),
            admission: Admission::Programs,
        },
        AccessRule {
            matches: Match::Prefix(CLOSED.into()),
            methods: Vec::new(),
            admission: Admission::Users {
                roles,
                acr_values: Vec::new(),
                max_age: None,
                resource: None,
                when: None,
            },
        },
    ]
}

pub fn run(data: &[u8]) {
    let path = Path::read(data);
    let canonical = path.canonical();
    assert_eq!(path.plain(), (!path.is_ambiguous()).then_some(canonical));
    if !path.is_ambiguous() {
        assert!(
            canonical.starts_with('/') && canonical.bytes().all(|b| b.is_ascii_graphic()),
            "{canonical:?}"
        );
        assert!(!canonical.contains("//") && !canonical.contains(['\\', '#', '?']), "{canonical:?}");
        assert!(canonical.split('/').all(|s| !matches!(s, "." | "..")), "{canonical:?}");
        let again = Path::read(canonical.as_bytes());
        assert_eq!(
            (again.canonical(), again.is_ambiguous()),
            (canonical, false),
            "what is forwarded is read again"
        );
    }
    // Also where all the rest is open.
    let everywhere =
        AccessRule { matches: Match::Prefix("/".into()), methods: Vec::new(), admission: Admission::Anyone };
    let open: Vec<AccessRule> = rules().into_iter().chain([everywhere]).collect();
    for (rules, rest_is_open) in [(rules(), false), (open, true)] {
        let ruled = demand(&rules, &path, data, b"GET");
        match &ruled {
            Demand::Anyone => {
                assert!(!path.is_ambiguous());
                let by_rule = canonical == HEALTH || canonical.starts_with(OPEN);
                assert!(by_rule || rest_is_open, "{canonical:?} is open");
            }
            Demand::Programs => {
                assert!(!path.is_ambiguous() && canonical.starts_with(PROGRAMS), "{canonical:?}");
            }
            Demand::Users(_) => {}
            Demand::Optional | Demand::OtherMethod(_) => panic!("no rule says so"),
        }
        let guarded = matches!(&ruled, Demand::Users(list) if !list.is_empty());
        // Ambiguous paths are forwarded as they came, the others in their canonical form.
        let forwarded = if path.is_ambiguous() { data } else { canonical.as_bytes() };
        for router in ROUTERS {
            let routed = router.read(forwarded);
            if routed.starts_with(CLOSED) || routed == CLOSED.trim_end_matches('/') {
                assert!(guarded, "{:?} is {routed:?} to {router:?}", String::from_utf8_lossy(data));
            }
        }
    }
}

/// How an application finds the handler of a path.
#[derive(Debug)]
struct Router {
    decode: usize,
    parameters: bool,
    backslashes: bool,
    lower: bool,
    nul: bool,
    dots: bool,
    overlong: bool,
}

const LITERAL: Router = Router {
    decode: 0,
    parameters: false,
    backslashes: false,
    lower: false,
    nul: false,
    dots: false,
    overlong: false,
};
const ROUTERS: [Router; 12] = [
    LITERAL,
    // Most frameworks: WSGI, net/http, Express, Rails.
    Router { decode: 1, ..LITERAL },
    // A framework behind a server that has decoded already.
    Router { decode: 2, ..LITERAL },
    // Servlets: parameters dropped before decoding.
    Router { decode: 1, parameters: true, ..LITERAL },
    // ASP.NET on IIS.
    Router { decode: 1, backslashes: true, lower: true, dots: true, ..LITERAL },
    Router { decode: 1, lower: true, ..LITERAL },
    // What ends up in C.
    Router { decode: 1, nul: true, ..LITERAL },
    Router { decode: 2, parameters: true, backslashes: true, lower: true, ..LITERAL },
    Router { decode: 3, backslashes: true, nul: true, ..LITERAL },
    // What reads every form of a character in UTF-8, also those that are too long: old servlets, old IIS.
    Router { decode: 1, overlong: true, ..LITERAL },
    Router { decode: 1, parameters: true, overlong: true, nul: true, ..LITERAL },
    Router { decode: 2, backslashes: true, lower: true, overlong: true, ..LITERAL },
];

impl Router {
    fn read(&self, path: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(path).into_owned();
        let parameters = |text: &str| {
            text.split('/').map(|s| s.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
        };
        if self.parameters {
            text = parameters(&text);
        }
        for _ in 0..self.decode {
            text = match self.overlong {
                true => overlong(&percent_bytes(text.as_bytes())),
                false => percent(text.as_bytes()),
            };
        }
        if self.nul {
            text = text.split('\0').next().unwrap_or_default().to_owned();
        }
        if self.backslashes {
            text = text.replace('\\', "/");
        }
        if self.lower {
            text = text.to_ascii_lowercase();
        }
        // Envoy refuses a path without its slash; whoever reads one all the same reads it from the root.
        if !text.starts_with('/') {
            text.insert(0, '/');
        }
        let mut out: Vec<&str> = Vec::new();
        let segments: Vec<&str> = text.split('/').skip(1).collect();
        let last = segments.len().saturating_sub(1);
        for (n, segment) in segments.iter().enumerate() {
            let segment = if self.dots && !segment.trim_matches('.').is_empty() {
                segment.trim_end_matches(['.', ' '])
            } else {
                segment
            };
            match segment {
                ".." => drop(out.pop()),
                "." => {}
                "" if n != last => {}
                segment => out.push(segment),
            }
        }
        format!("/{}", out.join("/"))
    }
}

/// UTF-8 without the rule that a character has one form; what is none goes through as it is.
fn overlong(bytes: &[u8]) -> String {
    let (mut out, mut at) = (String::new(), 0);
    while let Some(first) = bytes.get(at) {
        let length = match first {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            _ => 1,
        };
        let rest = bytes.get(at + 1..at + length).unwrap_or_default();
        let whole = rest.len() + 1 == length && rest.iter().all(|byte| byte & 0xc0 == 0x80);
        let value = rest.iter().fold(u32::from(*first) & (0xff >> (length + 1)), |value, byte| {
            value << 6 | u32::from(byte & 0x3f)
        });
        match char::from_u32(value).filter(|_| length > 1 && whole) {
            Some(character) => out.push(character),
            None => out.push(char::from(*first)),
        }
        at += if whole { length } else { 1 };
    }
    out
}
