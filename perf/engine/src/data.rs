//! Keys and rows: the same for every engine, decided by numbers alone.
//!
//! A row has 400 bytes: three numbers, 120 random digits, and words of a small vocabulary. LZ4 makes about
//! two thirds of it, Zstandard half: between text and the random digits of sysbench.

/// Bytes of a row's value.
pub const ROW_BYTES: usize = 400;
/// Bytes of a key: index id, then the number as a signed integer's sort key.
pub const KEY_BYTES: usize = 12;
/// Bytes that a user would say a row has.
pub const LOGICAL_BYTES: u64 = (ROW_BYTES + KEY_BYTES) as u64;

const INDEX_ID: u32 = 1_024;
const DIGITS: usize = 120;
const WORDS: [&str; 16] = [
    "pending ",
    "delivered ",
    "customer ",
    "order ",
    "invoice ",
    "returned ",
    "north ",
    "south ",
    "express ",
    "standard ",
    "priority ",
    "warehouse ",
    "payment ",
    "credit ",
    "refund ",
    "address ",
];

/// A small generator of numbers (xorshift), enough to spread keys.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that a seed decides.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound.max(1)
    }
}

/// The key of row `number`. Even numbers are rows; odd ones are never written, and lie between them.
#[must_use]
pub fn key_of(number: u64) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..4].copy_from_slice(&INDEX_ID.to_be_bytes());
    key[4..].copy_from_slice(&(number | 1 << 63).to_be_bytes());
    key
}

/// The key of the `n`-th row.
#[must_use]
pub fn row_key(n: u64) -> [u8; KEY_BYTES] {
    key_of(n * 2)
}

/// A key beside that of the `n`-th row which no row has.
#[must_use]
pub fn absent_key(n: u64) -> [u8; KEY_BYTES] {
    key_of(n * 2 + 1)
}

/// Writes a row into `row`.
pub fn fill_row(random: &mut Random, row: &mut Vec<u8>) {
    row.clear();
    for _ in 0..3 {
        row.extend_from_slice(&random.below(1 << 40).to_le_bytes());
    }
    while row.len() < 24 + DIGITS {
        let number = random.next();
        row.extend((0..8).map(|digit| b'0' + (number >> (digit * 8)).to_le_bytes()[0] % 10));
    }
    while row.len() < ROW_BYTES {
        let word = WORDS[usize::try_from(random.below(16)).unwrap_or(0)];
        row.extend_from_slice(word.as_bytes());
    }
    row.truncate(ROW_BYTES);
}

/// Numbers from 0 to `count - 1`, each once, in an order that looks random.
#[derive(Clone, Debug)]
pub struct Shuffled {
    count: u64,
    step: u64,
    at: u64,
    left: u64,
}

impl Shuffled {
    /// The order for a count.
    #[must_use]
    pub fn new(count: u64) -> Self {
        // About the golden section of the range, so that neighbours in time are far apart in key.
        let mut step = count / 1_000 * 618 + 7_919;
        while greatest_common_divisor(step, count) != 1 {
            step += 1;
        }
        Self { count, step: step % count, at: 0, left: count }
    }
}

impl Iterator for Shuffled {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        self.at = (self.at + self.step) % self.count;
        Some(self.at)
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
