//! One operation of a key with the public exponent 65537, for `tests/e2e/test_private_key.py`, which counts its instructions.
//!
//! From standard input, each number in half of the modulus' bytes: `p`, `q`, `dp`, `dq`, `qinv`; then 16 bytes of randomness, the
//! modulus and the input. The output goes to standard error, which looks for no ends of lines in it.

use std::io::{Error, Read, Write};

use rsa_private::{Key, Parts, RANDOM};

fn main() -> Result<(), Error> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let half = (bytes.len() - RANDOM) / 9;
    let (numbers, rest) = bytes.split_at(5 * half);
    let (random, rest) = rest.split_at(RANDOM);
    let (n, input) = rest.split_at(2 * half);
    let numbers: Vec<&[u8]> = numbers.chunks(half).collect();
    let Ok([p, q, dp, dq, qinv]) = <[&[u8]; 5]>::try_from(numbers) else { return Ok(()) };
    let Ok(random) = random.try_into() else { return Ok(()) };

    let key = Key::new(Parts { n, e: 65_537, p, q, dp, dq, qinv });
    let output = key.and_then(|key| key.apply(random, input)).ok_or(Error::other("nothing"))?;
    std::io::stderr().write_all(&output)
}
