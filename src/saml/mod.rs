//! stub
/// stub
pub fn check_certificate(_: &str) -> Result<(), String> {
    Ok(())
}
/// stub
pub fn check_private_key(_: &crate::secret::Secret) -> Result<(), String> {
    Ok(())
}
