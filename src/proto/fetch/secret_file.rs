//! Secrets that are read by URL: a loopback listener of the same Envoy serves a file that the platform writes.

use super::answer;
use crate::fault::{Code, Fault};
use crate::host::task::{Io, Request};
use crate::values::secret::Secret;
use crate::values::secret_source::SecretFile;

/// A larger file is not read.
const MAX_FILE: usize = 16 << 10;
/// Milliseconds: the listener is on this machine.
const TIMEOUT: u64 = 2_000;

/// Reads the file. A failure keeps the last secret.
pub async fn read(io: &Io, file: &SecretFile) -> Result<(), Fault> {
    let mut request = Request::get("secret", file.url.clone(), TIMEOUT);
    request.max_answer = MAX_FILE;
    let read = secret(answer::body("secret", io.call(request).await).map_err(Fault::from));
    file.keep(read.as_ref().ok().cloned(), io.now());
    read.map(|_| ())
}

/// The trimmed content. Files end in a line break more often than not.
fn secret(body: Result<Vec<u8>, Fault>) -> Result<Secret, Fault> {
    let refused = |why: &str| Fault::new(Code::NotReady, format!("secret by URL: {why}"));
    let body = body.map_err(|fault| refused(&fault.detail))?;
    let text = String::from_utf8(body).map_err(|_| refused("the file is not UTF-8"))?;
    match text.trim() {
        "" => Err(refused("the file is empty")),
        text if text.chars().any(char::is_control) => Err(refused("the file has several lines")),
        text if !text.is_ascii() => Err(refused("the file is not printable ASCII")),
        text => Ok(Secret::new(text.to_owned())),
    }
}
