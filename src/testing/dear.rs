//! Documents that cost a reader more than their length: one shape for each thing that is multiplied in XML.
//!
//! A payload that was found once is one point of a class. These are the classes, each with three numbers that a search
//! can turn: how often, how long, how many beside one another.

/// A way to make XML dear.
pub type Shape = fn(often: usize, long: usize, beside: usize) -> String;

/// Every shape, by name.
pub const SHAPES: [(&str, Shape); 14] = [
    ("attributes that share a long namespace", attributes),
    ("prefixes that differ at their ends", prefixes),
    ("declarations in scope of declaring elements", declarations),
    ("namespaces, each another", namespaces),
    ("attributes with long names", names),
    ("elements beside one another", elements),
    ("elements inside one another", depth),
    ("comments", comments),
    ("CDATA sections", sections),
    ("references", references),
    ("line ends and tabs in attributes", line_ends),
    ("identifiers", identifiers),
    ("signatures", signatures),
    ("assertions", assertions),
];

fn repeat(often: usize, one: impl Fn(usize) -> String) -> String {
    (0..often).map(one).collect()
}

fn attributes(often: usize, long: usize, beside: usize) -> String {
    let uri = "y".repeat(long);
    let list = repeat(beside, |n| format!(" x:a{n:02}=\"\""));
    format!("<c xmlns:x=\"u:{uri}\">{}</c>", format!("<b{list}/>").repeat(often))
}

fn prefixes(often: usize, long: usize, beside: usize) -> String {
    let prefix = "p".repeat(long);
    let (most, rest) = (beside.min(23), beside.saturating_sub(23));
    let of = |from: usize, many: usize| repeat(many, |n| format!(" xmlns:{prefix}{:02}=\"u:\"", from + n));
    let inner = "<b xmlns:x=\"u:\"/>".repeat(often);
    format!("<c{}><d{}>{inner}</d></c>", of(0, most), of(most, rest))
}

fn declarations(often: usize, long: usize, beside: usize) -> String {
    let outer = repeat(24, |n| format!(" xmlns:{}{n:02}=\"u:\"", "o".repeat(long)));
    let inner = repeat(beside.min(24), |n| format!(" xmlns:i{n}=\"u:\""));
    format!("<c{outer}>{}</c>", format!("<b{inner}/>").repeat(often))
}

fn namespaces(often: usize, long: usize, _: usize) -> String {
    let uri = "y".repeat(long);
    format!("<c>{}</c>", repeat(often, |n| format!("<b xmlns=\"u:{uri}{:06}\"/>", 999_999 - n)))
}

fn names(often: usize, long: usize, beside: usize) -> String {
    let name = "n".repeat(long);
    let list = repeat(beside, |n| format!(" {name}{n:02}=\"\""));
    format!("<c>{}</c>", format!("<b{list}/>").repeat(often))
}

fn elements(often: usize, _: usize, _: usize) -> String {
    format!("<c>{}</c>", "<a/>".repeat(often))
}

fn depth(often: usize, long: usize, beside: usize) -> String {
    let name = "n".repeat(long.max(1));
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    format!("<c>{}</c>", (open.repeat(beside) + &close.repeat(beside)).repeat(often))
}

fn comments(often: usize, _: usize, _: usize) -> String {
    format!("<c>{}</c>", "<!---->".repeat(often))
}

fn sections(often: usize, long: usize, _: usize) -> String {
    format!("<c>{}</c>", format!("<![CDATA[{}]]>", "\r".repeat(long)).repeat(often))
}

fn references(often: usize, _: usize, beside: usize) -> String {
    format!("<c>{}</c>", ("&#120;".repeat(beside) + "<a/>").repeat(often))
}

fn line_ends(often: usize, long: usize, beside: usize) -> String {
    let list = repeat(beside, |n| format!(" a{n}=\"{}\"", "\r\n".repeat(long)));
    format!("<c>{}</c>", format!("<b{list}/>").repeat(often))
}

fn identifiers(often: usize, long: usize, _: usize) -> String {
    let start = "i".repeat(long);
    format!("<c>{}</c>", repeat(often, |n| format!("<b ID=\"{start}{n:06}\"/>")))
}

fn signatures(often: usize, _: usize, _: usize) -> String {
    format!("<c xmlns:d=\"http://www.w3.org/2000/09/xmldsig#\">{}</c>", "<d:Signature/>".repeat(often))
}

fn assertions(often: usize, _: usize, _: usize) -> String {
    format!("<c xmlns:s=\"urn:oasis:names:tc:SAML:2.0:assertion\">{}</c>", "<s:Assertion/>".repeat(often))
}

/// The largest document of a shape that fits into so many bytes.
pub fn largest(shape: Shape, max: usize, long: usize, beside: usize) -> Option<String> {
    let one = shape(1, long, beside).len();
    let two = shape(2, long, beside).len();
    if one > max || two <= one {
        return None;
    }
    let text = shape((max - one) / (two - one) + 1, long, beside);
    (text.len() <= max).then_some(text)
}
