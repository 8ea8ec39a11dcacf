//! Encrypted assertions and NameIDs: XML Encryption for the SAML profile (SAML core sections 2.3.4 and 2.2.4).
//!
//! One error for everything that can go wrong once the key is used: which step failed is an oracle (padding of
//! RSA and CBC, Jager and Somorovsky 2011). RSAES-PKCS1-v1_5 is off. CBC, which cannot tell a changed ciphertext,
//! is opened only where the IdP's signature covers it.

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockDecryptMut, KeyIvInit};
use aes_gcm::aead::{Aead, KeyInit};
use roxmltree::Node;
use zeroize::Zeroizing;

use super::limits;
use super::names::{DSIG, SAML, XENC, XENC11};
use super::private_key::PrivateKey;
use super::refused::Refused;
use super::signature::base64;
use super::xml;
use crate::crypto::{Oaep, OaepHash};
use crate::host::Host;

/// The only words about a failure after the private key was used.
const CANNOT_OPEN: &str =
    "what is encrypted cannot be opened: it is damaged, or encrypted for another key than \
     saml.decryption (compare the certificate that the IdP holds for us)";

const FOR_OTHERS: &str =
    "the EncryptedKeys are for other service providers: each Recipient names another entity ID";

/// What opens it.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    /// For randomness.
    pub host: &'a dyn Host,
    /// Our key.
    pub key: &'a PrivateKey,
    /// Whether the IdP's verified signature covers the ciphertext.
    pub signed: bool,
    /// Our entity ID: which `EncryptedKey` is ours, where there are several.
    pub recipient: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Aes128Cbc,
    Aes256Cbc,
    Aes128Gcm,
    Aes256Gcm,
}

impl Cipher {
    fn from_uri(uri: &str) -> Result<Self, String> {
        Ok(match uri {
            "http://www.w3.org/2001/04/xmlenc#aes128-cbc" => Self::Aes128Cbc,
            "http://www.w3.org/2001/04/xmlenc#aes256-cbc" => Self::Aes256Cbc,
            "http://www.w3.org/2009/xmlenc11#aes128-gcm" => Self::Aes128Gcm,
            "http://www.w3.org/2009/xmlenc11#aes256-gcm" => Self::Aes256Gcm,
            other => {
                let other = xml::clip(other);
                return Err(format!("the assertion is encrypted with {other:?}: set the IdP to AES-256-GCM"));
            }
        })
    }

    fn open(self, key: &[u8], content: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Aes128Gcm => gcm(&aes_gcm::Aes128Gcm::new_from_slice(key).ok()?, content),
            Self::Aes256Gcm => gcm(&aes_gcm::Aes256Gcm::new_from_slice(key).ok()?, content),
            Self::Aes128Cbc | Self::Aes256Cbc => {
                let (iv, body) = content.split_at_checked(16)?;
                let mut plain = match self {
                    Self::Aes128Cbc => cbc::Decryptor::<aes::Aes128>::new_from_slices(key, iv)
                        .ok()?
                        .decrypt_padded_vec_mut::<NoPadding>(body)
                        .ok()?,
                    _ => cbc::Decryptor::<aes::Aes256>::new_from_slices(key, iv)
                        .ok()?
                        .decrypt_padded_vec_mut::<NoPadding>(body)
                        .ok()?,
                };
                // XML Encryption section 5.2: the last byte says how many go, the others are arbitrary.
                let padding = usize::from(*plain.last()?);
                let length = plain.len().checked_sub(padding).filter(|_| (1..=16).contains(&padding))?;
                plain.truncate(length);
                Some(plain)
            }
        }
    }
}

fn gcm<C: Aead>(cipher: &C, content: &[u8]) -> Option<Vec<u8>> {
    // XML Encryption 1.1 section 5.2.4: 96 bits of IV, the ciphertext, 128 bits of tag.
    let (iv, body) = content.split_at_checked(12)?;
    if body.len() < 16 {
        return None;
    }
    cipher.decrypt(aes_gcm::aead::Nonce::<C>::from_slice(iv), body).ok()
}

/// Opens an `EncryptedAssertion` or `EncryptedID`: a document of its own, whose root only carries the namespaces that were in scope
/// around it (an assertion encrypted in place inherits prefixes from outside) and whose one child is what was encrypted.
///
/// One private-key operation at the most: it is the dearest thing that a message of a stranger can ask for.
pub fn open(opener: Opener<'_>, encrypted: Node<'_, '_>) -> Result<Zeroizing<String>, Refused> {
    let data = xml::one(encrypted, XENC, "EncryptedData")?;
    let cipher = Cipher::from_uri(method(data)?)?;
    if matches!(cipher, Cipher::Aes128Cbc | Cipher::Aes256Cbc) && !opener.signed {
        return Err(
            "the assertion is encrypted with AES-CBC and the Response around it is not signed: let the IdP \
                    sign the Response too (SimpleSAMLphp: saml20.sign.response; ADFS: SamlResponseSignature MessageAndAssertion; \
                    Entra: Sign SAML response and assertion; OneLogin: Both), or encrypt with AES-GCM"
                .into(),
        );
    }
    let content = value(data)?;
    let (padding, wrapped) = our_key(&opener, encrypted, data)?;
    let key = opener.key.decrypt(opener.host, padding, &wrapped)?;
    let live = key.and_then(|key| cipher.open(&key, &content)).map(Zeroizing::new).ok_or(CANNOT_OPEN)?;
    let inside = std::str::from_utf8(&live).map_err(|_| CANNOT_OPEN)?;

    let mut around = String::from("<decrypted");
    // XML Encryption section 4.2: what was encrypted replaces EncryptedData, whose own declarations go with it.
    for namespace in encrypted.namespaces().filter(|ns| ns.name() != Some("xml")) {
        match namespace.name() {
            Some(prefix) => around.push_str(&format!(" xmlns:{prefix}=\"{}\"", xml::escape(namespace.uri()))),
            None => around.push_str(&format!(" xmlns=\"{}\"", xml::escape(namespace.uri()))),
        }
    }
    // Some IdPs encrypt a document, declaration and all.
    let inside = limits::without_declaration(inside.trim_start_matches('\u{feff}'))
        .map_err(|why| format!("the decrypted content: {why}"))?;
    Ok(Zeroizing::new(xml::with_line_ends(format!("{around}>{inside}</decrypted>"))))
}

fn method<'a>(node: Node<'a, '_>) -> Result<&'a str, String> {
    let method = node.children().find(|child| xml::is(*child, XENC, "EncryptionMethod"));
    method
        .and_then(|m| m.attribute("Algorithm"))
        .ok_or_else(|| format!("{} names no method", node.tag_name().name()))
}

fn value(node: Node<'_, '_>) -> Result<Vec<u8>, String> {
    let data = node.children().find(|child| xml::is(*child, XENC, "CipherData"));
    let value = data.and_then(|data| data.children().find(|child| xml::is(*child, XENC, "CipherValue")));
    base64(value.ok_or("encrypted data without a CipherValue")?)
}

/// So many `EncryptedKey`s are looked at: one for each recipient, of whom an assertion has one or two.
const MAX_KEYS: usize = 8;

/// The one `EncryptedKey` that the private key is used on: of those in a method that is taken, and as long as our key,
/// the first whose `Recipient` is us, else the first without (SAML core section 2.2.4: it should name the entity). A key
/// for another entity is skipped, unless it is the only one: some providers write another of our addresses.
fn our_key(
    opener: &Opener<'_>,
    encrypted: Node<'_, '_>,
    data: Node<'_, '_>,
) -> Result<(Oaep, Vec<u8>), String> {
    let mut usable = Vec::new();
    let mut unusable = None;
    let all = encrypted_keys(encrypted, data)?;
    let is_only = all.len() == 1;
    for key in all {
        let is_ours = key.attribute("Recipient").map(|recipient| recipient == opener.recipient);
        if is_ours == Some(false) && !is_only {
            unusable = unusable.or_else(|| Some(FOR_OTHERS.to_owned()));
            continue;
        }
        match oaep(key).and_then(|padding| Ok((padding, value(key)?))) {
            Ok((_, wrapped)) if wrapped.len() != opener.key.size() => {
                unusable = unusable.or_else(|| Some(CANNOT_OPEN.to_owned()));
            }
            Ok((padding, wrapped)) => usable.push((is_ours == Some(true), padding, wrapped)),
            Err(why) => unusable = Some(why),
        }
    }
    let ours = usable.iter().position(|(is_ours, ..)| *is_ours);
    match ours.unwrap_or_default() {
        at if at < usable.len() => {
            let (_, padding, wrapped) = usable.swap_remove(at);
            Ok((padding, wrapped))
        }
        _ => Err(unusable.unwrap_or_else(|| CANNOT_OPEN.to_owned())),
    }
}

/// The `EncryptedKey`s: inside the data's `KeyInfo`, or beside the data, where `RetrievalMethod`s may point (Okta; XML
/// Encryption section 3.5.2 allows several).
fn encrypted_keys<'a, 'i: 'a>(
    encrypted: Node<'a, 'i>,
    data: Node<'a, 'i>,
) -> Result<Vec<Node<'a, 'i>>, String> {
    let is_key = |child: &Node<'a, 'i>| xml::is(*child, XENC, "EncryptedKey");
    let mut found = Vec::new();
    let mut wanted = Vec::new();
    if let Some(info) = data.children().find(|child| xml::is(*child, DSIG, "KeyInfo")) {
        found.extend(info.children().filter(is_key).take(MAX_KEYS + 1));
        let retrieval =
            xml::children(info, DSIG, "RetrievalMethod").filter_map(|method| method.attribute("URI"));
        wanted.extend(retrieval.take(MAX_KEYS + 1));
    }
    let beside: Vec<_> = encrypted.children().filter(is_key).take(MAX_KEYS + 1).collect();
    if found.len().max(wanted.len()).max(beside.len()) > MAX_KEYS {
        return Err(format!("the encrypted assertion has more than {MAX_KEYS} EncryptedKeys"));
    }
    // A reference outside the message is never followed: it has to be one of these.
    let named = |key: &Node<'a, 'i>| {
        wanted.is_empty()
            || wanted
                .iter()
                .any(|uri| uri.strip_prefix('#').is_some_and(|id| key.attribute("Id") == Some(id)))
    };
    found.extend(beside.into_iter().filter(named));
    match found.len() {
        1..=MAX_KEYS => Ok(found),
        0 => Err("the encrypted assertion has no EncryptedKey".into()),
        _ => Err(format!("the encrypted assertion has more than {MAX_KEYS} EncryptedKeys")),
    }
}

/// The padding of an `EncryptedKey` (XML Encryption 1.1 section 5.5.2).
fn oaep(key: Node<'_, '_>) -> Result<Oaep, String> {
    let node = key.children().find(|child| xml::is(*child, XENC, "EncryptionMethod"));
    let node = node.ok_or("an EncryptedKey that names no method")?;
    let inside = |namespace: &str, name: &str| {
        node.children()
            .find(|child| xml::is(*child, namespace, name))
            .map(|child| child.attribute("Algorithm"))
    };
    let mgf1 = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
    let oaep = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
    let method = method(key)?;
    if method == "http://www.w3.org/2001/04/xmlenc#rsa-1_5" {
        return Err(
            "the assertion's key is encrypted with RSA-1_5, which is broken: set the IdP to RSA-OAEP".into(),
        );
    }
    if method != mgf1 && method != oaep {
        let method = xml::clip(method);
        return Err(format!("the assertion's key is encrypted with {method:?}: set the IdP to RSA-OAEP"));
    }
    if node.children().any(|child| xml::is(child, XENC, "OAEPparams")) {
        return Err("RSA-OAEP with parameters is not supported".into());
    }
    let hash = |algorithm: Option<Option<&str>>, sha1: &str, sha256: &str| match algorithm {
        None => Ok(OaepHash::Sha1),
        Some(Some(uri)) if uri == sha1 => Ok(OaepHash::Sha1),
        Some(Some(uri)) if uri == sha256 => Ok(OaepHash::Sha256),
        Some(_) => Err("RSA-OAEP with another digest than SHA-1 or SHA-256 is not supported".to_owned()),
    };
    let label = hash(
        inside(DSIG, "DigestMethod"),
        "http://www.w3.org/2000/09/xmldsig#sha1",
        "http://www.w3.org/2001/04/xmlenc#sha256",
    )?;
    let mask = hash(
        inside(XENC11, "MGF").filter(|_| method == oaep),
        "http://www.w3.org/2009/xmlenc11#mgf1sha1",
        "http://www.w3.org/2009/xmlenc11#mgf1sha256",
    )?;
    Ok(Oaep { label, mask })
}

/// Whether the element is an assertion in one of its two forms.
pub fn is_assertion(node: Node<'_, '_>) -> bool {
    xml::is(node, SAML, "Assertion") || xml::is(node, SAML, "EncryptedAssertion")
}
