//! Decimal digits of integers, written without a detour through `fmt`.

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = pairs();

const fn pairs() -> [[u8; 2]; 100] {
    let mut table = [[b'0'; 2]; 100];
    let (mut tens, mut index) = (0, 0);
    while tens < 10 {
        let mut ones = 0;
        while ones < 10 {
            table[index] = [b'0' + tens, b'0' + ones];
            index += 1;
            ones += 1;
        }
        tens += 1;
    }
    table
}

/// Longest integer: 20 digits.
const DIGITS_MAX: usize = 20;

/// The digits of one integer, right-aligned.
pub(super) struct Digits {
    buffer: [u8; DIGITS_MAX + 1],
    start: usize,
}

impl Digits {
    pub(super) fn unsigned(mut value: u64) -> Self {
        let mut buffer = [0; DIGITS_MAX + 1];
        let mut start = buffer.len();
        while value >= 100 {
            start -= 2;
            buffer[start..start + 2].copy_from_slice(&pair(value % 100));
            value /= 100;
        }
        let [tens, ones] = pair(value);
        start -= 1;
        buffer[start] = ones;
        if value >= 10 {
            start -= 1;
            buffer[start] = tens;
        }
        Self { buffer, start }
    }

    pub(super) fn signed(value: i64) -> Self {
        let mut digits = Self::unsigned(value.unsigned_abs());
        if value < 0 {
            digits.start -= 1;
            digits.buffer[digits.start] = b'-';
        }
        digits
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

fn pair(value: u64) -> [u8; 2] {
    PAIRS[usize::try_from(value).unwrap_or(0)]
}
