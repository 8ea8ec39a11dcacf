//! Tokens between two runs: a file that the user alone can read.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Options;

/// A token that ends sooner is renewed, in seconds.
const MARGIN: u64 = 60;

/// The tokens of one login.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Tokens {
    /// What programs send.
    pub access_token: String,
    /// Seconds since 1970; absent: the server did not say.
    pub expires_at: Option<u64>,
    /// For the next one.
    pub refresh_token: Option<String>,
    /// Where it is used.
    pub token_endpoint: String,
    /// Whose it is.
    pub client_id: String,
}

impl Tokens {
    /// True if the access token lasts for a request. Without a known end it is for one run.
    pub fn is_fresh(&self) -> bool {
        self.expires_at.is_some_and(|at| at > now().saturating_add(MARGIN))
    }
}

/// The place of the tokens for what the user asked; `None`: none is kept.
pub struct Cache(Option<PathBuf>);

impl Cache {
    /// Tokens of other clients, issuers and scopes stand in files of their own.
    pub fn new(options: &Options) -> Self {
        let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        let what = format!(
            "{:?}",
            (&options.url, &options.client_id, &options.issuer, &options.scope, options.without_resource)
        );
        let name: String = Sha256::digest(what).iter().map(|byte| format!("{byte:02x}")).collect();
        Self(
            base.filter(|_| !options.without_cache)
                .map(|base| base.join("envoy-sso").join(format!("{name}.json"))),
        )
    }

    /// What is kept. A file that cannot be read counts as none.
    pub fn read(&self) -> Option<Tokens> {
        serde_json::from_slice(&fs::read(self.0.as_ref()?).ok()?).ok()
    }

    /// Keeps the tokens, or says why not: the user has them all the same.
    pub fn write(&self, tokens: &Tokens) {
        if let Some(Err(error)) = self.0.as_ref().map(|path| put(path, tokens)) {
            super::tell(&format!("the token is not cached: {error}"));
        }
    }
}

/// Writes beside the old file and replaces it, so that two runs at a time do not mix.
fn put(path: &Path, tokens: &Tokens) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(directory)?;
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(&serde_json::to_vec(tokens)?)?;
    fs::rename(beside, path)
}

/// Seconds since 1970.
#[allow(clippy::disallowed_methods)] // the command line has no Host
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
