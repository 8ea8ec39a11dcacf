//! What takes more than one step: signing in and out, asking again, a program's token, the administrators' pages. Each
//! flow is an `async fn` that reads from top to bottom.

pub mod admin;
pub mod bearer;
pub mod login;
pub mod logout;
pub mod recheck;
