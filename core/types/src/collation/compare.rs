//! Comparing and hashing strings under a collation.
//!
//! Texts of ASCII, by far the most, are compared byte by byte without decoding.

use std::cmp::Ordering;
use std::hash::Hasher;
use std::sync::LazyLock;

use super::Charset;
use super::ducet::{DUCET, Ducet, Element, Elements};
use super::table::{Algorithm, PadAttribute};
use crate::Collation;

/// Weights of `general_ci` for plane 0, made by `gen/general_ci.py`.
struct General {
    page_of: [u8; 256],
    pages: Vec<u16>,
}

static GENERAL: LazyLock<General> = LazyLock::new(|| {
    let data = include_bytes!("general_ci.bin");
    let mut page_of = [0; 256];
    page_of.copy_from_slice(&data[..256]);
    let pages = data[256..].chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
    General { page_of, pages }
});

/// The `general_ci` weight of a code point.
#[inline]
pub(super) fn general_weight(code: u32) -> u32 {
    if code < 0x80 {
        return if (0x61..=0x7A).contains(&code) { code - 0x20 } else { code };
    }
    let Ok(code) = u16::try_from(code) else {
        return 0xFFFD;
    };
    let [high, low] = code.to_be_bytes();
    match GENERAL.page_of[usize::from(high)] {
        0 => u32::from(code),
        page => u32::from(GENERAL.pages[usize::from(page - 1) * 256 + usize::from(low)]),
    }
}

/// Weights of the characters of a UTF-8 text under `general_ci`.
pub(super) fn general_weights(text: &[u8]) -> impl Iterator<Item = u32> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (code, len) = Charset::Utf8mb4.decode(rest);
        rest = rest.get(len..).unwrap_or(&[]);
        (len > 0).then(|| general_weight(code))
    })
}

/// Text without the spaces at its end.
pub(super) fn trim_spaces(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|b| *b != b' ').map_or(0, |i| i + 1);
    &text[..end]
}

impl Collation {
    /// Order of two texts in the collation's character set.
    #[must_use]
    pub fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        let info = self.info();
        match info.algorithm {
            Algorithm::Bytes if info.pad == PadAttribute::NoPad => a.cmp(b),
            Algorithm::Bytes => compare_bytes_padded(a, b),
            Algorithm::Table(weights) => compare_table(a, b, weights),
            Algorithm::GeneralCi => compare_general(a, b),
            Algorithm::Uca900(level) => compare_uca(&DUCET, a, b, level),
            Algorithm::UcaOld(version) => version.table().compare(a, b),
        }
    }

    /// Whether two texts are equal under the collation.
    #[must_use]
    pub fn equal(self, a: &[u8], b: &[u8]) -> bool {
        (a == b) || self.compare(a, b) == Ordering::Equal
    }

    /// Feeds a hasher so that equal texts hash equally.
    pub fn hash<H: Hasher>(self, text: &[u8], state: &mut H) {
        let info = self.info();
        let text = if info.pad == PadAttribute::PadSpace { trim_spaces(text) } else { text };
        match info.algorithm {
            Algorithm::Bytes => state.write(text),
            Algorithm::Table(weights) => text.iter().for_each(|b| state.write_u8(weights[usize::from(*b)])),
            Algorithm::GeneralCi => general_weights(text).for_each(|w| state.write_u32(w)),
            Algorithm::Uca900(_) => hash_primaries(text, state),
            Algorithm::UcaOld(version) => version.table().hash(text, state),
        }
        state.write_u8(0xFF);
    }

    /// Whether two single characters, given as their bytes, are equal in LIKE.
    #[must_use]
    pub fn chars_equal(self, a: &[u8], b: &[u8]) -> bool {
        if a == b {
            return true;
        }
        match self.info().algorithm {
            Algorithm::Bytes => false,
            // Spaces at the end must count here.
            Algorithm::GeneralCi => general_weights(a).eq(general_weights(b)),
            Algorithm::Table(w) => {
                a.iter().map(|x| w[usize::from(*x)]).eq(b.iter().map(|x| w[usize::from(*x)]))
            }
            Algorithm::Uca900(level) => compare_uca(&DUCET, a, b, level) == Ordering::Equal,
            Algorithm::UcaOld(version) => {
                let table = version.table();
                table.weights(a).eq(table.weights(b))
            }
        }
    }
}

/// Hashes the primary weights. Accents and case would have to come after all of them; equal texts need only
/// equal hashes, so they are left out.
fn hash_primaries<H: Hasher>(text: &[u8], state: &mut H) {
    // Written in chunks, because a hasher takes many small writes slowly; all texts are cut alike.
    let mut chunk = [0_u8; 64];
    let mut used = 0;
    let mut push = |weight: u16, state: &mut H| {
        chunk[used..used + 2].copy_from_slice(&weight.to_le_bytes());
        used += 2;
        if used == chunk.len() {
            state.write(&chunk);
            used = 0;
        }
    };
    // A weight of 0 stands for a character that has none or needs a closer look.
    if text.iter().all(|b| *b < 0x80 && DUCET.ascii[usize::from(*b)] != 0) {
        text.iter().for_each(|b| push(DUCET.ascii[usize::from(*b)], state));
    } else {
        for e in Elements::new(&DUCET, text).filter(|e| e.primary != 0) {
            push(e.primary, state);
        }
    }
    state.write(&chunk[..used]);
}

/// Bytes are compared; the rest of the longer text against spaces. UTF-8 orders as its code points do.
fn compare_bytes_padded(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.len().min(b.len());
    match a[..common].cmp(&b[..common]) {
        Ordering::Equal => {}
        unequal => return unequal,
    }
    if a.len() >= b.len() { against_spaces(&a[common..]) } else { against_spaces(&b[common..]).reverse() }
}

fn against_spaces(rest: &[u8]) -> Ordering {
    rest.iter().find(|b| **b != b' ').map_or(Ordering::Equal, |b| b.cmp(&b' '))
}

fn compare_table(a: &[u8], b: &[u8], weights: &[u8; 256]) -> Ordering {
    let weigh = |x: u8| weights[usize::from(x)];
    for (x, y) in a.iter().zip(b) {
        if x != y && weigh(*x) != weigh(*y) {
            return weigh(*x).cmp(&weigh(*y));
        }
    }
    let space = weigh(b' ');
    let rest = |r: &[u8]| {
        r.iter().map(|x| weigh(*x)).find(|w| *w != space).map_or(Ordering::Equal, |w| w.cmp(&space))
    };
    let common = a.len().min(b.len());
    if a.len() >= b.len() { rest(&a[common..]) } else { rest(&b[common..]).reverse() }
}

fn compare_general(a: &[u8], b: &[u8]) -> Ordering {
    let ascii = a.iter().zip(b).take_while(|(x, y)| **x < 0x80 && **y < 0x80);
    let mut common = 0;
    for (x, y) in ascii {
        if x != y {
            let (x, y) = (x.to_ascii_uppercase(), y.to_ascii_uppercase());
            if x != y {
                return x.cmp(&y);
            }
        }
        common += 1;
    }
    let (mut a, mut b) = (general_weights(&a[common..]), general_weights(&b[common..]));
    loop {
        let (x, y) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) => (x.unwrap_or(0x20), y.unwrap_or(0x20)),
        };
        if x != y {
            return x.cmp(&y);
        }
    }
}

fn compare_uca(ducet: &'static Ducet, a: &[u8], b: &[u8], level: u8) -> Ordering {
    let primary = compare_primary(ducet, a, b);
    if level == 1 || primary != Ordering::Equal {
        return primary;
    }
    let at = |text, weigh: fn(Element) -> u8| Elements::new(ducet, text).map(weigh).filter(|w| *w != 0);
    let secondary = at(a, |e| e.secondary).cmp(at(b, |e| e.secondary));
    if level == 2 || secondary != Ordering::Equal {
        return secondary;
    }
    at(a, |e| e.tertiary).cmp(at(b, |e| e.tertiary))
}

fn compare_primary(ducet: &'static Ducet, a: &[u8], b: &[u8]) -> Ordering {
    let common = a.len().min(b.len());
    let mut at = 0;
    while at < common && (a[at] | b[at]) < 0x80 {
        let (x, y) = (ducet.ascii[usize::from(a[at])], ducet.ascii[usize::from(b[at])]);
        let unsafe_next = |t: &[u8]| t.get(at + 1).is_some_and(|n| *n >= 0x80);
        if x != y || x == 0 || unsafe_next(a) || unsafe_next(b) {
            if x != 0 && y != 0 && x != y && !unsafe_next(a) && !unsafe_next(b) {
                return x.cmp(&y);
            }
            break;
        }
        at += 1;
    }
    let weights = |text| Elements::new(ducet, text).map(|e| e.primary).filter(|w| *w != 0);
    weights(&a[at..]).cmp(weights(&b[at..]))
}
