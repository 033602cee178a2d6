//! Sort keys: bytes whose order is that of the texts they were made from.
//!
//! Under NO PAD the key is the weights in order (for UCA levels 2 and 3: the levels one after another,
//! separated by zeros). Under PAD SPACE the end of a text stands for endless spaces. So the end is
//! written as a space followed by 2, and a space within the text is followed by 3 if what comes after
//! its run of spaces weighs more than a space, and by 1 if less.

use super::compare::{general_weights, trim_spaces};
use super::ducet::{DUCET, Elements};
use super::table::{Algorithm, PadAttribute};
use super::version::CollationVersion;
use crate::Collation;

const SPACE: u32 = 0x20;
/// Marks after a space.
const BEFORE_LESS: u8 = 1;
const END: u8 = 2;
const BEFORE_GREATER: u8 = 3;

impl Collation {
    /// Appends the sort key of a text.
    pub fn sort_key(self, version: CollationVersion, text: &[u8], out: &mut Vec<u8>) {
        self.key_of(version, text, Ending::Whole, out);
    }

    /// Appends what the sort keys of all texts that start with `text` start with (or a part of it), so
    /// that a range scan over it finds them all.
    pub fn sort_key_prefix(self, version: CollationVersion, text: &[u8], out: &mut Vec<u8>) {
        self.key_of(version, text, Ending::Open, out);
    }

    fn key_of(self, version: CollationVersion, text: &[u8], ending: Ending, out: &mut Vec<u8>) {
        let info = self.info();
        let trimmed = if info.pad == PadAttribute::PadSpace { trim_spaces(text) } else { text };
        match info.algorithm {
            Algorithm::Bytes if info.pad == PadAttribute::NoPad => out.extend_from_slice(text),
            Algorithm::Bytes => padded(trimmed.iter().map(|b| u32::from(*b)), SPACE, ending, put_byte, out),
            Algorithm::Table(w) => {
                padded(trimmed.iter().map(|b| u32::from(w[usize::from(*b)])), SPACE, ending, put_byte, out);
            }
            Algorithm::GeneralCi => padded(general_weights(trimmed), SPACE, ending, put_weight, out),
            Algorithm::Uca900(level) => uca_key(version, text, level, ending, out),
            Algorithm::UcaOld(uca) => {
                let table = uca.table();
                let (weights, space) = (table.weights(trimmed).map(u32::from), u32::from(table.space));
                match version {
                    CollationVersion::V1 => padded(weights, space, ending, put_two_bytes, out),
                    CollationVersion::V2 => {
                        let mut writer = table.compact.writer();
                        padded(weights, space, ending, |weight, out| writer.put(narrow(weight), out), out);
                    }
                }
            }
        }
    }
}

/// Whether the text ends, or is the beginning of others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    Open,
}

fn put_byte(weight: u32, out: &mut Vec<u8>) {
    out.push(u8::try_from(weight).unwrap_or(u8::MAX));
}

/// One to three bytes that order as 16-bit weights do, in the manner of UTF-8.
fn put_weight(weight: u32, out: &mut Vec<u8>) {
    let byte = |w: u32| u8::try_from(w & 0xFF).unwrap_or(0);
    if weight < 0x80 {
        out.push(byte(weight));
    } else if weight < 0x800 {
        out.extend_from_slice(&[byte(0xC0 | weight >> 6), byte(0x80 | weight & 0x3F)]);
    } else {
        let middle = byte(0x80 | weight >> 6 & 0x3F);
        out.extend_from_slice(&[byte(0xE0 | weight >> 12), middle, byte(0x80 | weight & 0x3F)]);
    }
}

fn put_two_bytes(weight: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&narrow(weight).to_be_bytes());
}

fn narrow(weight: u32) -> u16 {
    u16::try_from(weight).unwrap_or(u16::MAX)
}

fn padded(
    weights: impl Iterator<Item = u32>,
    space: u32,
    ending: Ending,
    mut put: impl FnMut(u32, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let mut spaces = 0;
    for weight in weights {
        if weight == space {
            spaces += 1;
            continue;
        }
        let mark = if weight > space { BEFORE_GREATER } else { BEFORE_LESS };
        for _ in 0..spaces {
            put(space, out);
            out.push(mark);
        }
        spaces = 0;
        put(weight, out);
    }
    if ending == Ending::Whole {
        put(space, out);
        out.push(END);
    }
}

fn uca_key(version: CollationVersion, text: &[u8], level: u8, ending: Ending, out: &mut Vec<u8>) {
    let ducet = &*DUCET;
    // An ASCII character before another one is not part of a contraction.
    let first_other = || text.iter().position(|b| *b >= 0x80).unwrap_or(text.len());
    let plain = if text.is_ascii() { text.len() } else { first_other().saturating_sub(1) };
    let (ascii, rest) = text.split_at(plain);
    let ascii = ascii.iter().map(|b| usize::from(*b & 0x7F));
    let weights = Elements::new(ducet, rest).map(|e| e.primary).filter(|w| *w != 0);
    match version {
        CollationVersion::V1 => {
            let ascii = ascii.map(|b| ducet.ascii[b]).filter(|w| *w != 0);
            ascii.chain(weights).for_each(|weight| out.extend_from_slice(&weight.to_be_bytes()));
        }
        CollationVersion::V2 => {
            let from = out.len();
            out.extend(ascii.map(|b| ducet.compact.ascii[b]));
            if out[from..].contains(&0) {
                let codes = out.split_off(from);
                out.extend(codes.into_iter().filter(|code| *code != 0));
            }
            let mut writer = ducet.compact.writer();
            weights.for_each(|weight| writer.put(weight, out));
        }
    }
    if level == 1 || ending == Ending::Open {
        return;
    }
    out.extend_from_slice(&[0, 0]);
    out.extend(Elements::new(ducet, text).map(|e| e.secondary).filter(|w| *w != 0));
    if level == 3 {
        out.push(0);
        out.extend(Elements::new(ducet, text).map(|e| e.tertiary).filter(|w| *w != 0));
    }
}
