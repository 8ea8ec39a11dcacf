use rsa::pkcs8::DecodePrivateKey;
use rsa::rand_core::RngCore;
use rsa::signature::Verifier;
use rsa::{pkcs1v15, pss};
use sha1::Sha1;

use super::*;
use crate::crypto::test_keys::{RSA_3072, RSA_A};
use crate::testing::rng::TestRng;
use crate::testing::TestHost;

const HASHES: [OaepHash; 2] = [OaepHash::Sha1, OaepHash::Sha256];

fn keys() -> [RsaPrivateKey; 2] {
    [RSA_A, RSA_3072].map(|pem| RsaPrivateKey::from_pkcs8_pem(pem).unwrap())
}

fn every_oaep() -> impl Iterator<Item = Oaep> {
    HASHES.into_iter().flat_map(|label| HASHES.map(|mask| Oaep { label, mask }))
}

/// The padding of the crate `rsa` with the same hashes.
fn theirs(oaep: Oaep) -> rsa::Oaep {
    match (oaep.label, oaep.mask) {
        (OaepHash::Sha1, OaepHash::Sha1) => rsa::Oaep::new::<Sha1>(),
        (OaepHash::Sha256, OaepHash::Sha1) => rsa::Oaep::new_with_mgf_hash::<Sha256, Sha1>(),
        (OaepHash::Sha1, OaepHash::Sha256) => rsa::Oaep::new_with_mgf_hash::<Sha1, Sha256>(),
        (OaepHash::Sha256, OaepHash::Sha256) => rsa::Oaep::new::<Sha256>(),
    }
}

#[test]
fn opens_what_the_crate_rsa_encrypted_and_under_no_other_hashes() {
    let (host, mut rng) = (TestHost::new(), TestRng(1));
    for key in keys() {
        let ours = RsaKey::new(&key).unwrap();
        for oaep in every_oaep() {
            let hash = oaep.label.of(&[], &[]).len();
            let longest = key.size() - 2 * hash - 2;
            for length in [0, 1, 16, 32, longest - 1, longest] {
                let mut message = vec![0; length];
                rng.fill_bytes(&mut message);
                let sealed = key.to_public_key().encrypt(&mut rng, theirs(oaep), &message).unwrap();
                for other in every_oaep() {
                    let opened = ours.decrypt(&*host, other, &sealed).unwrap();
                    assert_eq!(opened.is_some(), other == oaep, "{oaep:?} {other:?}");
                    assert!(opened.is_none_or(|opened| *opened == message));
                }
            }
        }
    }
}

/// EME-OAEP (RFC 8017 section 7.1.1) with a seed of sevens, and what a test changes before the masks.
fn sealed(key: &RsaPrivateKey, oaep: Oaep, change: &dyn Fn(&mut Vec<u8>)) -> Vec<u8> {
    let hash = oaep.label.of(&[], &[]);
    let mut block = hash.clone();
    block.resize(key.size() - hash.len() - 2 - b"message".len(), 0);
    block.push(1);
    block.extend(b"message");
    block.splice(0..0, [0]);
    change(&mut block);
    let (first, block) = block.split_first_mut().unwrap();
    let mut seed = vec![7; hash.len()];
    oaep.mask.mask(&seed, block);
    oaep.mask.mask(block, &mut seed);
    let encoded = BigUint::from_bytes_be(&[&[*first], &seed[..], block].concat());
    let sealed = encoded.modpow(key.e(), key.n()).to_bytes_be();
    [vec![0; key.size() - sealed.len()], sealed].concat()
}

#[test]
fn a_malformed_padding_is_refused_wherever_the_fault_is() {
    let host = TestHost::new();
    for key in keys() {
        let ours = RsaKey::new(&key).unwrap();
        for oaep in every_oaep() {
            let open = |change: &dyn Fn(&mut Vec<u8>)| {
                let sealed = sealed(&key, oaep, change);
                let opened = ours.decrypt(&*host, oaep, &sealed).unwrap();
                // The crate `rsa` says the same.
                assert_eq!(opened.as_deref(), key.decrypt(theirs(oaep), &sealed).ok().as_ref());
                opened
            };
            let hash = oaep.label.of(&[], &[]).len();
            let one = key.size() - hash - b"message".len() - 1;
            assert_eq!(*open(&|_| ()).unwrap(), b"message");

            assert_eq!(open(&|block| block[0] = 1), None, "the first byte");
            for at in [1, 2, hash] {
                assert_eq!(open(&|block| block[at] ^= 1), None, "the label's hash at {at}");
            }
            assert_eq!(open(&|block| block[one] = 2), None, "another byte for 0x01");
            for (at, byte) in [(hash + 1, 2), (one - 1, 255), (one - 9, 128)] {
                assert_eq!(open(&|block| block[at] = byte), None, "a byte within the zeros");
            }
            assert_eq!(open(&|block| block[hash + 1..].fill(0)), None, "no 0x01");

            // Their twins: what follows the first 0x01 is the message, and it may be empty.
            let early = open(&|block| block[one - 1] = 1).unwrap();
            assert_eq!(*early, [&[1], &b"message"[..]].concat());
            let all = open(&|block| block[hash + 1] = 1).unwrap();
            assert_eq!(all.len(), key.size() - 2 * hash - 2);
            let none = open(&|block| {
                block[hash + 1..].fill(0);
                block.pop();
                block.push(1);
            });
            assert_eq!(*none.unwrap(), b"");
        }
    }
}

#[test]
fn an_encoded_message_too_short_for_its_hashes_is_refused() {
    for oaep in every_oaep() {
        let shortest = 2 * oaep.label.of(&[], &[]).len() + 2;
        for length in 0..shortest {
            assert_eq!(oaep.decode(&mut vec![0; length]), None, "{length}");
        }
        // Their twin: an empty message.
        let mut encoded = vec![0; shortest];
        let (seed, block) = encoded[1..].split_at_mut(shortest / 2 - 1);
        let (hash, last) = block.split_at_mut(shortest / 2 - 1);
        hash.copy_from_slice(&oaep.label.of(&[], &[]));
        last.fill(1);
        oaep.mask.mask(seed, block);
        oaep.mask.mask(block, seed);
        assert_eq!(*oaep.decode(&mut encoded).unwrap(), b"");
    }
}

#[test]
fn a_ciphertext_of_another_length_or_over_the_modulus_is_refused() {
    let (host, oaep) = (TestHost::new(), Oaep { label: OaepHash::Sha1, mask: OaepHash::Sha1 });
    let [key, _] = keys();
    let ours = RsaKey::new(&key).unwrap();
    let good = sealed(&key, oaep, &|_| ());
    assert!(ours.decrypt(&*host, oaep, &good).unwrap().is_some());
    for bad in [&good[1..], &[&[0], &good[..]].concat(), &[], &[0xFF; 256], &key.n().to_bytes_be(), &[0; 256]]
    {
        assert!(ours.decrypt(&*host, oaep, bad).unwrap().is_none());
    }
}

#[test]
fn signatures_verify_by_the_crate_rsa() {
    let (host, mut rng) = (TestHost::new(), TestRng(2));
    let mut keys = keys().to_vec();
    // Sizes at which PSS has a byte less than the modulus, or less bits in its first.
    keys.extend((1024..=1033).map(|bits| RsaPrivateKey::new(&mut rng, bits).unwrap()));
    for key in keys {
        let (ours, public) = (RsaKey::new(&key).unwrap(), key.to_public_key());
        for message in [&b""[..], b"text", &[0xFF; 300]] {
            let signature = ours.sign(&*host, message).unwrap().unwrap();
            let signature = pkcs1v15::Signature::try_from(&signature[..]).unwrap();
            let verifier = pkcs1v15::VerifyingKey::<Sha256>::new(public.clone());
            verifier.verify(message, &signature).unwrap();
            assert!(verifier.verify(b"another", &signature).is_err());

            let signature = ours.sign_pss(&*host, message).unwrap().unwrap();
            assert_ne!(signature, ours.sign_pss(&*host, message).unwrap().unwrap(), "its salt is used once");
            let signature = pss::Signature::try_from(&signature[..]).unwrap();
            let verifier = pss::VerifyingKey::<Sha256>::new(public.clone());
            verifier.verify(message, &signature).unwrap();
            assert!(verifier.verify(b"another", &signature).is_err());
        }
    }
}

#[test]
fn a_key_is_not_used_without_randomness() {
    let (host, oaep) = (TestHost::new(), Oaep { label: OaepHash::Sha1, mask: OaepHash::Sha1 });
    let [key, _] = keys();
    let ours = RsaKey::new(&key).unwrap();
    host.fail_random();
    assert!(ours.decrypt(&*host, oaep, &[0; 256]).is_err());
    assert!(ours.sign(&*host, b"text").is_err());
    assert!(ours.sign_pss(&*host, b"text").is_err());
}

#[test]
fn a_key_of_three_primes_or_of_one_twice_is_refused() {
    let mut rng = TestRng(3);
    let e = BigUint::from(65_537u32);
    let [p, q, r] =
        [256, 258, 260].map(|bits| RsaPrivateKey::new(&mut rng, bits).unwrap().primes()[0].clone());
    let of = |primes| RsaKey::new(&RsaPrivateKey::from_primes(primes, e.clone()).unwrap());
    assert!(of(vec![p.clone(), q.clone()]).is_some());
    assert!(of(vec![p.clone(), q.clone(), r.clone()]).is_none());

    let exponent = RsaPrivateKey::from_p_q(p.clone(), q, e.clone()).unwrap().d().clone();
    let twice = RsaPrivateKey::from_components(&p * &p, e, exponent, vec![p.clone(), p]).unwrap();
    assert!(RsaKey::new(&twice).is_none());
}
