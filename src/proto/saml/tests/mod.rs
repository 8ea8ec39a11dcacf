//! Documents made, signed, encrypted and attacked in code. Every refusal has a twin that passes.

mod checklist;
mod cost;
mod encrypted;
pub mod forge;
mod forged;
pub mod idp;
mod interop;
pub mod keys;
mod logout;
mod messages;
mod metadata;
mod mutated;
mod seeds;
mod wrapping;
