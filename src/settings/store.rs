//! Where the books are kept: in the engine, and from there in the data that all workers of this Envoy share.

use super::book::Book;
use crate::fault::{Code, Fault};
use crate::host::shared_set::id_of;
use crate::host::task::Io;
use crate::host::Host;
use crate::replicas::documents::{Document, Written};
use crate::replicas::Replicas;

/// Tries of a change that others get in the way of.
const TRIES: usize = 5;

/// A book as this Envoy knows it.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Its content; empty where nothing was set yet.
    pub book: Book,
    /// What a write compares; `None`: it is not there yet.
    pub revision: Option<u64>,
}

/// The document of an account.
pub fn name(code: &str) -> String {
    format!("{code}/settings")
}

/// The book of an account. One of another format counts as not readable.
pub fn known(replicas: &Replicas, host: &dyn Host, code: &str) -> Result<Kept, Fault> {
    let Some(document) = replicas.document(host, &name(code)) else { return Ok(Kept::default()) };
    Ok(Kept { book: read(&document)?, revision: Some(document.revision) })
}

/// The book in a document.
pub fn read(document: &Document) -> Result<Book, Fault> {
    let unreadable = || {
        Fault::new(Code::NotReady, "the account's settings are of another format: a newer filter wrote them")
    };
    Book::read(&document.body).ok_or_else(unreadable)
}

/// Changes a book: reads what is known, changes it, writes it if no other Envoy wrote meanwhile, and tries again if so. The
/// engine away: 503, and nothing is changed.
pub async fn change<T>(
    replicas: &Replicas,
    io: &Io,
    code: &str,
    mut edit: impl FnMut(&mut Book) -> Result<T, Fault>,
) -> Result<(T, Book), Fault> {
    for _ in 0..TRIES {
        let mut kept = known(replicas, io.host(), code)?;
        kept.book.forget_expired(io.now());
        let done = edit(&mut kept.book)?;
        let too_large =
            || Fault::new(Code::BodyTooLarge, "the account's settings would be larger than 256 KB");
        let bytes = kept.book.write().ok_or_else(too_large)?;
        match replicas.write_document(io, &name(code), kept.revision, &bytes).await? {
            Written::Done(_) => return Ok((done, kept.book)),
            // Another administrator was faster, or another replica: look again.
            Written::Changed(_) => {
                replicas.read_document(io, &name(code)).await?;
            }
        }
    }
    Err(Fault::new(Code::NotReady, "the account's settings change all the time: try again"))
}

/// The revision of all of it, for `ETag`.
pub fn etag(book: &Book) -> String {
    let id = id_of(&String::from_utf8_lossy(&book.content()));
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}
