//! Lanes: work for one server, first come first served, with a limit for each, so that a server that hangs holds up
//! nothing but what is for it.
//!
//! A lane whose server kept the first call of a piece of work waiting until it timed out is closed for a moment: what
//! is for it fails at once. Then one piece of work tries; the others wait for what becomes of that one, no longer than
//! they did before: they fail at once until it has succeeded.

use std::collections::{HashMap, VecDeque};

use crate::values::order;

/// Milliseconds for which a lane is closed after a timeout.
const CLOSED: u64 = 3_000;

/// Pieces of work under way at once in a lane of one worker, unless it says otherwise.
const WIDTH: usize = 32;

/// What work is for: a provider or directory of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    name: String,
    width: usize,
    closes: bool,
}

impl Lane {
    /// The lane of a server (`what`: a provider's id, `directory`, …) of an account.
    pub fn new(account: &str, what: &str) -> Self {
        Self { name: format!("{account}\0{what}"), width: WIDTH, closes: true }
    }

    /// Another limit.
    pub fn width(self, width: usize) -> Self {
        Self { width, ..self }
    }

    /// A lane that never closes: its work remembers by itself that its server does not answer.
    pub fn always_open(self) -> Self {
        Self { closes: false, ..self }
    }
}

/// How a piece of work begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Its calls are made.
    Go,
    /// Its first call fails at once: the server hangs.
    FailAtOnce,
}

/// All lanes of one worker, with the work that waits.
#[derive(Debug)]
pub struct Lanes<T> {
    lanes: HashMap<String, State<T>>,
    /// Lanes with work that may begin, in the order in which they got it.
    ready: VecDeque<String>,
}

#[derive(Debug)]
struct State<T> {
    lane: Lane,
    waiting: VecDeque<T>,
    under_way: usize,
    closed_until: Option<u64>,
    is_trying: bool,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { lanes: HashMap::new(), ready: VecDeque::new() }
    }
}

impl<T> Lanes<T> {
    /// Adds work to its lane.
    pub fn push(&mut self, lane: &Lane, work: T) {
        let state = self.lanes.entry(lane.name.clone()).or_insert_with(|| State {
            lane: lane.clone(),
            waiting: VecDeque::new(),
            under_way: 0,
            closed_until: None,
            is_trying: false,
        });
        state.waiting.push_back(work);
        self.ready.push_back(lane.name.clone());
    }

    /// The next piece of work that may begin, and how.
    pub fn next(&mut self, now: u64) -> Option<(T, Start)> {
        while let Some(name) = self.ready.pop_front() {
            let Some(state) = self.lanes.get_mut(&name) else { continue };
            let start = match state.closed_until {
                Some(until) if state.is_trying || now < until => Start::FailAtOnce,
                _ if state.under_way >= state.lane.width => continue, // `done` brings it back
                Some(_) => {
                    state.is_trying = true;
                    Start::Go
                }
                None => Start::Go,
            };
            let Some(work) = state.waiting.pop_front() else { continue };
            state.under_way += 1;
            return Some((work, start));
        }
        None
    }

    /// A piece of work is done. `hung`: `Some(true)` if its first call timed out, `None` if it made none.
    pub fn done(&mut self, lane: &Lane, start: Start, hung: Option<bool>, now: u64) {
        let Some(state) = self.lanes.get_mut(&lane.name) else { return };
        state.under_way = state.under_way.saturating_sub(1);
        if start == Start::Go {
            state.is_trying = false;
            match hung {
                Some(true) if lane.closes => state.closed_until = Some(now.saturating_add(CLOSED)),
                Some(_) => state.closed_until = None,
                None => {}
            }
        }
        let is_idle = state.under_way == 0 && state.waiting.is_empty() && state.closed_until.is_none();
        if is_idle {
            self.lanes.remove(&lane.name);
            return;
        }
        // A lane that closed lets all that waits in it fail, one that is open goes on with the next.
        let more =
            if state.closed_until.is_some() { state.waiting.len() } else { state.waiting.len().min(1) };
        self.ready.extend(std::iter::repeat_n(lane.name.clone(), more));
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lanes.values().all(|state| state.waiting.is_empty())
    }

    /// Takes all that waits, whatever the limits: for tests, and where nothing runs it.
    pub fn drain(&mut self) -> Vec<T> {
        self.ready.clear();
        let lanes = std::mem::take(&mut self.lanes);
        let mut names: Vec<(String, State<T>)> = lanes.into_iter().collect();
        order::sort_by_key(&mut names, |(name, _)| name.clone());
        names.into_iter().flat_map(|(_, state)| state.waiting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(lanes: &mut Lanes<u32>, now: u64) -> Vec<(u32, Start)> {
        std::iter::from_fn(|| lanes.next(now)).collect()
    }

    #[test]
    fn a_full_lane_holds_up_no_other_and_is_served_in_order() {
        let (a, b) = (Lane::new("a", "corp").width(2), Lane::new("b", "corp").width(2));
        let mut lanes = Lanes::default();
        for n in 0..4 {
            lanes.push(&a, n);
        }
        lanes.push(&b, 10);
        assert_eq!(begun(&mut lanes, 0), [(0, Start::Go), (1, Start::Go), (10, Start::Go)]);
        lanes.done(&a, Start::Go, Some(false), 0);
        assert_eq!(begun(&mut lanes, 0), [(2, Start::Go)]);
        lanes.push(&a, 4);
        assert_eq!(begun(&mut lanes, 0), []);
        for expected in [3, 4] {
            lanes.done(&a, Start::Go, Some(false), 0);
            assert_eq!(begun(&mut lanes, 0), [(expected, Start::Go)]);
        }
        assert!(lanes.is_empty());
    }

    #[test]
    fn after_a_timeout_all_fail_at_once_and_one_tries() {
        let lane = Lane::new("a", "corp").width(2);
        let mut lanes = Lanes::default();
        for n in 0..4 {
            lanes.push(&lane, n);
        }
        assert_eq!(begun(&mut lanes, 0).len(), 2);
        lanes.done(&lane, Start::Go, Some(true), 100);
        assert_eq!(begun(&mut lanes, 100), [(2, Start::FailAtOnce), (3, Start::FailAtOnce)]);
        for _ in 0..2 {
            lanes.done(&lane, Start::FailAtOnce, None, 100);
        }
        lanes.done(&lane, Start::Go, Some(true), 100);
        lanes.push(&lane, 4);
        assert_eq!(begun(&mut lanes, 3_099), [(4, Start::FailAtOnce)]);
        lanes.done(&lane, Start::FailAtOnce, None, 3_099);
        for n in 5..8 {
            lanes.push(&lane, n);
        }
        let started = [(5, Start::Go), (6, Start::FailAtOnce), (7, Start::FailAtOnce)];
        assert_eq!(begun(&mut lanes, 3_100), started, "one tries");
        lanes.done(&lane, Start::FailAtOnce, None, 3_100);
        lanes.done(&lane, Start::FailAtOnce, None, 3_100);
        lanes.done(&lane, Start::Go, Some(false), 3_200);
        lanes.push(&lane, 8);
        assert_eq!(begun(&mut lanes, 3_200), [(8, Start::Go)], "the server is back");
    }

    #[test]
    fn a_lane_that_is_always_open_never_closes() {
        let lane = Lane::new("a", "keys").always_open();
        let mut lanes = Lanes::default();
        lanes.push(&lane, 1);
        assert_eq!(begun(&mut lanes, 0).len(), 1);
        lanes.done(&lane, Start::Go, Some(true), 0);
        lanes.push(&lane, 2);
        assert_eq!(begun(&mut lanes, 0), [(2, Start::Go)]);
    }
}
