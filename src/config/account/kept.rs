//! What the floors above keep for an account, for the next configuration that takes the account over.

use std::any::Any;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

/// A value of a type that this house does not know, as long as it is in use elsewhere.
#[derive(Debug, Default)]
pub struct Kept(RefCell<Option<Weak<dyn Any>>>);

impl Kept {
    /// Keeps it.
    pub fn set<T: Any>(&self, value: &Rc<T>) {
        let value: Rc<dyn Any> = value.clone();
        self.0.replace(Some(Rc::downgrade(&value)));
    }

    /// What was kept.
    pub fn get<T: Any>(&self) -> Option<Rc<T>> {
        self.0.borrow().as_ref()?.upgrade()?.downcast().ok()
    }
}
