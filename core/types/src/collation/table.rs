//! The table of collations.

use super::Charset;
use crate::Collation;

/// Whether trailing spaces count in comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadAttribute {
    /// The shorter string counts as if followed by spaces.
    PadSpace,
    /// Every byte counts.
    NoPad,
}

/// How a collation weighs characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// By bytes.
    Bytes,
    /// One byte a character, weighed by a table.
    Table(&'static [u8; 256]),
    /// Plane 0 by MySQL's general table.
    GeneralCi,
    /// DUCET 9.0.0 to a level (1 to 3).
    Uca900(u8),
    /// An older version, primary weights only.
    UcaOld(Version),
}

/// One collation.
#[derive(Clone, Copy, Debug)]
pub struct CollationInfo {
    /// Its number.
    pub id: Collation,
    /// Its name.
    pub name: &'static str,
    /// Its character set.
    pub charset: Charset,
    /// Whether a bare CHARACTER SET means it.
    pub is_default: bool,
    /// `information_schema.COLLATIONS.SORTLEN`.
    pub sort_length: u8,
    /// Whether trailing spaces count.
    pub pad: PadAttribute,
    pub(super) algorithm: Algorithm,
}

const fn row(
    id: u16,
    name: &'static str,
    charset: Charset,
    sort_length: u8,
    pad: PadAttribute,
    algorithm: Algorithm,
) -> CollationInfo {
    let is_default = charset.default_collation().0 == id;
    CollationInfo { id: Collation(id), name, charset, is_default, sort_length, pad, algorithm }
}

use super::latin1::{GENERAL_CI, SWEDISH_CI};
use super::uca_old::Version;
use Algorithm::{Bytes, GeneralCi, Table, Uca900, UcaOld};
use Charset::{Ascii, Binary, Latin1, Utf8mb3, Utf8mb4};
use PadAttribute::{NoPad, PadSpace};

/// Weights of `ascii_general_ci`: letters without case.
static ASCII_CI: [u8; 256] = {
    let mut table = [0_u8; 256];
    let mut byte: u8 = 0;
    loop {
        table[byte as usize] = byte.to_ascii_uppercase();
        if byte == 255 {
            break table;
        }
        byte += 1;
    }
};

/// All collations, by number.
pub(super) static COLLATIONS: [CollationInfo; 18] = [
    row(8, "latin1_swedish_ci", Latin1, 1, PadSpace, Table(&SWEDISH_CI)),
    row(11, "ascii_general_ci", Ascii, 1, PadSpace, Table(&ASCII_CI)),
    row(33, "utf8mb3_general_ci", Utf8mb3, 1, PadSpace, GeneralCi),
    row(45, "utf8mb4_general_ci", Utf8mb4, 1, PadSpace, GeneralCi),
    row(46, "utf8mb4_bin", Utf8mb4, 1, PadSpace, Bytes),
    row(47, "latin1_bin", Latin1, 1, PadSpace, Bytes),
    row(48, "latin1_general_ci", Latin1, 1, PadSpace, Table(&GENERAL_CI)),
    row(63, "binary", Binary, 1, NoPad, Bytes),
    row(65, "ascii_bin", Ascii, 1, PadSpace, Bytes),
    row(83, "utf8mb3_bin", Utf8mb3, 1, PadSpace, Bytes),
    row(192, "utf8mb3_unicode_ci", Utf8mb3, 8, PadSpace, UcaOld(Version::V400)),
    row(224, "utf8mb4_unicode_ci", Utf8mb4, 8, PadSpace, UcaOld(Version::V400)),
    row(246, "utf8mb4_unicode_520_ci", Utf8mb4, 8, PadSpace, UcaOld(Version::V520)),
    row(255, "utf8mb4_0900_ai_ci", Utf8mb4, 0, NoPad, Uca900(1)),
    row(278, "utf8mb4_0900_as_cs", Utf8mb4, 0, NoPad, Uca900(3)),
    row(305, "utf8mb4_0900_as_ci", Utf8mb4, 0, NoPad, Uca900(2)),
    row(309, "utf8mb4_0900_bin", Utf8mb4, 1, NoPad, Bytes),
    row(214, "utf8mb3_unicode_520_ci", Utf8mb3, 8, PadSpace, UcaOld(Version::V520)),
];
