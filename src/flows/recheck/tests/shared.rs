//! Two Envoys that share an engine: one renews a session, and the other waits for what becomes of it.

use super::*;
use crate::host::task::{BackgroundTask, Ready, Start, Step, Via};
use crate::testing::engine::Engine;

/// How long the engine may take (`shared.timeout`), and a glance at it.
const TIMEOUT: u64 = 1_000 + 100;
/// How long a replica waits for another one.
const PATIENCE: u64 = 10_000 + 100;
/// How long the claim of a replica lasts.
const LEASE: u64 = 60_000;

/// What becomes of the engine while the second Envoy waits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Refuses,
    Hangs,
    Emptied,
    /// It works, and the first Envoy has died.
    Works,
}

/// One Envoy with one worker.
struct Envoy {
    host: Rc<TestHost>,
    state: Rc<FilterState>,
    sleeping: Vec<(BackgroundTask, Ready)>,
    /// Work that waits for the provider.
    asking: Vec<(BackgroundTask, Call)>,
}

impl Envoy {
    fn new() -> Self {
        let mut config = configuration();
        config["shared"] = json!({ "engine": "etcd", "cluster": "etcd" });
        let host = TestHost::new();
        let state = filter_state(&host, &config);
        let replicas = state.replicas.as_ref().unwrap();
        let mut status = replicas.status(&*host);
        (status.proof, status.first_read) = (START, START);
        status.write(&*host, replicas.tag());
        Self { host, state, sleeping: Vec::new(), asking: Vec::new() }
    }

    /// What the root context does at a tick, with calls to the engine alone.
    fn tick(&mut self, engine: &mut dyn FnMut(&Call) -> Reply) {
        for (mut task, mut ready) in std::mem::take(&mut self.sleeping) {
            match ready() {
                true => {
                    let step = task.wake();
                    self.go_on(task, step, engine);
                }
                false => self.sleeping.push((task, ready)),
            }
        }
        let begun = self.state.outside.background().borrow_mut().drain();
        for mut task in begun {
            let step = task.begin(Start::Go);
            self.go_on(task, step, engine);
        }
    }

    fn go_on(
        &mut self,
        mut task: BackgroundTask,
        mut step: Step<Result<(), crate::fault::Fault>>,
        engine: &mut dyn FnMut(&Call) -> Reply,
    ) {
        loop {
            step = match step {
                Step::Done(_) => return,
                Step::Wait(ready) => return self.sleeping.push((task, ready)),
                Step::Call(call) if matches!(call.via, Via::Grpc { .. }) => task.resume(engine(&call)),
                Step::Call(call) => return self.asking.push((task, call)),
            }
        }
    }
}

struct Two {
    envoys: [Envoy; 2],
    engine: Engine,
    idp: Idp,
    ada: Browser,
}

impl Two {
    /// A session that is due for so long.
    fn new(due: u64) -> Self {
        let envoys = [Envoy::new(), Envoy::new()];
        let engine = std::cell::RefCell::new(Engine::default());
        let mut idp = Idp::new(&envoys[0].host);
        let ada = sign_in_beside(&envoys[0].state, &mut idp, |call| {
            matches!(call.via, Via::Grpc { .. }).then(|| engine.borrow_mut().answer(call))
        });
        let two = Self { envoys, engine: engine.into_inner(), idp, ada };
        two.advance(due);
        two
    }

    fn advance(&self, milliseconds: u64) {
        self.envoys.iter().for_each(|envoy| envoy.host.advance(milliseconds));
    }

    fn rule(&self, at: usize) -> Ruling {
        gate::rule(&self.envoys[at].state, head(&self.ada))
    }

    fn tick(&mut self, at: usize, fate: Fate) {
        let Self { envoys, engine, .. } = self;
        let hosts = [envoys[0].host.clone(), envoys[1].host.clone()];
        envoys[at].tick(&mut |call| match fate {
            Fate::Refuses => Reply::Failed(Failure::Grpc(14)),
            Fate::Hangs => {
                hosts.iter().for_each(|host| host.advance(call.timeout));
                Reply::Failed(Failure::Timeout)
            }
            Fate::Emptied | Fate::Works => engine.answer(call),
        });
    }

    /// The first Envoy has claimed the renewal and asks the provider, the second one waits: its request.
    fn parked(&mut self) -> Box<dyn FnMut() -> Option<Ruling>> {
        assert!(matches!(self.rule(0), Ruling::Wait(_)));
        self.tick(0, Fate::Works);
        assert_eq!(self.envoys[0].asking.len(), 1);
        let Ruling::Wait(mut news) = self.rule(1) else { panic!("it waits") };
        self.tick(1, Fate::Works);
        assert!(news().is_none());
        assert_eq!((self.envoys[1].asking.len(), self.envoys[1].sleeping.len()), (0, 1));
        news
    }

    /// The provider answers the first Envoy.
    fn finish(&mut self) {
        let (mut task, call) = self.envoys[0].asking.pop().unwrap();
        let step = task.resume(self.idp.respond(&call));
        let engine = &mut self.engine;
        self.envoys[0].go_on(task, step, &mut |call| engine.answer(call));
    }

    /// How long the request waits, and how it is ruled on then.
    fn waits(&mut self, mut news: Box<dyn FnMut() -> Option<Ruling>>, fate: Fate) -> (u64, Ruling) {
        let since = self.envoys[1].host.now();
        loop {
            self.tick(1, fate);
            if let Some(ruling) = news() {
                let waited = self.envoys[1].host.now() - since;
                let Ruling::Again(head) = ruling else { return (waited, ruling) };
                return (waited, gate::rule(&self.envoys[1].state, head));
            }
            self.advance(10);
        }
    }
}

fn passes(ruling: &Ruling) -> bool {
    matches!(ruling, Ruling::Pass(pass) if pass.live.is_some())
}

#[test]
fn the_second_gets_what_the_first_has_made() {
    let mut two = Two::new(2 * DUE);
    let news = two.parked();
    two.advance(3_000);
    two.finish();
    let (waited, ruling) = two.waits(news, Fate::Works);
    assert!(waited <= 100, "{waited} ms");
    let Ruling::Pass(pass) = ruling else { panic!("it passes") };
    assert!(!pass.set_cookies.is_empty(), "with the cookie of the newer state");
    assert_eq!((two.idp.refreshes, two.idp.good.is_some()), (1, true));
}

#[test]
fn a_request_beside_another_replicas_renewal_waits_no_longer_than_the_engine_may_take() {
    for (fate, most) in [
        (Fate::Refuses, TIMEOUT),
        (Fate::Hangs, TIMEOUT + 1_000),
        (Fate::Emptied, TIMEOUT),
        (Fate::Works, PATIENCE),
    ] {
        for (due, is_graced) in [(2 * DUE, true), (2 * 3_600_000, false)] {
            let mut two = Two::new(due);
            let news = two.parked();
            if fate == Fate::Emptied {
                two.engine = Engine::default();
            }
            let (waited, ruling) = two.waits(news, fate);
            assert!(waited <= most, "{fate:?}: {waited} ms");
            // Its token may be used by now: it is not sent again.
            assert!(two.envoys[1].asking.is_empty(), "{fate:?}");
            match ruling {
                Ruling::LocalReply(answer) if !is_graced => {
                    assert_eq!(answer.header("x-sso-code"), Some("idp_unavailable"));
                    continue;
                }
                ruling => assert!(passes(&ruling) && is_graced, "{fate:?}"),
            }
            // Nothing is asked either while the other one's claim lasts.
            two.advance(LEASE / 2);
            assert!(passes(&two.rule(1)), "{fate:?}");
            two.tick(1, fate);
            assert!(two.envoys[1].asking.is_empty(), "{fate:?}");
        }
    }
}

#[test]
fn a_renewal_whose_winner_died_is_made_by_another_replica_once_the_claim_ends() {
    let mut two = Two::new(2 * DUE);
    let news = two.parked();
    assert!(passes(&two.waits(news, Fate::Works).1));
    two.advance(LEASE);
    let Ruling::Wait(mut news) = two.rule(1) else { panic!("it is due") };
    two.tick(1, Fate::Works);
    two.envoys.swap(0, 1);
    two.finish();
    let Some(Ruling::Again(head)) = news() else { panic!("there is news") };
    assert!(passes(&gate::rule(&two.envoys[0].state, head)));
    assert_eq!((two.idp.refreshes, two.idp.good.is_some()), (1, true));
}

#[test]
fn once_the_engine_is_back_the_second_takes_over_what_the_first_has_made_in_an_outage() {
    let mut two = Two::new(2 * DUE);
    let news = two.parked();
    assert!(passes(&two.waits(news, Fate::Refuses).1));
    two.finish();
    two.advance(LEASE);
    let Ruling::Wait(news) = two.rule(1) else { panic!("it is due") };
    let (_, ruling) = two.waits(news, Fate::Works);
    let Ruling::Pass(pass) = ruling else { panic!("it passes") };
    assert!(!pass.set_cookies.is_empty());
    assert_eq!((two.idp.refreshes, two.idp.good.is_some()), (1, true));
}

#[test]
fn a_provider_that_hangs_is_noticed_behind_the_engine_and_gets_no_token_then() {
    for start in [Start::Go, Start::FailAtOnce] {
        let mut two = Two::new(2 * DUE);
        let Ruling::Wait(mut news) = two.rule(0) else { panic!("it waits") };
        let mut task = two.envoys[0].state.outside.background().borrow_mut().drain().pop().unwrap();
        let mut asked = Vec::new();
        let mut step = task.begin(start);
        while let Step::Call(call) = step {
            let reply = match call.via {
                Via::Grpc { .. } => two.engine.answer(&call),
                Via::Http => Reply::Failed(Failure::Timeout),
            };
            asked.push(matches!(call.via, Via::Http));
            step = task.resume(reply);
        }
        let provider = usize::from(start == Start::Go);
        assert_eq!(asked.iter().filter(|is_provider| **is_provider).count(), provider, "{start:?}");
        assert_eq!((asked[0], task.hung), (false, Some(true)), "{start:?}: the engine is asked first");
        let Some(Ruling::Again(head)) = news() else { panic!("there is news") };
        assert!(passes(&gate::rule(&two.envoys[0].state, head)));
        // The other Envoy learns it, and does not ask either.
        let Ruling::Wait(news) = two.rule(1) else { panic!("it is due") };
        assert!(passes(&two.waits(news, Fate::Works).1));
        assert!(two.envoys[1].asking.is_empty());
    }
}
