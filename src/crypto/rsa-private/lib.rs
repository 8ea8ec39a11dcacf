//! RSA's operation with a private key (RFC 8017 section 5.1.2) in constant time, compiled for speed.
//!
//! Time and addresses depend on the size of the key and on its public exponent alone: no branch and no address comes from a
//! secret, nothing is divided, and what is chosen is chosen by masks.

mod limbs;
mod modulus;
#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

use limbs::{Limbs, BITS, FRONT};
use modulus::{bits, size_for, Modulus};

/// Bytes of randomness for one operation.
pub const RANDOM: usize = 16;

/// A private key of two primes (RFC 8017 section 3.2), its numbers as bytes, the most significant first.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The modulus.
    pub n: &'a [u8],
    /// The public exponent.
    pub e: u64,
    /// The first prime.
    pub p: &'a [u8],
    /// The second prime.
    pub q: &'a [u8],
    /// The first prime's exponent.
    pub dp: &'a [u8],
    /// The second prime's exponent.
    pub dq: &'a [u8],
    /// The coefficient: `1 / q` modulo `p`.
    pub qinv: &'a [u8],
}

/// A private key, ready for use.
pub struct Key {
    n: Modulus,
    e: u64,
    p: Prime,
    q: Prime,
    qinv: Limbs,
    /// Bytes of the modulus.
    length: usize,
}

struct Prime {
    modulus: Modulus,
    exponent: Limbs,
    /// One less than the prime.
    order: Limbs,
}

impl Prime {
    fn new(prime: &[u8], exponent: &[u8], size: usize) -> Option<Self> {
        let modulus = Modulus::new(prime, size)?;
        let exponent = modulus.less(exponent)?;
        let mut order = modulus.value().clone();
        if let Some(first) = order.get_mut(FRONT) {
            *first &= !1;
        }
        Some(Self { modulus, exponent, order })
    }

    /// The power of a number, given as two halves of as many limbs as the prime has, in Montgomery form.
    ///
    /// The exponent is blinded: `random` times the prime's order is added, which leaves the power as it is (Kocher 1996).
    fn power(&self, columns: &mut [u64], halves: (&Limbs, &Limbs), random: &[u8]) -> Option<Limbs> {
        let (mut low, mut base) = (halves.0.clone(), halves.1.clone());
        self.modulus.enter(columns, &mut base);
        self.modulus.enter(columns, &mut base);
        self.modulus.enter(columns, &mut low);
        limbs::add(&mut base, &low);

        let bits = self.modulus.bits() + 8 * random.len() as u32;
        let length = bits.div_ceil(BITS) as usize;
        let factor = limbs::from_bytes(random, length)?;
        let exponent = limbs::multiply_add(&factor, &self.order, &self.exponent, length);
        Some(self.modulus.power(columns, &base, &exponent, length))
    }
}

impl Key {
    /// The key of these numbers; `None` if they cannot be those of a key. Whether the exponents are right shows at each use.
    pub fn new(parts: Parts<'_>) -> Option<Self> {
        let size = size_for(bits(parts.p).max(bits(parts.q)));
        let p = Prime::new(parts.p, parts.dp, size)?;
        let q = Prime::new(parts.q, parts.dq, size)?;
        let qinv = p.modulus.less(parts.qinv)?;
        let bits = bits(parts.n);
        let n = Modulus::new(parts.n, size_for(bits))?;
        let wide = n.size().max(2 * size);
        let product = limbs::multiply_add(p.modulus.value(), q.modulus.value(), &[], wide);
        let is_product = product[..] == limbs::from_bytes(parts.n, wide)?[..];
        is_product.then_some(Self { n, e: parts.e, p, q, qinv, length: bits.div_ceil(8) as usize })
    }

    /// `input` to the power of the private exponent, both as long as the modulus.
    ///
    /// `None` if the input has another length or is not less than the modulus. `None` too if the result's power to the public
    /// exponent is not the input: after a fault in the arithmetic the result would show a prime (Boneh, DeMillo, Lipton 1997).
    pub fn apply(&self, random: &[u8; RANDOM], input: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if input.len() != self.length {
            return None;
        }
        let input = self.n.less(input)?;
        let result = self.by_primes(random, &input)?;
        let mut columns = self.n.columns();
        let mut base = result.clone();
        self.n.enter(&mut columns, &mut base);
        let mut check = self.n.public_power(&mut columns, &base, self.e);
        self.n.leave(&mut columns, &mut check);
        let differs = check.iter().zip(input.iter()).fold(0, |differs, (a, b)| differs | (a ^ b));
        (differs == 0).then(|| limbs::to_bytes(&result, self.length))
    }

    /// The powers modulo the primes, and from both the power modulo their product (RFC 8017 section 5.1.2, 2.b).
    fn by_primes(&self, random: &[u8; RANDOM], input: &[u32]) -> Option<Limbs> {
        let (p, q) = (&self.p.modulus, &self.q.modulus);
        let halves = (&limbs::part(input, 0, p.size()), &limbs::part(input, p.size(), p.size()));
        let (first, second) = random.split_at(RANDOM / 2);
        let mut columns = p.columns();
        let mut m2 = self.q.power(&mut columns, halves, second)?;
        q.leave(&mut columns, &mut m2);

        let mut h = self.p.power(&mut columns, halves, first)?;
        let mut other = m2.clone();
        p.enter(&mut columns, &mut other);
        p.subtract(&mut h, &other);
        p.times(&mut columns, &mut h, &self.qinv);
        p.cut(&mut h);
        Some(limbs::multiply_add(&h, q.value(), &m2, self.n.size()))
    }
}
