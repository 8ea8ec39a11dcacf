//! All problems of a configuration, each with its path.

use std::cell::RefCell;
use std::fmt;

/// One thing that is wrong, where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `accounts[0].password.mode`; empty for the document itself.
    pub path: String,
    /// What is wrong and what was expected. Never a secret's value.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// Where problems and warnings are gathered.
#[derive(Debug, Default)]
pub struct Problems {
    pub(super) problems: RefCell<Vec<Problem>>,
    pub(super) warnings: RefCell<Vec<Problem>>,
}

impl Problems {
    /// True if there are neither problems nor warnings.
    pub fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty() && self.warnings.borrow().is_empty()
    }

    /// The document itself.
    pub fn root(&self) -> At<'_> {
        At { all: self, path: String::new() }
    }
}

/// A place in the document.
#[derive(Clone, Debug)]
pub struct At<'a> {
    all: &'a Problems,
    path: String,
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl At<'_> {
    /// A field of it.
    pub fn field(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { all: self.all, path }
    }

    /// An element of it.
    pub fn index(&self, index: usize) -> Self {
        Self { all: self.all, path: format!("{}[{index}]", self.path) }
    }

    /// Something is wrong here.
    pub fn problem(&self, message: impl Into<String>) {
        let problem = Problem { path: self.path.clone(), message: message.into() };
        self.all.problems.borrow_mut().push(problem);
    }

    /// Something works here but should not stay so.
    pub fn warning(&self, message: impl Into<String>) {
        let warning = Problem { path: self.path.clone(), message: message.into() };
        self.all.warnings.borrow_mut().push(warning);
    }
}
