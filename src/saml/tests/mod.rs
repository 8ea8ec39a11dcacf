//! Documents made, signed and attacked in code.
pub mod keys;
