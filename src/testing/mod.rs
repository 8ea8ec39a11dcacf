//! A scripted world for tests: a clock that is set by hand, randomness that repeats, shared data in a map,
//! and [`drive`], which runs a flow against a list of replies.
//!
//! Only for tests: `cfg(any(test, feature = "testing"))`.

pub mod browser;
pub mod dear;
pub mod engine;
pub mod rng;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;

use crate::fault::Fault;
use crate::host::clusters::Clusters;
use crate::host::task::{Answer, BackgroundTask, Call, Io, Outside, Ready, Reply, Step, Task};
use crate::host::{no_randomness, Hash, Host, Level, ABSENT};

/// The time a [`TestHost`] starts at: 2027-01-15T08:00:00Z, in milliseconds.
pub const START: u64 = 1_800_000_000_000;

/// Values with the number of their last write.
type Shared = Rc<RefCell<HashMap<String, (Vec<u8>, u32)>>>;

/// Surroundings under a test's control. Share it as `Rc<TestHost>`; several may share one data map.
#[derive(Debug)]
pub struct TestHost {
    now: Cell<u64>,
    counter: Cell<u64>,
    random_fails: Cell<bool>,
    native_rsa: Cell<bool>,
    native_calls: Cell<usize>,
    shared: Shared,
    shared_gets: Cell<usize>,
    counts: RefCell<HashMap<String, u64>>,
    observations: RefCell<Vec<(String, u64)>>,
    logs: RefCell<Vec<(Level, String)>>,
}

impl Default for TestHost {
    fn default() -> Self {
        Self {
            now: Cell::new(START),
            counter: Cell::new(0),
            random_fails: Cell::new(false),
            native_rsa: Cell::new(false),
            native_calls: Cell::new(0),
            shared: Rc::default(),
            shared_gets: Cell::new(0),
            counts: RefCell::default(),
            observations: RefCell::default(),
            logs: RefCell::default(),
        }
    }
}

impl TestHost {
    /// At [`START`], without the proxy's RSA.
    pub fn new() -> Rc<Self> {
        Rc::new(Self::default())
    }

    /// Another worker of the same process: its own clock and log, the same shared data.
    pub fn worker(&self) -> Rc<Self> {
        let other = Self { shared: self.shared.clone(), ..Self::default() };
        other.now.set(self.now.get());
        other.counter.set(self.counter.get() + 1_000_000);
        Rc::new(other)
    }

    /// Offers `verify_rsa` and `sign_rsa`, as Envoy does.
    pub fn with_native_rsa(self: Rc<Self>) -> Rc<Self> {
        self.native_rsa.set(true);
        self
    }

    /// How often `verify_rsa` and `sign_rsa` did the work.
    pub fn native_calls(&self) -> usize {
        self.native_calls.get()
    }

    /// Sets the clock, in milliseconds.
    pub fn set_now(&self, now: u64) {
        self.now.set(now);
    }

    /// Moves the clock on.
    pub fn advance(&self, milliseconds: u64) {
        self.now.set(self.now.get() + milliseconds);
    }

    /// Lets the source of randomness fail.
    pub fn fail_random(&self) {
        self.random_fails.set(true);
    }

    /// The value of a counter.
    pub fn counted(&self, metric: &str) -> u64 {
        self.counts.borrow().get(metric).copied().unwrap_or(0)
    }

    /// What was observed so far.
    pub fn observations(&self) -> Vec<(String, u64)> {
        self.observations.borrow().clone()
    }

    /// The log so far.
    pub fn logs(&self) -> Vec<(Level, String)> {
        self.logs.borrow().clone()
    }

    /// How often this worker looked into the shared data.
    pub fn shared_gets(&self) -> usize {
        self.shared_gets.get()
    }

    /// Every key of the shared data.
    pub fn shared_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.shared.borrow().keys().cloned().collect();
        keys.sort();
        keys
    }

    /// What a flow holds, with every URL reached through the cluster `test`.
    pub fn io(self: &Rc<Self>) -> Io {
        Io::new(self.clone(), Rc::new(Clusters::to("test")))
    }
}

impl Host for TestHost {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn random(&self, out: &mut [u8]) -> Result<(), Fault> {
        use sha2::Digest;
        if self.random_fails.get() {
            return Err(no_randomness());
        }
        for chunk in out.chunks_mut(32) {
            let n = self.counter.get();
            self.counter.set(n + 1);
            let block = sha2::Sha256::digest(n.to_be_bytes());
            for (to, from) in chunk.iter_mut().zip(block) {
                *to = from;
            }
        }
        Ok(())
    }

    fn verify_ecdsa(&self, hash: Hash, spki: &[u8], signature: &[u8], message: &[u8]) -> Option<bool> {
        use p384::ecdsa::signature::Verifier;
        use rsa::pkcs8::DecodePublicKey;
        if !self.native_rsa.get() {
            return None;
        }
        self.native_calls.set(self.native_calls.get() + 1);
        Some(match hash {
            Hash::Sha384 => p384::ecdsa::VerifyingKey::from_public_key_der(spki).is_ok_and(|key| {
                p384::ecdsa::DerSignature::from_bytes(signature)
                    .is_ok_and(|s| key.verify(message, &s).is_ok())
            }),
            _ => p521::PublicKey::from_public_key_der(spki).is_ok_and(|key| {
                let key = p521::ecdsa::VerifyingKey::from_affine(*key.as_affine());
                let signature = p521::ecdsa::DerSignature::from_bytes(signature)
                    .and_then(p521::ecdsa::Signature::try_from);
                key.is_ok_and(|key| signature.is_ok_and(|s| key.verify(message, &s).is_ok()))
            }),
        })
    }

    fn verify_rsa(&self, hash: Hash, spki: &[u8], signature: &[u8], message: &[u8]) -> Option<bool> {
        use rsa::pkcs8::DecodePublicKey;
        use rsa::sha2::{Digest, Sha256, Sha384, Sha512};
        use rsa::Pkcs1v15Sign;
        if !self.native_rsa.get() {
            return None;
        }
        self.native_calls.set(self.native_calls.get() + 1);
        let Ok(key) = rsa::RsaPublicKey::from_public_key_der(spki) else { return Some(false) };
        let verified = match hash {
            Hash::Sha256 => key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature),
            Hash::Sha384 => key.verify(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message), signature),
            Hash::Sha512 => key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message), signature),
        };
        Some(verified.is_ok())
    }

    fn sign_rsa(&self, hash: Hash, pkcs8: &[u8], message: &[u8]) -> Option<Vec<u8>> {
        use rsa::pkcs8::DecodePrivateKey;
        use rsa::sha2::{Digest, Sha256, Sha384, Sha512};
        use rsa::Pkcs1v15Sign;
        if !self.native_rsa.get() {
            return None;
        }
        self.native_calls.set(self.native_calls.get() + 1);
        let key = rsa::RsaPrivateKey::from_pkcs8_der(pkcs8).ok()?;
        match hash {
            Hash::Sha256 => key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)),
            Hash::Sha384 => key.sign(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message)),
            Hash::Sha512 => key.sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message)),
        }
        .ok()
    }

    fn shared_get(&self, key: &str) -> (Option<Vec<u8>>, Option<u32>) {
        self.shared_gets.set(self.shared_gets.get() + 1);
        match self.shared.borrow().get(key) {
            Some((value, cas)) => (Some(value.clone()), Some(*cas)),
            None => (None, Some(ABSENT)),
        }
    }

    fn shared_set(&self, key: &str, value: &[u8], cas: Option<u32>) -> bool {
        let mut shared = self.shared.borrow_mut();
        let current = shared.get(key).map(|(_, cas)| *cas);
        // As Envoy does it: what is absent is written whatever the number.
        if current.is_some_and(|current| cas.is_some_and(|cas| cas != current)) {
            return false;
        }
        let current = current.unwrap_or(0);
        shared.insert(key.to_owned(), (value.to_vec(), current + 1));
        true
    }

    fn count(&self, metric: &str) {
        *self.counts.borrow_mut().entry(metric.to_owned()).or_default() += 1;
    }

    fn observe(&self, metric: &str, milliseconds: u64) {
        self.observations.borrow_mut().push((metric.to_owned(), milliseconds));
    }

    fn log(&self, level: Level, line: &str) {
        self.logs.borrow_mut().push((level, line.to_owned()));
    }
}

/// A 200 answer of that content type.
pub fn answer(content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
    status(200, content_type, body)
}

/// An answer of that status and content type.
pub fn status(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
    Reply::Answer(Answer {
        status,
        headers: vec![("content-type".into(), content_type.as_bytes().to_vec())],
        body: body.into(),
    })
}

/// An object with changed members; null takes one away.
pub fn changed(mut object: serde_json::Value, change: &serde_json::Value) -> serde_json::Value {
    assert!(object.is_object() && change.is_object(), "both are objects");
    if let (Some(members), Some(change)) = (object.as_object_mut(), change.as_object()) {
        for (name, value) in change {
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
    }
    object
}

/// A 200 answer of JSON.
pub fn json(body: &serde_json::Value) -> Reply {
    answer("application/json", body.to_string())
}

/// Runs a flow against scripted replies: its result, and the calls it made in order. A flow that calls
/// more often than there are replies, or less, is a failed test.
pub fn drive<T, F>(
    io: &Io,
    flow: F,
    replies: impl IntoIterator<Item = Reply>,
) -> (Result<T, Fault>, Vec<Call>)
where
    F: Future<Output = Result<T, Fault>> + 'static,
{
    let mut replies = replies.into_iter();
    let (result, calls) = drive_with(io, flow, |call| {
        let reply = replies.next();
        assert!(reply.is_some(), "the flow makes a call that the test has no reply for: {call:#?}");
        let Some(reply) = reply else { unreachable!("asserted above") };
        reply
    });
    let left = replies.count();
    assert_eq!(left, 0, "the flow left {left} replies unasked; calls: {calls:#?}");
    (result, calls)
}

/// Runs a flow whose replies depend on the calls, and what it leaves to the background.
pub fn drive_with<T, F>(
    io: &Io,
    flow: F,
    mut respond: impl FnMut(&Call) -> Reply,
) -> (Result<T, Fault>, Vec<Call>)
where
    F: Future<Output = Result<T, Fault>> + 'static,
{
    let mut calls = Vec::new();
    let mut task = Task::new(io.clone(), flow);
    let mut step = task.start();
    loop {
        step = match step {
            Step::Done(result) => return (result, calls),
            Step::Call(call) => {
                let reply = respond(&call);
                calls.push(call);
                task.resume(reply)
            }
            Step::Wait(mut ready) => {
                run_background(io.outside(), &mut respond, &mut calls);
                assert!(ready(), "the flow waits for nothing; calls: {calls:#?}");
                task.start()
            }
        };
    }
}

/// Does what flows have left to the background, until nothing of it goes on. What still waits then is dropped, as with
/// a worker that dies.
pub fn run_background(outside: &Rc<Outside>, respond: &mut dyn FnMut(&Call) -> Reply, calls: &mut Vec<Call>) {
    let mut sleeping: Vec<(BackgroundTask, Ready)> = Vec::new();
    loop {
        let mut awake: Vec<BackgroundTask> = outside.background().borrow_mut().drain();
        for (task, mut ready) in std::mem::take(&mut sleeping) {
            match ready() {
                true => awake.push(task),
                false => sleeping.push((task, ready)),
            }
        }
        if awake.is_empty() {
            return;
        }
        for mut background_task in awake {
            let mut step = background_task.wake();
            loop {
                step = match step {
                    Step::Done(_) => break,
                    Step::Wait(ready) => {
                        sleeping.push((background_task, ready));
                        break;
                    }
                    Step::Call(call) => {
                        let reply = respond(&call);
                        calls.push(call);
                        background_task.resume(reply)
                    }
                };
            }
        }
    }
}

/// A header of a call, `:path` among them.
pub fn header<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    call.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

/// The body of a call as a form.
pub fn form(call: &Call) -> Vec<(String, String)> {
    url::form_urlencoded::parse(call.body.as_deref().unwrap_or_default()).into_owned().collect()
}

/// The cookies that the head of an application's answer decides on. One whose body decides is a failed test.
pub fn decided(verdict: crate::exchange::Verdict) -> Vec<String> {
    let cookies = match verdict {
        crate::exchange::Verdict::Cookies(cookies) => Some(cookies),
        crate::exchange::Verdict::Body(..) => None,
    };
    assert!(cookies.is_some(), "the body decides");
    cookies.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::task::Request;

    #[test]
    fn a_flow_runs_against_its_replies() {
        let host = TestHost::new();
        let io = host.io();
        let inner = io.clone();
        let flow = async move {
            let url = url::Url::parse("https://idp.example.com/a?b=c").unwrap();
            match inner.call(Request::get("test", url, 100)).await {
                Reply::Answer(answer) => Ok(answer.status),
                Reply::Failed(_) => Ok(0),
            }
        };
        let (result, calls) = drive(&io, flow, [status(204, "text/plain", "")]);
        assert_eq!(result.unwrap(), 204);
        assert_eq!(header(&calls[0], ":path"), Some("/a?b=c"));
    }

    #[test]
    fn workers_share_data_and_nothing_else() {
        let one = TestHost::new();
        let two = one.worker();
        assert!(one.shared_set("k", b"v", None));
        let (value, cas) = two.shared_get("k");
        assert_eq!(value.as_deref(), Some(&b"v"[..]));
        assert!(two.shared_set("k", b"w", cas));
        assert!(!one.shared_set("k", b"x", cas), "somebody wrote in between");
        let (nothing, cas) = one.shared_get("l");
        assert_eq!(nothing, None);
        assert!(two.shared_set("l", b"y", cas));
        assert!(!one.shared_set("l", b"z", cas), "somebody made it in between");
        two.count("m");
        assert_eq!((one.counted("m"), two.counted("m")), (0, 1));
    }
}
