//! `…_unicode_ci` (UCA 4.0.0) and `…_unicode_520_ci` (UCA 5.2.0): primary weights only, PAD SPACE, no contractions.
//! The tables are made by `gen/unicode_ci.py`, which describes their form; they are part of the format of keys at
//! rest.

use std::cmp::Ordering;
use std::hash::Hasher;
use std::sync::LazyLock;

use super::Charset;
use super::compact::Compact;

const BLOCKS: usize = 4352;
const NOT_LISTED: u32 = u32::MAX;

/// Which version of the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V400,
    V520,
}

/// Weights of one version.
pub(super) struct Table {
    version: Version,
    page_of: Vec<u16>,
    pages: Vec<u32>,
    pool: Vec<u16>,
    /// The weight of a space, with which the shorter text is filled.
    pub(super) space: u16,
    pub(super) compact: Compact,
}

static V400: LazyLock<Table> =
    LazyLock::new(|| Table::load(Version::V400, include_bytes!("unicode_4_0_0.bin")));
static V520: LazyLock<Table> =
    LazyLock::new(|| Table::load(Version::V520, include_bytes!("unicode_5_2_0.bin")));

impl Version {
    pub(super) fn table(self) -> &'static Table {
        match self {
            Self::V400 => &V400,
            Self::V520 => &V520,
        }
    }
}

fn u16_at(data: &[u8], at: usize) -> u16 {
    data.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(data: &[u8], at: usize) -> u32 {
    data.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(NOT_LISTED, u32::from_le_bytes)
}

impl Table {
    fn load(version: Version, data: &[u8]) -> Self {
        let count = |at| usize::try_from(u32_at(data, at)).unwrap_or(0);
        let (pages, pool) = (count(0) * 256, count(4));
        let first_page = 8 + 2 * BLOCKS;
        let first_weight = first_page + 4 * pages;
        let mut table = Self {
            version,
            page_of: (0..BLOCKS).map(|i| u16_at(data, 8 + 2 * i)).collect(),
            pages: (0..pages).map(|i| u32_at(data, first_page + 4 * i)).collect(),
            pool: (0..pool).map(|i| u16_at(data, first_weight + 2 * i)).collect(),
            space: 0,
            compact: Compact::new(&[0; 128]),
        };
        let mut ascii = [0; 128];
        for (weight, character) in ascii.iter_mut().zip(0_u8..) {
            *weight = table.weights(&[character]).next().unwrap_or(0);
        }
        table.space = ascii[usize::from(b' ')];
        table.compact = Compact::new(&ascii);
        table
    }

    fn listed(&self, code: u32) -> Option<&[u16]> {
        let block = usize::try_from(code >> 8).ok()?;
        let page = usize::from(*self.page_of.get(block)?).checked_sub(1)?;
        let entry = self.pages[page * 256 + usize::try_from(code & 255).ok()?];
        if entry == NOT_LISTED {
            return None;
        }
        let start = usize::try_from(entry >> 8).ok()?;
        self.pool.get(start..start + usize::try_from(entry & 255).ok()?)
    }

    /// Weights of a code point that the table does not list.
    fn implicit(&self, code: u32) -> ([u16; 2], usize) {
        let four = self.version == Version::V400;
        if four && code > 0xFFFF {
            return ([0xFFFD, 0], 1);
        }
        let last_han = if four { 0x9FA5 } else { 0x9FCB };
        let compatible = !four
            && matches!(
                code,
                0xFA0E | 0xFA0F | 0xFA11 | 0xFA13 | 0xFA14 | 0xFA1F | 0xFA21 | 0xFA23 | 0xFA24 | 0xFA27
                    ..=0xFA29
            );
        let extended = matches!(code, 0x3400..=0x4DB5);
        let base = if (0x4E00..=last_han).contains(&code) || compatible {
            0xFB40
        } else if extended {
            0xFB80
        } else {
            0xFBC0
        };
        let weight = |w: u32| u16::try_from(w).unwrap_or(u16::MAX);
        ([weight(base + (code >> 15)), weight(code & 0x7FFF | 0x8000)], 2)
    }

    /// Weights of a text's characters; ignorable ones have none.
    pub(super) fn weights<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = u16> + 't {
        let mut rest = text;
        let mut listed: &[u16] = &[];
        let mut computed = ([0; 2], 0);
        std::iter::from_fn(move || {
            loop {
                if let Some((first, more)) = listed.split_first() {
                    listed = more;
                    return Some(*first);
                }
                if computed.1 > 0 {
                    let first = computed.0[0];
                    computed = ([computed.0[1], 0], computed.1 - 1);
                    return Some(first);
                }
                let (code, length) = Charset::Utf8mb4.decode(rest);
                if length == 0 {
                    return None;
                }
                rest = rest.get(length..).unwrap_or(&[]);
                match self.listed(code) {
                    Some(found) => listed = found,
                    None => computed = self.implicit(code),
                }
            }
        })
    }

    pub(super) fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        let (mut a, mut b) = (self.weights(a), self.weights(b));
        loop {
            let (x, y) = match (a.next(), b.next()) {
                (None, None) => return Ordering::Equal,
                (x, y) => (x.unwrap_or(self.space), y.unwrap_or(self.space)),
            };
            if x != y {
                return x.cmp(&y);
            }
        }
    }

    /// Feeds a hasher; what weighs as spaces at the end does not count.
    pub(super) fn hash<H: Hasher>(&self, text: &[u8], state: &mut H) {
        let mut spaces = 0;
        for weight in self.weights(text) {
            if weight == self.space {
                spaces += 1;
                continue;
            }
            (0..spaces).for_each(|_| state.write_u16(self.space));
            spaces = 0;
            state.write_u16(weight);
        }
    }
}
