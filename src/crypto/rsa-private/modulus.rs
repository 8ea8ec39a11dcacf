//! Arithmetic modulo an odd number by Montgomery's method (Mathematics of Computation 44, 1985), without a branch or an address
//! that depends on a value.
//!
//! `R` is 2^28 to the power of `size`, more than 64 times the modulus: what goes into a product may be four times the modulus, what
//! comes out is little more than twice, and nothing is subtracted in between (Walter, Electronics Letters 35, 1999).

use std::hint::black_box;

use zeroize::Zeroizing;

use crate::limbs::{self, Columns, Limbs, BITS, FRONT, MASK, STRIDE};

/// Bits of an exponent that are looked up at once. They divide a limb.
const WINDOW: u32 = 4;

/// Rows of a product that are taken at once.
const ROWS: usize = 4;

/// Blocks of rows after which columns are carried: 16 blocks of 8 products are less than 2^63.
const BLOCKS: usize = 16;

/// Limbs that so many columns read of a number.
const WIDE: usize = STRIDE + FRONT;

/// An odd modulus.
pub struct Modulus {
    size: usize,
    bits: u32,
    value: Limbs,
    /// `R` modulo the modulus: one, in Montgomery form.
    one: Limbs,
    /// The square of `R` modulo the modulus: what brings a number into Montgomery form.
    square: Limbs,
    /// One.
    unit: Limbs,
    /// `-1 / value` modulo 2^28.
    inverse: u64,
}

/// How many bits a number has.
pub fn bits(bytes: &[u8]) -> u32 {
    let mut bytes = bytes.iter().skip_while(|byte| **byte == 0);
    let Some(first) = bytes.next() else { return 0 };
    8 - first.leading_zeros() + 8 * bytes.count() as u32
}

/// How many limbs a modulus of so many bits needs.
pub fn size_for(bits: u32) -> usize {
    ((bits + 6).div_ceil(BITS) as usize).next_multiple_of(ROWS)
}

impl Modulus {
    /// The modulus of these bytes; `None` if it is even, less than three or too large for so many limbs.
    pub fn new(bytes: &[u8], size: usize) -> Option<Self> {
        let bits = bits(bytes);
        let value = limbs::from_bytes(bytes, size)?;
        let first = *value.get(FRONT)?;
        if first & 1 == 0 || bits < 2 || size < size_for(bits) || !size.is_multiple_of(ROWS) {
            return None;
        }
        // Newton: each step doubles the bits that are right, of which an odd number has three.
        let inverse = (0..4).fold(first, |x, _| x.wrapping_mul(2u32.wrapping_sub(first.wrapping_mul(x))));
        let inverse = u64::from(inverse.wrapping_neg() & MASK);
        let unit = limbs::small(1, size);
        let mut modulus =
            Self { size, bits, value, one: limbs::zero(size), square: limbs::zero(size), unit, inverse };
        modulus.prepare();
        Some(modulus)
    }

    /// `R` by doubling, and its square by squaring what a sixteenth of its exponent gives.
    fn prepare(&mut self) {
        let width = BITS * self.size as u32;
        let mut power = limbs::zero(self.size);
        let top = self.bits - 1;
        if let Some(limb) = power.get_mut(FRONT + (top / BITS) as usize) {
            *limb = 1 << (top % BITS);
        }
        for _ in top..width {
            self.double(&mut power);
        }
        self.one = power.clone();
        for _ in 0..width / 16 {
            self.double(&mut power);
        }
        let mut columns = self.columns();
        for _ in 0..4 {
            self.square(&mut columns, &mut power);
        }
        self.square = power;
    }

    #[inline(never)]
    fn double(&self, a: &mut [u32]) {
        let mut carry = 0;
        for limb in a.iter_mut() {
            let sum = 2 * *limb + carry;
            *limb = sum & MASK;
            carry = sum >> BITS;
        }
        self.cut(a);
    }

    /// How many bits it has.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// How many limbs its numbers have.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Its own number.
    pub fn value(&self) -> &Limbs {
        &self.value
    }

    /// The number of these bytes, if it is less than the modulus.
    pub fn less(&self, bytes: &[u8]) -> Option<Limbs> {
        limbs::from_bytes(bytes, self.size).filter(|number| limbs::compare(number, &self.value) < 0)
    }

    /// Room for products.
    pub fn columns(&self) -> Columns {
        limbs::columns(self.size + ROWS + limbs::reach(self.size))
    }

    /// Brings a number below `R` into Montgomery form.
    pub fn enter(&self, columns: &mut [u64], a: &mut [u32]) {
        self.times(columns, a, &self.square);
    }

    /// Brings a number out of Montgomery form, below the modulus.
    pub fn leave(&self, columns: &mut [u64], a: &mut [u32]) {
        self.times(columns, a, &self.unit);
        self.cut(a);
    }

    /// Subtracts the modulus once from a number that has reached it.
    #[inline(never)]
    pub fn cut(&self, a: &mut [u32]) {
        let keep = black_box(!limbs::compare(a, &self.value) as u32);
        let mut borrow = 0;
        for (a, n) in a.iter_mut().zip(self.value.iter()) {
            let difference = i64::from(*a) - i64::from(n & keep) + borrow;
            *a = difference as u32 & MASK;
            borrow = difference >> BITS;
        }
    }

    /// `a - b`, and twice the modulus, so that the difference of two numbers below that is not negative.
    #[inline(never)]
    pub fn subtract(&self, a: &mut [u32], b: &[u32]) {
        let mut carry = 0;
        for ((a, b), n) in a.iter_mut().zip(b).zip(self.value.iter()) {
            let difference = i64::from(*a) - i64::from(*b) + 2 * i64::from(*n) + carry;
            *a = difference as u32 & MASK;
            carry = difference >> BITS;
        }
    }

    /// `a * b / R`, in the place of `a`.
    #[inline(never)]
    pub fn times(&self, columns: &mut [u64], a: &mut [u32], b: &[u32]) {
        self.product(columns, a, b);
        limbs::settle(columns.get(self.size..).unwrap_or_default(), a, self.size);
    }

    /// `a * a / R`, in the place of `a`.
    fn square(&self, columns: &mut [u64], a: &mut [u32]) {
        self.product(columns, a, a);
        limbs::settle(columns.get(self.size..).unwrap_or_default(), a, self.size);
    }

    /// `a * b + m * modulus`, where `m` makes the lower `size` columns zero; the others hold the result, not yet carried.
    #[inline(never)]
    fn product(&self, columns: &mut [u64], a: &[u32], b: &[u32]) {
        columns.fill(0);
        let rows = a.get(FRONT..FRONT + self.size).unwrap_or_default().chunks_exact(ROWS);
        for (number, rows) in rows.enumerate() {
            let Some(columns) = columns.get_mut(ROWS * number..) else { return };
            if number % BLOCKS == BLOCKS - 1 {
                limbs::carry(columns);
            }
            let &[x0, x1, x2, x3] = rows else { return };
            self.block(columns, [x0, x1, x2, x3].map(u64::from), b);
        }
    }

    /// Four rows of a product at once: their first four columns give four limbs of `m`, then the other columns take eight
    /// products each, without a carry between them.
    #[inline(always)]
    fn block(&self, columns: &mut [u64], x: [u64; ROWS], b: &[u32]) {
        let n: &[u32] = &self.value;
        let [t0, t1, t2, t3, columns @ ..] = columns else { return };
        let (&[_, _, _, n0, n1, n2, n3, ..], &[_, _, _, b0, b1, b2, b3, ..]) = (n, b) else { return };
        let [n0, n1, n2, n3] = [n0, n1, n2, n3].map(u64::from);
        let [b0, b1, b2, b3] = [b0, b1, b2, b3].map(u64::from);
        let [x0, x1, x2, x3] = x;
        let quotient = |column: u64| column.wrapping_mul(self.inverse) & u64::from(MASK);

        let t = *t0 + x0 * b0;
        let m0 = quotient(t);
        let t = ((t + m0 * n0) >> BITS) + *t1 + x0 * b1 + x1 * b0 + m0 * n1;
        let m1 = quotient(t);
        let t = ((t + m1 * n0) >> BITS) + *t2 + x0 * b2 + x1 * b1 + x2 * b0 + m0 * n2 + m1 * n1;
        let m2 = quotient(t);
        let t = ((t + m2 * n0) >> BITS) + *t3 + x0 * b3 + x1 * b2 + x2 * b1 + x3 * b0;
        let t = t + m0 * n3 + m1 * n2 + m2 * n1;
        let m3 = quotient(t);
        if let Some(next) = columns.first_mut() {
            *next += (t + m3 * n0) >> BITS;
        }

        let b = b.get(1 + FRONT..).unwrap_or_default().windows(WIDE).step_by(STRIDE);
        let n = n.get(1 + FRONT..).unwrap_or_default().windows(WIDE).step_by(STRIDE);
        for ((columns, b), n) in columns.chunks_exact_mut(STRIDE).zip(b).zip(n) {
            // Of known lengths, so that the loop over them is unrolled.
            let Ok(columns) = <&mut [u64; STRIDE]>::try_from(columns) else { return };
            let (Ok(b), Ok(n)) = (<&[u32; WIDE]>::try_from(b), <&[u32; WIDE]>::try_from(n)) else { return };
            for ((column, b), n) in columns.iter_mut().zip(b.windows(ROWS)).zip(n.windows(ROWS)) {
                let (&[b3, b2, b1, b0], &[n3, n2, n1, n0]) = (b, n) else { return };
                *column += x0 * u64::from(b0) + x1 * u64::from(b1) + x2 * u64::from(b2) + x3 * u64::from(b3);
                *column += m0 * u64::from(n0) + m1 * u64::from(n1) + m2 * u64::from(n2) + m3 * u64::from(n3);
            }
        }
    }

    /// `x` to the power of the lower `length` limbs of an exponent. All powers are read for each window, and all windows have
    /// their product, so that the exponent shows neither in an address nor in a branch.
    pub fn power(&self, columns: &mut [u64], x: &[u32], exponent: &[u32], length: usize) -> Limbs {
        let mut powers = Zeroizing::new(Vec::with_capacity(x.len() << WINDOW));
        let mut result = self.one.clone();
        for _ in 0..1 << WINDOW {
            powers.extend_from_slice(&result);
            self.times(columns, &mut result, x);
        }
        let mut chosen = limbs::zero(self.size);
        result.copy_from_slice(&self.one);
        for limb in exponent.iter().skip(FRONT).take(length).rev() {
            for shift in (0..BITS).step_by(WINDOW as usize).rev() {
                for _ in 0..WINDOW {
                    self.square(columns, &mut result);
                }
                choose(&powers, limb >> shift & ((1 << WINDOW) - 1), &mut chosen);
                self.times(columns, &mut result, &chosen);
            }
        }
        result
    }

    /// `x` to the power of an exponent that everyone may know.
    pub fn public_power(&self, columns: &mut [u64], x: &[u32], exponent: u64) -> Limbs {
        let mut result = self.one.clone();
        for bit in (0..u64::BITS - exponent.leading_zeros()).rev() {
            self.square(columns, &mut result);
            if exponent >> bit & 1 == 1 {
                self.times(columns, &mut result, x);
            }
        }
        result
    }
}

/// The power of this number, by reading all of them.
#[inline(never)]
fn choose(powers: &[u32], wanted: u32, chosen: &mut [u32]) {
    chosen.fill(0);
    for (number, power) in (0..).zip(powers.chunks_exact(chosen.len())) {
        let differs = (number ^ wanted).wrapping_neg() >> 31;
        let mask = black_box(differs.wrapping_sub(1));
        for (to, from) in chosen.iter_mut().zip(power) {
            *to |= from & mask;
        }
    }
}
