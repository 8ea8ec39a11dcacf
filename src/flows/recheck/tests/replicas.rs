//! Replicas share nothing but the keys.

use super::*;

#[test]
fn two_replicas_share_sessions_and_only_a_race_costs_one() {
    let (here, there) = (TestHost::new(), TestHost::new());
    let (one, two) = (filter_state(&here, &configuration()), filter_state(&there, &configuration()));
    let mut idp = Idp::new(&here);
    let both = |advance: u64| {
        here.advance(advance);
        there.advance(advance);
    };
    let mut ada = sign_in(&one, &mut idp);
    // One after the other: the browser takes the new cookie along.
    for filter_state in [&two, &one, &two] {
        both(2 * DUE);
        let mut at = copy(&ada, filter_state);
        assert!(told(&get(&mut at, &mut idp), "x-sso-user").is_some());
        ada = at;
    }
    assert_eq!((idp.refreshes, idp.good.is_some()), (3, true));
    // In one moment: the provider takes the second use for theft. Nobody is signed out by that at once.
    both(2 * DUE);
    let (mut first, mut second) = (copy(&ada, &one), copy(&ada, &two));
    assert!(told(&get(&mut first, &mut idp), "x-sso-user").is_some());
    assert!(told(&get(&mut second, &mut idp), "x-sso-user").is_some());
    assert_eq!(second.cookies, ada.cookies, "the loser does not write over the winner's cookie");
    assert_eq!((idp.refreshes, idp.good.is_some()), (5, false));
    both(20_000);
    let mut winner = copy(&first, &two);
    assert!(
        told(&get(&mut winner, &mut idp), "x-sso-user").is_some(),
        "the winner's cookie is good everywhere"
    );
    both(2 * DUE);
    get(&mut winner, &mut idp);
    both(10_000);
    assert_eq!(get(&mut winner, &mut idp).code(), "login_required", "at its next renewal it signs in again");
}

#[test]
fn fifty_requests_over_two_replicas_at_the_moment_of_renewal_are_one_refresh() {
    let (here, there) = (TestHost::new(), TestHost::new());
    let worlds = [filter_state(&here, &configuration()), filter_state(&there, &configuration())];
    let mut idp = Idp::new(&here);
    let both = |advance: u64| [&here, &there].map(|host| host.advance(advance));
    let mut ada = sign_in(&worlds[0], &mut idp);
    for renewals in 1..=10 {
        // The session is in use until it is due.
        both(RECHECK);
        for n in 0..50 {
            let mut at = copy(&ada, &worlds[n % 2]);
            assert!(told(&get(&mut at, &mut idp), "x-sso-user").is_some());
        }
        assert_eq!(idp.refreshes, renewals - 1, "both replicas have drawn a delay");
        for n in 0.. {
            both(100);
            let mut at = copy(&ada, &worlds[n % 2]);
            assert!(told(&get(&mut at, &mut idp), "x-sso-user").is_some());
            ada = at;
            if idp.refreshes == renewals {
                break;
            }
        }
        for filter_state in &worlds {
            both(5_000);
            assert!(told(&get(&mut copy(&ada, filter_state), &mut idp), "x-sso-user").is_some());
        }
        assert_eq!(
            (idp.refreshes, idp.good.is_some()),
            (renewals, true),
            "one refresh, and the family is whole"
        );
    }
}

#[test]
fn replicas_draw_lots_for_sessions_in_use() {
    let host = TestHost::new();
    let filter_state = filter_state(&host, &configuration());
    let mut idp = Idp::new(&host);
    let mut ada = sign_in(&filter_state, &mut idp);
    host.advance(RECHECK);
    let begun = crate::host::Host::now(&*host);
    let mut exchange = 0;
    while idp.refreshes == 0 {
        assert!(told(&get(&mut ada, &mut idp), "x-sso-user").is_some());
        exchange += 1;
        host.advance(100);
    }
    assert!(exchange > 1, "the first request that found it due left it alone");
    assert!(crate::host::Host::now(&*host) - begun <= 5_200);
}
