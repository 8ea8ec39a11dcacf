//! Numbers as limbs of 28 bits, the least first: 256 products of two limbs fit in a `u64`, so that carries can wait.
//!
//! A number of `size` limbs stands between zeros, `FRONT` before it and some behind it: the product reads it shifted by up to
//! three limbs, in windows of eleven.

use std::ops::{Deref, DerefMut};

use zeroize::{Zeroize, Zeroizing};

/// Bits of a limb.
pub const BITS: u32 = 28;

/// A limb of ones.
pub const MASK: u32 = (1 << BITS) - 1;

/// Zeros in front of a number.
pub const FRONT: usize = 3;

/// Columns that the inner loop of the product takes at once.
pub const STRIDE: usize = 8;

/// A number between its zeros, wiped when dropped.
#[derive(Clone)]
pub struct Limbs(Vec<u32>);

impl Deref for Limbs {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.0
    }
}

impl DerefMut for Limbs {
    fn deref_mut(&mut self) -> &mut [u32] {
        &mut self.0
    }
}

impl Drop for Limbs {
    #[inline(never)]
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The columns of a product, wiped when dropped.
pub struct Columns(Vec<u64>);

impl Deref for Columns {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.0
    }
}

impl DerefMut for Columns {
    fn deref_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

impl Drop for Columns {
    #[inline(never)]
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// So many columns, all zero.
#[inline(never)]
pub fn columns(length: usize) -> Columns {
    Columns(vec![0; length])
}

/// Columns that four rows of a product reach behind their first four, in whole strides.
pub fn reach(size: usize) -> usize {
    size.next_multiple_of(STRIDE)
}

/// Zero, with room for `size` limbs.
#[inline(never)]
pub fn zero(size: usize) -> Limbs {
    Limbs(vec![0; 1 + FRONT + reach(size) + FRONT])
}

/// A number below 2^28, with room for `size` limbs.
#[inline(never)]
pub fn small(value: u32, size: usize) -> Limbs {
    let mut limbs = zero(size);
    if let Some(first) = limbs.get_mut(FRONT) {
        *first = value;
    }
    limbs
}

/// The number of these bytes, the most significant first; `None` if it needs more than `size` limbs.
#[inline(never)]
pub fn from_bytes(bytes: &[u8], size: usize) -> Option<Limbs> {
    let mut limbs = zero(size);
    let mut bytes = bytes.iter().rev();
    let (mut held, mut bits) = (0u64, 0);
    for place in limbs.iter_mut().skip(FRONT).take(size) {
        while bits < BITS {
            held |= u64::from(*bytes.next().unwrap_or(&0)) << bits;
            bits += 8;
        }
        *place = held as u32 & MASK;
        held >>= BITS;
        bits -= BITS;
    }
    let excess = bytes.fold(held, |excess, byte| excess | u64::from(*byte));
    (excess == 0).then_some(limbs)
}

/// The last `length` bytes of a number, the most significant first.
#[inline(never)]
pub fn to_bytes(limbs: &[u32], length: usize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    let mut limbs = limbs.iter().skip(FRONT);
    let (mut held, mut bits) = (0u64, 0);
    for place in bytes.iter_mut().rev() {
        if bits < 8 {
            held |= u64::from(*limbs.next().unwrap_or(&0)) << bits;
            bits += BITS;
        }
        *place = held as u8;
        held >>= 8;
        bits -= 8;
    }
    bytes
}

/// The `size` limbs from one of them on, as a number of their own.
#[inline(never)]
pub fn part(limbs: &[u32], from: usize, size: usize) -> Limbs {
    let mut part = zero(size);
    let places = part.iter_mut().skip(FRONT).take(size);
    for (to, from) in places.zip(limbs.iter().skip(FRONT + from)) {
        *to = *from;
    }
    part
}

/// Leaves 28 bits of each column, and carries the rest to the next.
#[inline(never)]
pub fn carry(columns: &mut [u64]) {
    let mut carry = 0;
    for column in columns {
        let sum = *column + carry;
        *column = sum & u64::from(MASK);
        carry = sum >> BITS;
    }
}

/// The number of so many columns, carried.
#[inline(never)]
pub fn settle(columns: &[u64], limbs: &mut [u32], size: usize) {
    let mut carry = 0;
    for (limb, column) in limbs.iter_mut().skip(FRONT).take(size).zip(columns) {
        let sum = *column + carry;
        *limb = sum as u32 & MASK;
        carry = sum >> BITS;
    }
}

/// Adds `b` to `a`.
#[inline(never)]
pub fn add(a: &mut [u32], b: &[u32]) {
    let mut carry = 0;
    for (a, b) in a.iter_mut().zip(b) {
        let sum = *a + *b + carry;
        *a = sum & MASK;
        carry = sum >> BITS;
    }
}

/// What is left of `a - b` below the last limb: 0, or -1 if `a` is less.
#[inline(never)]
pub fn compare(a: &[u32], b: &[u32]) -> i64 {
    let mut borrow = 0;
    for (a, b) in a.iter().zip(b) {
        borrow = (i64::from(*a) - i64::from(*b) + borrow) >> BITS;
    }
    borrow
}

/// `a * b + c` in `size` limbs.
#[inline(never)]
pub fn multiply_add(a: &[u32], b: &[u32], c: &[u32], size: usize) -> Limbs {
    let mut columns = columns(size);
    for (column, limb) in columns.iter_mut().zip(c.iter().skip(FRONT)) {
        *column = u64::from(*limb);
    }
    for (at, a) in a.iter().skip(FRONT).enumerate() {
        for (column, b) in columns.iter_mut().skip(at).zip(b.iter().skip(FRONT)) {
            *column += u64::from(*a) * u64::from(*b);
        }
        if at % 64 == 63 {
            carry(&mut columns);
        }
    }
    let mut sum = zero(size);
    settle(&columns, &mut sum, size);
    sum
}
