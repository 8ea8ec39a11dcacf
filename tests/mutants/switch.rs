//! Woven into the copy of the crate that `tests/mutants/run` builds: which mutant is on, and which test reaches which.
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::OnceLock;

struct Reached(RefCell<BTreeSet<u32>>);

impl Drop for Reached {
    /// A test has its thread to itself, so its end is the end of the test.
    fn drop(&mut self) {
        let (Some(path), reached) = (recorded_to(), self.0.borrow()) else { return };
        if reached.is_empty() {
            return;
        }
        let numbers: Vec<String> = reached.iter().map(u32::to_string).collect();
        let line = format!("{}\t{}\n", std::thread::current().name().unwrap_or("?"), numbers.join(" "));
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("the record");
        file.write_all(line.as_bytes()).expect("the record");
    }
}

thread_local! {
    static REACHED: Reached = const { Reached(RefCell::new(BTreeSet::new())) };
}

fn recorded_to() -> Option<&'static str> {
    static PATH: OnceLock<Option<String>> = OnceLock::new();
    PATH.get_or_init(|| std::env::var("MUTANTS_REACHED").ok()).as_deref()
}

fn chosen() -> u32 {
    static CHOSEN: OnceLock<u32> = OnceLock::new();
    *CHOSEN.get_or_init(|| std::env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0))
}

/// True if this mutant is on.
pub fn on(number: u32) -> bool {
    if recorded_to().is_some() {
        // A value that is dropped after the record is out of reach, and so is what it does.
        let _ = REACHED.try_with(|reached| reached.0.borrow_mut().insert(number));
    }
    chosen() == number
}
