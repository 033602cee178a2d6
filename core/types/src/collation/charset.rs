//! Character sets: their names, the length of characters, and conversion between them.

use bytes::Bytes;

use super::latin1;
use crate::Collation;

/// A character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Charset {
    Binary,
    Ascii,
    Latin1,
    Utf8mb3,
    Utf8mb4,
}

impl Charset {
    /// All of them, by name.
    pub const ALL: [Self; 5] = [Self::Ascii, Self::Binary, Self::Latin1, Self::Utf8mb3, Self::Utf8mb4];

    /// The character set of that name, in any case; `utf8` is utf8mb3.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("utf8") {
            return Some(Self::Utf8mb3);
        }
        Self::ALL.into_iter().find(|c| c.name().eq_ignore_ascii_case(name))
    }

    /// MySQL's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Ascii => "ascii",
            Self::Latin1 => "latin1",
            Self::Utf8mb3 => "utf8mb3",
            Self::Utf8mb4 => "utf8mb4",
        }
    }

    /// As `information_schema.CHARACTER_SETS` describes it.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Binary => "Binary pseudo charset",
            Self::Ascii => "US ASCII",
            Self::Latin1 => "cp1252 West European",
            Self::Utf8mb3 => "UTF-8 Unicode",
            Self::Utf8mb4 => "UTF-8 Unicode",
        }
    }

    /// Most bytes of a character.
    #[must_use]
    pub const fn maxlen(self) -> u32 {
        match self {
            Self::Binary | Self::Ascii | Self::Latin1 => 1,
            Self::Utf8mb3 => 3,
            Self::Utf8mb4 => 4,
        }
    }

    /// The collation that a bare CHARACTER SET means.
    #[must_use]
    pub const fn default_collation(self) -> Collation {
        match self {
            Self::Binary => Collation::BINARY,
            Self::Ascii => Collation(11),
            Self::Latin1 => Collation(8),
            Self::Utf8mb3 => Collation::UTF8MB3_GENERAL_CI,
            Self::Utf8mb4 => Collation::UTF8MB4_0900_AI_CI,
        }
    }

    /// The collation that orders by code (`…_bin`).
    #[must_use]
    pub const fn binary_collation(self) -> Collation {
        match self {
            Self::Binary => Collation::BINARY,
            Self::Ascii => Collation(65),
            Self::Latin1 => Collation(47),
            Self::Utf8mb3 => Collation(83),
            Self::Utf8mb4 => Collation::UTF8MB4_BIN,
        }
    }

    const fn is_utf8(self) -> bool {
        matches!(self, Self::Utf8mb3 | Self::Utf8mb4)
    }

    /// Bytes of the character that `bytes` begins with; 1 for a byte that begins none, 0 at the end.
    #[must_use]
    #[inline]
    pub fn char_len(self, bytes: &[u8]) -> usize {
        match bytes.first() {
            None => 0,
            Some(lead) if self.is_utf8() && *lead >= 0x80 => decode_utf8(bytes).1,
            Some(_) => 1,
        }
    }

    /// How many characters there are.
    #[must_use]
    pub fn char_count(self, bytes: &[u8]) -> usize {
        if !self.is_utf8() || bytes.is_ascii() {
            return bytes.len();
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => text.chars().count(),
            Err(_) => self.chars(bytes).count(),
        }
    }

    /// Where the character number `n` (from 0) begins; the length of `bytes` when there are fewer.
    #[must_use]
    pub fn char_offset(self, bytes: &[u8], n: usize) -> usize {
        if !self.is_utf8() {
            return n.min(bytes.len());
        }
        if bytes.len() <= n {
            return bytes.len();
        }
        let mut at = 0;
        for _ in 0..n {
            if at >= bytes.len() {
                break;
            }
            at += self.char_len(&bytes[at..]);
        }
        at.min(bytes.len())
    }

    /// The characters as slices.
    pub fn chars(self, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = bytes;
        std::iter::from_fn(move || {
            let len = self.char_len(rest);
            let (head, tail) = rest.split_at_checked(len).filter(|_| len > 0)?;
            rest = tail;
            Some(head)
        })
    }

    /// Where the first byte is that belongs to no character of this set; `None` when all is well.
    #[must_use]
    pub fn find_invalid(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Binary | Self::Latin1 => None,
            Self::Ascii => bytes.iter().position(|b| *b >= 0x80),
            Self::Utf8mb4 => std::str::from_utf8(bytes).err().map(|e| e.valid_up_to()),
            Self::Utf8mb3 => {
                let bad = std::str::from_utf8(bytes).err().map_or(bytes.len(), |e| e.valid_up_to());
                let long = bytes[..bad].iter().position(|b| *b >= 0xF0);
                long.or((bad < bytes.len()).then_some(bad))
            }
        }
    }

    /// The code point that `bytes` begins with, U+FFFD for none, and its length in bytes.
    #[must_use]
    #[inline]
    pub fn decode(self, bytes: &[u8]) -> (u32, usize) {
        match bytes.first() {
            None => (0, 0),
            Some(b) if *b < 0x80 => (u32::from(*b), 1),
            Some(_) if self.is_utf8() => decode_utf8(bytes),
            Some(b) if self == Self::Latin1 => (u32::from(latin1::to_char(*b)), 1),
            Some(b) => (u32::from(*b), 1),
        }
    }

    /// Appends a character; false when the set does not have it.
    pub fn encode(self, c: char, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Utf8mb4 => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Self::Utf8mb3 if u32::from(c) < 0x1_0000 => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Self::Latin1 => match latin1::from_char(c) {
                Some(b) => out.push(b),
                None => return false,
            },
            Self::Ascii | Self::Binary if c.is_ascii() => {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| out.push(b));
            }
            _ => return false,
        }
        true
    }

    /// The text in another character set. Characters that it does not have become `?`. From binary
    /// the bytes are taken as they are; to binary they stay as they are.
    #[must_use]
    pub fn convert(self, to: Self, bytes: &Bytes) -> Converted {
        let same = self == to
            || self == Self::Binary
            || to == Self::Binary
            || (bytes.is_ascii())
            || (self == Self::Utf8mb3 && to == Self::Utf8mb4);
        if same {
            return Converted { bytes: bytes.clone(), first_lost: None };
        }
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 2);
        let mut first_lost = None;
        let mut at = 0;
        while at < bytes.len() {
            let (code, len) = self.decode(&bytes[at..]);
            let known = char::from_u32(code).is_some_and(|c| to.encode(c, &mut out));
            if !known {
                out.push(b'?');
                first_lost = first_lost.or(Some(at));
            }
            at += len.max(1);
        }
        Converted { bytes: Bytes::from(out), first_lost }
    }
}

/// Text after a conversion.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The text.
    pub bytes: Bytes,
    /// Where in the source the first character stood that could not be converted.
    pub first_lost: Option<usize>,
}

/// Code point and length of the UTF-8 sequence at the start; U+FFFD and 1 where there is none.
#[inline]
fn decode_utf8(bytes: &[u8]) -> (u32, usize) {
    let next = |i: usize| bytes.get(i).filter(|b| **b & 0xC0 == 0x80).map(|b| u32::from(b & 0x3F));
    let lead = bytes.first().copied().unwrap_or(0);
    let lead_bits = |mask: u8| u32::from(lead & mask);
    let found = match lead {
        0..0x80 => Some((u32::from(lead), 1)),
        0xC2..=0xDF => next(1).map(|a| (lead_bits(0x1F) << 6 | a, 2)),
        0xE0..=0xEF => next(1).zip(next(2)).map(|(a, b)| (lead_bits(0x0F) << 12 | a << 6 | b, 3)),
        0xF0..=0xF4 => next(1)
            .zip(next(2))
            .zip(next(3))
            .map(|((a, b), c)| (lead_bits(7) << 18 | a << 12 | b << 6 | c, 4)),
        _ => None,
    };
    found.unwrap_or((0xFFFD, 1))
}
