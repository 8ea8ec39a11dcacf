//! Envoy's foreign functions `verify_signature` and `sign` (BoringSSL): their arguments are small protobuf
//! messages (source/extensions/common/wasm/ext: verify_signature.proto, sign.proto).

use proxy_wasm::hostcalls;

use crate::host::Hash;

/// RSASSA-PKCS1-v1_5 or ECDSA, by the key's type, by BoringSSL; `None` where this Envoy does not offer it.
pub fn verify(hash: Hash, spki: &[u8], signature: &[u8], message: &[u8]) -> Option<bool> {
    let mut arguments = Vec::with_capacity(spki.len() + signature.len() + message.len() + 32);
    for (number, bytes) in [(1, hash.name().as_bytes()), (2, spki), (3, signature), (4, message)] {
        field(&mut arguments, number, bytes);
    }
    let result = hostcalls::call_foreign_function("verify_signature", Some(&arguments)).ok()??;
    // VerifySignatureResult { bool result = 1; string error = 2; }
    Some(result.starts_with(&[1 << 3, 1]))
}

/// The same for signing.
pub fn sign(hash: Hash, pkcs8: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let mut arguments = Vec::with_capacity(pkcs8.len() + message.len() + 32);
    for (number, bytes) in [(1, hash.name().as_bytes()), (2, pkcs8), (3, message)] {
        field(&mut arguments, number, bytes);
    }
    let result = hostcalls::call_foreign_function("sign", Some(&arguments)).ok()??;
    // SignResult { bool result = 1; bytes signature = 2; string error = 3; }
    let rest = result.strip_prefix(&[1 << 3, 1, 2 << 3 | 2])?;
    let (length, rest) = varint(rest)?;
    rest.get(..length).map(<[u8]>::to_vec)
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (i, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(i + 1..)?));
        }
    }
    None
}
