"""Inputs that cost a reader more than their length: one shape for each thing that is multiplied.

A payload that was found once is one point of a class. `XML` has the classes of src/testing/dear.rs; each takes how
often, how long and how many beside one another, and a search turns these numbers.
"""


def attributes(often, long, beside):
    return f'<c xmlns:x="u:{"y" * long}">' + ("<b" + "".join(f' x:a{n:02}=""' for n in range(beside)) + "/>") * often + "</c>"


def prefixes(often, long, beside):
    def declared(start, many):
        return "".join(f' xmlns:{"p" * long}{start + n:02}="u:"' for n in range(many))
    most = min(beside, 23)
    return f"<c{declared(0, most)}><d{declared(most, beside - most)}>" + '<b xmlns:x="u:"/>' * often + "</d></c>"


def declarations(often, long, beside):
    outer = "".join(f' xmlns:{"o" * long}{n:02}="u:"' for n in range(24))
    inner = "".join(f' xmlns:i{n}="u:"' for n in range(min(beside, 24)))
    return f"<c{outer}>" + f"<b{inner}/>" * often + "</c>"


def namespaces(often, long, _):
    return "<c>" + "".join(f'<b xmlns="u:{"y" * long}{999_999 - n:06}"/>' for n in range(often)) + "</c>"


def names(often, long, beside):
    return "<c>" + ("<b" + "".join(f' {"n" * long}{n:02}=""' for n in range(beside)) + "/>") * often + "</c>"


def identifiers(often, long, _):
    return "<c>" + "".join(f'<b ID="{"i" * long}{n:06}"/>' for n in range(often)) + "</c>"


def plain(one):
    return lambda often, _long, _beside: "<c>" + one * often + "</c>"


def depth(often, _, beside):
    return "<c>" + ("<n>" * beside + "</n>" * beside) * often + "</c>"


def sensitive(prefix, uri, name):
    return lambda often, _long, _beside: f'<c xmlns:{prefix}="{uri}">' + f"<{prefix}:{name}/>" * often + "</c>"


XML = {
    "attributes": attributes, "prefixes": prefixes, "declarations": declarations, "namespaces": namespaces,
    "names": names, "identifiers": identifiers, "depth": depth, "elements": plain("<a/>"), "comments": plain("<!---->"),
    "sections": plain("<![CDATA[\r]]>"), "references": plain("&#120;<a/>"), "line ends": plain('<a b="\r\n\t"/>'),
    "text": plain("x\r\n"),
    "signatures": sensitive("d", "http://www.w3.org/2000/09/xmldsig#", "Signature"),
    "assertions": sensitive("s", "urn:oasis:names:tc:SAML:2.0:assertion", "Assertion"),
}


def largest(shape, room, long, beside):
    """The largest document of a shape that fits; empty where none does."""
    one, two = len(shape(1, long, beside)), len(shape(2, long, beside))
    return shape((room - one) // (two - one) + 1, long, beside) if two > one and one <= room else ""


def below(wanted, shape, room, long, beside):
    """Like `largest`, with only so many repetitions: what a budget of work lets through is not the largest."""
    one, two = len(shape(1, long, beside)), len(shape(2, long, beside))
    most = (room - one) // max(two - one, 1) + 1
    return shape(max(int(most * wanted), 1), long, beside) if one <= room else ""
