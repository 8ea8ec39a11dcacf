#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use rsa::rand_core::RngCore;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};

use super::*;
use limbs::MASK;

#[path = "../../testing/rng.rs"]
mod rng;

use rng::TestRng as Rng;

impl Rng {
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill_bytes(&mut bytes);
        bytes
    }

    fn below(&mut self, bound: &BigUint) -> BigUint {
        BigUint::from_bytes_be(&self.bytes(bound.to_bytes_be().len() + 8)) % bound
    }
}

/// The numbers of a key, to be changed.
#[derive(Clone)]
struct Numbers {
    n: BigUint,
    e: u64,
    p: BigUint,
    q: BigUint,
    dp: BigUint,
    dq: BigUint,
    qinv: BigUint,
}

impl Numbers {
    fn of(key: &RsaPrivateKey) -> Self {
        let e = key.e().to_bytes_be().iter().fold(0, |e, byte| e << 8 | u64::from(*byte));
        Self {
            n: key.n().clone(),
            e,
            p: key.primes()[0].clone(),
            q: key.primes()[1].clone(),
            dp: key.dp().unwrap().clone(),
            dq: key.dq().unwrap().clone(),
            qinv: key.qinv().unwrap().to_biguint().unwrap(),
        }
    }

    fn key(&self) -> Option<Key> {
        Key::new(Parts {
            n: &self.n.to_bytes_be(),
            e: self.e,
            p: &self.p.to_bytes_be(),
            q: &self.q.to_bytes_be(),
            dp: &self.dp.to_bytes_be(),
            dq: &self.dq.to_bytes_be(),
            qinv: &self.qinv.to_bytes_be(),
        })
    }
}

fn padded(number: &BigUint, length: usize) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    [vec![0; length - bytes.len()], bytes].concat()
}

fn random(rng: &mut Rng) -> [u8; RANDOM] {
    rng.bytes(RANDOM).try_into().unwrap()
}

/// Holds the key against the crate `rsa`, with inputs at the edges and so many others.
fn same_as_rsa(theirs: &RsaPrivateKey, times: usize, rng: &mut Rng) {
    let numbers = Numbers::of(theirs);
    let (ours, n, length) = (numbers.key().unwrap(), theirs.n(), theirs.size());
    let one = BigUint::from(1u8);
    let mut inputs = vec![BigUint::from(0u8), one.clone(), BigUint::from(2u8), n - &one, n - 2u8, n >> 1];
    for prime in [&numbers.p, &numbers.q] {
        let other = n / prime;
        inputs.extend([prime.clone(), prime - &one, prime + &one, n - prime, prime * (&other - &one)]);
        inputs.extend([prime * rng.below(&other), prime * rng.below(&other) + &one]);
    }
    inputs.extend((0..8 * length).step_by(97).map(|bit| (&one << bit) % n));
    inputs.extend((0..8 * length).step_by(97).map(|bit| ((&one << bit) - &one) % n));
    inputs.extend((0..times).map(|_| rng.below(n)));
    for input in inputs {
        // Encryption is cheap, and has one inverse.
        let output = ours.apply(&random(rng), &padded(&input, length)).unwrap();
        assert_eq!(output.len(), length);
        assert_eq!(BigUint::from_bytes_be(&output).modpow(theirs.e(), n), input);
        assert!(BigUint::from_bytes_be(&output) < *n);
    }
    let input = rng.below(n);
    let expected = input.modpow(theirs.d(), n);
    for blinding in [[0; RANDOM], [0xFF; RANDOM], random(rng)] {
        let output = ours.apply(&blinding, &padded(&input, length)).unwrap();
        assert_eq!(BigUint::from_bytes_be(&output), expected);
    }
    for too_large in [n.clone(), n + &one, (&one << (8 * length)) - &one] {
        assert!(ours.apply(&random(rng), &padded(&too_large, length)).is_none());
    }
    for bytes in [vec![], vec![0; length - 1], vec![0; length + 1]] {
        assert!(ours.apply(&random(rng), &bytes).is_none());
    }
}

/// A prime of so many bits, the two highest of them ones.
fn prime(bits: usize, rng: &mut Rng) -> BigUint {
    let key = RsaPrivateKey::new(rng, 2 * bits).unwrap();
    key.primes()[0].clone()
}

fn of_primes(p: BigUint, q: BigUint, e: u64) -> RsaPrivateKey {
    RsaPrivateKey::from_p_q(p, q, BigUint::from(e)).unwrap()
}

#[test]
fn it_is_the_inverse_of_encryption_with_rsa_2048() {
    let mut rng = Rng(1);
    for _ in 0..2 {
        same_as_rsa(&RsaPrivateKey::new(&mut rng, 2048).unwrap(), 300, &mut rng);
    }
}

#[test]
fn it_is_the_inverse_of_encryption_with_rsa_3072() {
    let mut rng = Rng(2);
    same_as_rsa(&RsaPrivateKey::new(&mut rng, 3072).unwrap(), 60, &mut rng);
}

#[test]
fn it_is_the_inverse_of_encryption_with_rsa_4096() {
    let mut rng = Rng(3);
    same_as_rsa(&RsaPrivateKey::new(&mut rng, 4096).unwrap(), 20, &mut rng);
}

/// Each number of bits around those where a number needs another limb.
#[test]
fn small_keys_of_every_size() {
    let mut rng = Rng(4);
    for bits in 128..=360 {
        same_as_rsa(&RsaPrivateKey::new(&mut rng, bits).unwrap(), 20, &mut rng);
    }
}

#[test]
fn primes_in_either_order_of_unequal_size_and_other_public_exponents() {
    let mut rng = Rng(5);
    let [small, middle, large] = [100, 250, 700].map(|bits| prime(bits, &mut rng));
    for e in [65_537u64, 17, 257, (1 << 33) - 9] {
        for (p, q) in [(&small, &large), (&large, &small), (&middle, &large), (&middle, &small)] {
            // Of the exponents, one may share a factor with a prime's order.
            let Ok(key) = RsaPrivateKey::from_p_q(p.clone(), q.clone(), BigUint::from(e)) else { continue };
            same_as_rsa(&key, 50, &mut rng);
        }
    }
}

/// Primes whose limbs are ones, and powers of two with little beside them: 2^521 - 1, 2^607 - 1, 2^336 - 3, 2^255 - 19 and
/// 2^448 - 2^224 - 1.
#[test]
fn primes_at_the_edges_of_limbs() {
    let mut rng = Rng(6);
    let power = |bits: usize| BigUint::from(1u8) << bits;
    let primes = [
        power(521) - 1u8,
        power(607) - 1u8,
        power(336) - 3u8,
        power(255) - 19u8,
        power(448) - power(224) - 1u8,
    ];
    let mut held = 0;
    for p in &primes {
        for q in primes.iter().filter(|q| *q != p) {
            for e in [65_537u64, 17, 5] {
                let Ok(key) = RsaPrivateKey::from_p_q(p.clone(), q.clone(), BigUint::from(e)) else {
                    continue;
                };
                same_as_rsa(&key, 20, &mut rng);
                held += 1;
            }
        }
    }
    assert!(held >= 20, "{held}");
}

/// The sums of a product are largest where all limbs are ones; in a test an overflow panics. Moduli need not be primes here.
#[test]
fn products_of_limbs_of_ones_do_not_overflow() {
    let one = BigUint::from(1u8);
    for size in [4, 8, 36, 40, 56, 64, 68, 76, 112, 148, 256] {
        let all = &one << (28 * size);
        // The largest modulus for so many limbs, of ones but for the six bits that stay free.
        for n in [(&one << (28 * size - 6)) - &one, (&one << (28 * size - 7)) + &one] {
            let modulus = Modulus::new(&n.to_bytes_be(), size).unwrap();
            let mut columns = modulus.columns();
            let ones = limbs::from_bytes(&(&all - &one).to_bytes_be(), size).unwrap();
            assert!(ones.iter().skip(FRONT).take(size).all(|limb| *limb == MASK));
            let value = modulus.value();
            for (x, y) in [(&ones, &ones), (&ones, value), (value, value)] {
                let mut product = x.clone();
                modulus.times(&mut columns, &mut product, y);
                let got = BigUint::from_bytes_be(&limbs::to_bytes(&product, 4 * size));
                let [x, y] = [x, y].map(|x| BigUint::from_bytes_be(&limbs::to_bytes(x, 4 * size)));
                // Where both are far over the modulus, the result may be over `R`, which does not fit.
                let is_result = |got: &BigUint| (got * &all) % &n == (&x * &y) % &n && *got < &all + &n;
                assert!(is_result(&got) || x > n && y > n && is_result(&(got + &all)), "{size}");
            }
            let sum = limbs::multiply_add(&ones, &ones, &ones, 2 * size);
            let got = BigUint::from_bytes_be(&limbs::to_bytes(&sum, 8 * size));
            assert_eq!(got, (&all - &one) * &all);
        }
    }
}

#[test]
fn numbers_are_read_and_written_as_bytes() {
    let mut rng = Rng(7);
    for size in 1..12 {
        for length in 0..60 {
            let bytes = rng.bytes(length);
            let number = BigUint::from_bytes_be(&bytes);
            match limbs::from_bytes(&bytes, size) {
                Some(limbs) => assert_eq!(*limbs::to_bytes(&limbs, length), bytes),
                None => assert!(number.bits() > 28 * size),
            }
            assert_eq!(modulus::bits(&bytes) as usize, number.bits());
        }
    }
}

#[test]
fn the_chosen_power_is_the_one_asked_for() {
    let mut rng = Rng(8);
    let n = prime(200, &mut rng);
    let modulus = Modulus::new(&n.to_bytes_be(), 8).unwrap();
    let mut columns = modulus.columns();
    for exponent in (0..300u32).chain([MASK - 1, MASK]) {
        let x = rng.below(&n);
        let mut base = modulus.less(&x.to_bytes_be()).unwrap();
        modulus.enter(&mut columns, &mut base);
        let expected = x.modpow(&BigUint::from(exponent), &n);
        let limbs = limbs::small(exponent, 1);
        for mut power in [
            modulus.power(&mut columns, &base, &limbs, 1),
            modulus.public_power(&mut columns, &base, u64::from(exponent)),
        ] {
            modulus.leave(&mut columns, &mut power);
            assert_eq!(BigUint::from_bytes_be(&limbs::to_bytes(&power, 28)), expected, "{exponent}");
        }
    }
}

/// A key whose numbers do not belong together gives nothing: one wrong power would show a prime.
#[test]
fn a_broken_key_is_refused_or_gives_nothing() {
    let mut rng = Rng(9);
    let good = Numbers::of(&RsaPrivateKey::new(&mut rng, 512).unwrap());
    let message = padded(&rng.below(&good.n), 64);
    assert!(good.key().unwrap().apply(&random(&mut rng), &message).is_some());

    let change = |change: fn(&mut Numbers)| {
        let mut numbers = good.clone();
        change(&mut numbers);
        numbers
    };
    let at_use: [fn(&mut Numbers); 9] = [
        |key| key.dp += 2u8,
        |key| key.dp = BigUint::from(0u8),
        |key| key.dq -= 2u8,
        |key| key.dq = BigUint::from(1u8),
        |key| key.qinv += 1u8,
        |key| key.qinv = BigUint::from(0u8),
        |key| key.e = 65_539,
        |key| key.e = 1,
        |key| std::mem::swap(&mut key.p, &mut key.q),
    ];
    for broken in at_use.map(change) {
        if let Some(key) = broken.key() {
            assert!(key.apply(&random(&mut rng), &message).is_none());
        }
    }
    let at_load: [fn(&mut Numbers); 11] = [
        |key| key.n += 2u8,
        |key| key.n = BigUint::from(0u8),
        |key| key.n = &key.n << 28,
        |key| key.p += 1u8,
        |key| key.p += 2u8,
        |key| key.p = BigUint::from(1u8),
        |key| key.q = BigUint::from(0u8),
        |key| key.q = &key.q * 3u8,
        |key| key.dp = key.p.clone(),
        |key| key.dq = &key.dq << 600,
        |key| key.qinv = key.p.clone(),
    ];
    for broken in at_load.map(change) {
        assert!(broken.key().is_none());
    }
}

/// RFC 8017 leaves it open, and the crate `rsa` does too: a number that is composite gives no result.
#[test]
fn a_composite_in_the_place_of_a_prime_gives_nothing() {
    let mut rng = Rng(10);
    let [a, b, q] = [64, 64, 128].map(|bits| prime(bits, &mut rng));
    let key = of_primes(prime(128, &mut rng), q.clone(), 65_537);
    let mut numbers = Numbers::of(&key);
    numbers.p = a * b;
    numbers.n = &numbers.p * &q;
    numbers.qinv %= &numbers.p;
    numbers.dp %= &numbers.p;
    let key = numbers.key().unwrap();
    let message = padded(&rng.below(&numbers.n), numbers.n.to_bytes_be().len());
    assert!(key.apply(&random(&mut rng), &message).is_none());
}
