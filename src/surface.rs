//! stub
/// stub
pub struct Path(String);
impl Path {
    /// stub
    pub fn read(bytes: &[u8]) -> Self { Self(String::from_utf8_lossy(bytes).into_owned()) }
    /// stub
    pub fn plain(&self) -> Option<&str> { Some(&self.0) }
}
