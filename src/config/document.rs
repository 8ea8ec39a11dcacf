//! stub
/// stub
pub fn read(bytes: &[u8]) -> Result<serde_json::Value, String> { serde_json::from_slice(bytes).map_err(|e| e.to_string()) }
