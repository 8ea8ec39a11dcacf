//! The names of what stands in the engine: `{prefix}/1/…`, where 1 is the version of this layout.
//!
//! ```text
//! e                     epoch: a random value that changes when the engine has forgotten    no lease
//! h                     head: written together with everything that is followed             no lease
//! k/<account>/<name>    a document, sealed                                   followed       no lease
//! m/<32 hex>            a mark: what has ended, sealed                       followed       lifetime
//! r/<32 hex>            a renewal: who claimed it, or the newer state, sealed               minutes
//! t/<32 hex>            a refresh token that was used up                                    lifetime
//! u/<32 hex>            an assertion, a logout token or a login that was used               validity
//! a/<32 hex>/<32 hex>   an attempt at a password                                            window
//! s/<32 hex>            who has signed in, sealed                                           no lease
//! ```

/// Makes the names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    root: String,
}

impl Keys {
    /// Under the configured prefix.
    pub fn new(prefix: &str) -> Self {
        Self { root: format!("{prefix}/1/") }
    }

    fn key(&self, rest: &str) -> Vec<u8> {
        format!("{}{rest}", self.root).into_bytes()
    }

    /// The key with this random-looking id under a letter.
    pub fn of(&self, letter: char, id: &[u8]) -> Vec<u8> {
        self.key(&format!("{letter}/{}", hex(id)))
    }

    /// All keys under a letter.
    pub fn all(&self, letter: char) -> Vec<u8> {
        self.key(&format!("{letter}/"))
    }

    /// The epoch.
    pub fn epoch(&self) -> Vec<u8> {
        self.key("e")
    }

    /// The head.
    pub fn head(&self) -> Vec<u8> {
        self.key("h")
    }

    /// From the epoch to behind the head, and nothing between.
    pub fn heads(&self) -> (Vec<u8>, Vec<u8>) {
        (self.key("e"), self.key("i"))
    }

    /// All that is followed: documents and marks, and nothing between.
    pub fn followed(&self) -> (Vec<u8>, Vec<u8>) {
        (self.key("k/"), self.key("n"))
    }

    /// All documents.
    pub fn documents(&self) -> Vec<u8> {
        self.key("k/")
    }

    /// The name of a document, where this is the key of one.
    pub fn document<'k>(&self, key: &'k [u8]) -> Option<&'k str> {
        std::str::from_utf8(key.strip_prefix(self.documents().as_slice())?).ok()
    }

    /// True for the key of a mark.
    pub fn is_mark(&self, key: &[u8]) -> bool {
        key.starts_with(&self.all('m'))
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
