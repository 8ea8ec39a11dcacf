//! The settings that an account's administrators make themselves, beside the file that the operator writes.
//!
//! ```text
//!  flows::admin::settings ── writes ──▶ Book (one sealed document an account) ──▶ engine
//!                                            │ read by every worker, laid over the file's account
//!                                            ▼
//!                                    state: the account that requests are ruled by
//! ```
//!
//! - [`book`]: versions, draft, invitations of one account: one document, one revision.
//! - [`proposal`]: from the body of a request to settings that could be enabled, or to every problem of it.
//! - [`secrets`]: a secret goes in and never comes out.
//! - [`changes`]: which fields differ between two versions.
//! - [`guards`]: what keeps administrators from locking themselves out.
//!
//! The file is version 0. A version that this filter cannot read is passed over for the newest one that it can.
//!
//! To change what administrators may set: `config::raw::SelfService`. To change the form: `pages::account_center`.

pub mod book;
pub mod changes;
pub mod guards;
pub mod proposal;
pub mod secrets;
pub mod store;

pub use book::{Book, Draft, Invitation, Test, Version};
