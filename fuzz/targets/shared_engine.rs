//! What an engine that several Envoys share may send: any bytes are read without harm, and none let anyone in.

use envoy_sso::crypto::seal::KeyRing;
use envoy_sso::replicas::etcd;
use envoy_sso::replicas::follow::{Follower, Known};
use envoy_sso::replicas::keys::Keys;
use envoy_sso::replicas::marks::Mark;

pub fn run(data: &[u8]) {
    let _ = (etcd::read_watch(data), etcd::read_page(data), etcd::read_transaction(data));
    let known = Known::read(data);
    assert!(data.len() < 16 || known.write() == data);
    // Nothing that was not sealed with the keys is a mark.
    let ring = KeyRing::new(vec![("k".to_owned(), [7; 32])]);
    assert_eq!(Mark::open(&ring, b"sso/1/m/00", data), None);
    // A follower survives every message at every stage.
    let mut follower = Follower::new(Keys::new("sso"), 1_000, Known::default());
    for now in [1_000u64, 2_000, 9_000] {
        follower.tick(now);
        follower.opened(now, true);
        follower.told(now, data);
        follower.told(now, &[0x0a, 0x04, 0x08, 0x07, 0x18, 0x09, 0x18, 0x01]); // created
        follower.told(now, data);
    }
}
