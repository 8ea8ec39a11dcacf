//! The one envelope for everything that leaves the filter and comes back: cookies and hidden fields.
//!
//! `1.<key id>.<chunks>.<account>.<base64url(nonce ‖ ciphertext ‖ tag)>`, XChaCha20-Poly1305 with a
//! random 192-bit nonce. Version, purpose, key id, chunk count and account are associated data, and
//! every purpose has a key of its own (HKDF, RFC 5869): a flow cookie is not a session, one account's
//! cookie none of another's, and a chunk less or more does not open. There is no padding to probe.

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::Engine;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use xchacha::{Cipher, NONCE, TAG};

use crate::fault::{Code, Fault};
use crate::host::{random, Host};
use crate::http::MAX_CHUNKS;
use crate::values::secret::Secret;

/// The longest value of one cookie; with its name and attributes it stays under the 4096 bytes that
/// browsers keep (RFC 6265 section 6.1).
pub const CHUNK: usize = 3800;

/// What an envelope is for. Each has its own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A session.
    Session,
    /// A login in progress.
    LoginState,
    /// A logout in progress.
    Logout,
    /// A form of the filter's own pages, against cross-site requests.
    Form,
    /// An invitation that waits for the person's answer.
    Invitation,
    /// A value in the engine that several Envoys share.
    Shared,
    /// The users who signed in with a browser before.
    Device,
    /// A login on its way to the login origin.
    TicketOut,
    /// A session on its way back from there.
    TicketBack,
    /// A sign-out on its way to the login origin.
    TicketLogout,
}

impl Purpose {
    const ALL: [Purpose; 10] = [
        Purpose::Session,
        Purpose::LoginState,
        Purpose::Logout,
        Purpose::Form,
        Purpose::Invitation,
        Purpose::Shared,
        Purpose::Device,
        Purpose::TicketOut,
        Purpose::TicketBack,
        Purpose::TicketLogout,
    ];

    fn label(self) -> &'static str {
        match self {
            Purpose::Session => "session",
            Purpose::LoginState => "flow",
            Purpose::Logout => "logout",
            Purpose::Form => "form",
            Purpose::Invitation => "invitation",
            Purpose::Shared => "shared",
            Purpose::Device => "device",
            Purpose::TicketOut => "ticket out",
            Purpose::TicketBack => "ticket back",
            Purpose::TicketLogout => "ticket logout",
        }
    }
}

struct Key {
    id: String,
    ciphers: [(Purpose, Cipher); 10],
    /// Makes names out of what could be guessed.
    naming: [u8; 32],
}

/// The keys: the first seals, every one opens.
pub struct KeyRing {
    keys: Vec<Key>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

impl KeyRing {
    /// 32 bytes out of base64, in either alphabet.
    pub fn decode(secret: &Secret) -> Option<[u8; 32]> {
        let text = secret.expose().trim();
        let bytes =
            STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text.trim_end_matches('='))).ok()?;
        bytes.try_into().ok()
    }

    /// Derives a key for every purpose from each of these.
    pub fn new(keys: Vec<(String, [u8; 32])>) -> Self {
        let derive = |master: &[u8; 32], purpose: Purpose| {
            let mut derived = [0u8; 32];
            // Expanding to 32 bytes cannot fail: RFC 5869 allows 255 times 32.
            let _ = Hkdf::<Sha256>::new(Some(b"envoy-sso v1"), master)
                .expand(purpose.label().as_bytes(), &mut derived);
            (purpose, Cipher::new(&derived))
        };
        let keys = keys.into_iter().map(|(id, master)| Key {
            naming: naming(&master),
            id,
            ciphers: Purpose::ALL.map(|p| derive(&master, p)),
        });
        Self { keys: keys.collect() }
    }

    /// Seals with the first key.
    pub fn seal(
        &self,
        host: &dyn Host,
        purpose: Purpose,
        account: &str,
        plain: &[u8],
    ) -> Result<String, Fault> {
        let none = || Fault::new(Code::NotReady, "no session key");
        let key = self.keys.first().ok_or_else(none)?;
        let nonce = random::<NONCE>(host)?;
        let payload = ((NONCE + plain.len() + TAG) * 4).div_ceil(3);
        let fixed = "1...".len() + key.id.len() + 1 + account.len() + 1;
        let chunks = (fixed + payload).div_ceil(CHUNK);
        if chunks > MAX_CHUNKS {
            let detail = format!("{} bytes do not fit into {MAX_CHUNKS} cookies", plain.len());
            return Err(Fault::new(Code::NotReady, detail));
        }
        let header = format!("1.{}.{chunks}.{account}", key.id);
        let aad = associated(purpose, &header);
        let sealed =
            cipher(key, purpose).and_then(|cipher| cipher.seal(&nonce, &aad, plain)).ok_or_else(none)?;
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Ok([&header, ".", &URL_SAFE_NO_PAD.encode(bytes)].concat())
    }

    /// The account and the content of an envelope that was sealed for this purpose; `None` for all else.
    pub fn open(&self, purpose: Purpose, text: &str) -> Option<(String, Vec<u8>)> {
        let (header, payload) = text.rsplit_once('.')?;
        let envelope = Envelope::parse(header)?;
        if envelope.chunks != text.len().div_ceil(CHUNK) {
            return None;
        }
        let key = self.keys.iter().find(|key| key.id == envelope.key)?;
        let bytes = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let plain = cipher(key, purpose)?.open(nonce, &associated(purpose, header), sealed)?;
        Some((envelope.account.to_owned(), plain))
    }

    /// Seals bytes that stand elsewhere than in a cookie, under a name: they open under no other. `1`, the length of
    /// the key's id, the id, the nonce, the ciphertext.
    pub fn seal_bytes(
        &self,
        host: &dyn Host,
        purpose: Purpose,
        name: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let none = || Fault::new(Code::NotReady, "no session key");
        let key = self.keys.first().ok_or_else(none)?;
        let nonce = random::<NONCE>(host)?;
        let id = u8::try_from(key.id.len()).map_err(|_| none())?;
        let mut bytes = vec![1, id];
        bytes.extend(key.id.as_bytes());
        let aad = named(purpose, &bytes, name);
        let sealed =
            cipher(key, purpose).and_then(|cipher| cipher.seal(&nonce, &aad, plain)).ok_or_else(none)?;
        bytes.extend(nonce);
        bytes.extend(sealed);
        Ok(bytes)
    }

    /// True if a newer filter may have sealed these bytes: in a later format, or with a key that is not known here yet.
    pub fn could_be_newer(&self, bytes: &[u8]) -> bool {
        match bytes {
            [1, length, rest @ ..] => rest.get(..usize::from(*length)).is_some_and(|id| {
                let is_name = !id.is_empty() && id.iter().all(u8::is_ascii_graphic);
                is_name && self.keys.iter().all(|key| key.id.as_bytes() != id)
            }),
            [2..=9, ..] => true,
            _ => false,
        }
    }

    /// True if these bytes name the key that seals now.
    pub fn sealed_with_first(&self, bytes: &[u8]) -> bool {
        let id = self.keys.first().map(|key| key.id.as_bytes()).unwrap_or_default();
        let [1, length, rest @ ..] = bytes else { return false };
        usize::from(*length) == id.len() && rest.starts_with(id)
    }

    /// What [`Self::seal_bytes`] sealed for this purpose under this name; `None` for all else.
    pub fn open_bytes(&self, purpose: Purpose, name: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
        let (&[1, length], rest) = bytes.split_first_chunk::<2>()? else { return None };
        let (id, rest) = rest.split_at_checked(usize::from(length))?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let key = self.keys.iter().find(|key| key.id.as_bytes() == id)?;
        let head = bytes.get(..2 + id.len())?;
        cipher(key, purpose)?.open(nonce, &named(purpose, head, name), sealed)
    }

    /// A name for what could be guessed, alike on every Envoy with these keys: a MAC of the parts. Of several keys the
    /// one whose id is first in order makes it, so that their order may differ while they are rotated.
    pub fn name(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut name = [0; 16];
        let Some(key) = self.keys.iter().min_by(|a, b| a.id.cmp(&b.id)) else { return name };
        let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(&key.naming) else { return name };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        name.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        name
    }

    /// True where the envelope was sealed by another key than the first: seal it anew.
    pub fn is_old(&self, text: &str) -> bool {
        let id = text.split('.').nth(1);
        self.keys.first().map(|key| key.id.as_str()) != id
    }
}

/// Associated data of bytes that stand under a name.
fn named(purpose: Purpose, head: &[u8], name: &[u8]) -> Vec<u8> {
    let mut aad = format!("{}\n", purpose.label()).into_bytes();
    aad.extend(head);
    aad.extend(name);
    aad
}

/// The key that makes names, which opens nothing.
fn naming(master: &[u8; 32]) -> [u8; 32] {
    let mut derived = [0u8; 32];
    // Expanding to 32 bytes cannot fail: RFC 5869 allows 255 times 32.
    let _ = Hkdf::<Sha256>::new(Some(b"envoy-sso v1"), master).expand(b"names", &mut derived);
    derived
}

/// What stands in clear before the payload.
pub struct Envelope<'a> {
    key: &'a str,
    /// How many cookies it is split over.
    pub chunks: usize,
    account: &'a str,
}

impl<'a> Envelope<'a> {
    /// Reads `1.<key id>.<chunks>.<account>`, with or without what follows.
    pub fn parse(header: &'a str) -> Option<Self> {
        let mut parts = header.splitn(4, '.');
        let (version, key, chunks, account) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let chunks = match chunks.as_bytes() {
            [digit @ b'1'..=b'9'] => usize::from(digit - b'0'),
            _ => return None,
        };
        (version == "1" && chunks <= MAX_CHUNKS).then_some(Self { key, chunks, account })
    }
}

fn associated(purpose: Purpose, header: &str) -> Vec<u8> {
    ["envoy-sso\0", purpose.label(), "\0", header].concat().into_bytes()
}

fn cipher(key: &Key, purpose: Purpose) -> Option<&Cipher> {
    key.ciphers.iter().find(|(p, _)| *p == purpose).map(|(_, cipher)| cipher)
}
