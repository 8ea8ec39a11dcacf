"""XML signature wrapping: the signed original stays in the document where its digest finds it, another assertion
stands where the reader looks. XSW 1 to 9 and their siblings."""

from .saml_forge import behind, cut, into, signature, unsigned

END = "</saml:Assertion>"


def evil(text: str, user: str = "ada@acme.com") -> str:
    return text.replace(user, "eve@evil.com")


def fresh(text: str, *ids: str) -> str:
    for one in ids:
        text = text.replace(f'"{one}"', f'"{one}-evil"')
    return text


def assertions(document: str, ids: tuple, new_id: bool) -> dict[str, str]:
    """The document, with the signed assertion wrapped."""
    a = cut(document, "<saml:Assertion ", END)
    s, a0 = signature(a), unsigned(a)
    e = evil(fresh(a0, *ids) if new_id else a0)
    e_signed = behind(e, "</saml:Issuer>", s)

    def put(what):
        return document.replace(a, what, 1)

    def status(what):
        return document.replace(a, e, 1).replace(
            "</samlp:Status>", f"<samlp:StatusDetail>{what}</samlp:StatusDetail></samlp:Status>", 1)

    return {
        "XSW3: evil before the original": put(e + a),
        "XSW3: evil behind the original": put(a + e),
        "XSW4: original inside evil": put(into(e, END, a)),
        "XSW4: evil inside the original": put(into(a, END, e)),
        "XSW5: evil with the signature, original at the end": put(e_signed + a0),
        "XSW5: the original before": put(a0 + e_signed),
        "XSW6: original inside the signature of evil": put(into(e_signed, "</ds:Signature>", a0)),
        "XSW7: evil in Extensions": put(f"<samlp:Extensions>{e}</samlp:Extensions>{a}"),
        "XSW7: original in Extensions": put(f"<samlp:Extensions>{a}</samlp:Extensions>{e}"),
        "XSW8: original in Object": put(into(e_signed, "</ds:Signature>", f"<ds:Object>{a0}</ds:Object>")),
        "XSW9: original in StatusDetail": status(a),
        "original in Advice": put(into(e, "<saml:AuthnStatement", f"<saml:Advice>{a}</saml:Advice>")),
        "original in SubjectConfirmationData": put(e.replace(
            "/></saml:SubjectConfirmation>", f">{a}</saml:SubjectConfirmationData></saml:SubjectConfirmation>", 1)),
        "original in an AttributeValue": put(into(e, "</saml:AttributeValue>", a)),
        "signature beside evil, original in Extensions": put(f"{s}<samlp:Extensions>{a0}</samlp:Extensions>{e}"),
        "signature in StatusDetail": status(s),
        "evil with the signature": put(e_signed),
        "evil alone": put(e),
    }


def responses(document: str, ids: tuple, new_id: bool) -> dict[str, str]:
    """The document, with the signed response wrapped."""
    s, r0 = signature(document), unsigned(document)
    e = evil(fresh(r0, *ids) if new_id else r0)
    e_signed = behind(e, "</saml:Issuer>", s)

    def status(what):
        return e.replace("</samlp:Status>", f"<samlp:StatusDetail>{what}</samlp:StatusDetail></samlp:Status>", 1)

    return {
        "XSW1: original inside the signature": into(e_signed, "</ds:Signature>", r0),
        "XSW2: original before the signature": behind(e, "</saml:Issuer>", r0 + s),
        "XSW2: original at the end": into(e_signed, "</samlp:Response>", r0),
        "original in Object": into(e_signed, "</ds:Signature>", f"<ds:Object>{r0}</ds:Object>"),
        "original in Extensions": behind(e_signed, "</ds:Signature>", f"<samlp:Extensions>{r0}</samlp:Extensions>"),
        "signed original in Extensions": behind(e, "</saml:Issuer>", f"<samlp:Extensions>{document}</samlp:Extensions>"),
        "signed original in StatusDetail": status(document),
        "signature in StatusDetail": status(s),
        "original as the root's child only": f"<w>{document}{e}</w>",
        "two roots": document + e,
        "evil with the signature": e_signed,
        "evil alone": e,
    }
