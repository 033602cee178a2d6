//! Character sets and collations by name and number, as SET NAMES and `information_schema` know them.

use aquifer_types::{Collation, SqlError, SqlMode, SqlResult};

/// A character set.
#[derive(Clone, Copy, Debug)]
pub struct CharacterSet {
    /// Its name.
    pub name: &'static str,
    /// What SHOW CHARACTER SET says about it.
    pub description: &'static str,
    /// Number of its default collation.
    pub default_collation: u16,
    /// Longest character in bytes.
    pub max_length: u8,
}

/// A collation.
#[derive(Clone, Copy, Debug)]
pub struct CollationInfo {
    /// Its number.
    pub id: u16,
    /// Its name.
    pub name: &'static str,
    /// Its character set.
    pub charset: &'static str,
    /// SORTLEN of SHOW COLLATION.
    pub sort_length: u8,
    /// PAD_ATTRIBUTE of SHOW COLLATION.
    pub pad: &'static str,
}

/// The character sets that columns and clients can use, by name.
pub const CHARACTER_SETS: &[CharacterSet] = &[
    CharacterSet { name: "ascii", description: "US ASCII", default_collation: 11, max_length: 1 },
    CharacterSet {
        name: "binary",
        description: "Binary pseudo charset",
        default_collation: 63,
        max_length: 1,
    },
    CharacterSet { name: "latin1", description: "cp1252 West European", default_collation: 8, max_length: 1 },
    CharacterSet { name: "utf8mb3", description: "UTF-8 Unicode", default_collation: 33, max_length: 3 },
    CharacterSet { name: "utf8mb4", description: "UTF-8 Unicode", default_collation: 255, max_length: 4 },
];

const fn collation(
    id: u16,
    name: &'static str,
    charset: &'static str,
    sort_length: u8,
    pad: &'static str,
) -> CollationInfo {
    CollationInfo { id, name, charset, sort_length, pad }
}

/// The collations, by name.
pub const COLLATIONS: &[CollationInfo] = &[
    collation(65, "ascii_bin", "ascii", 1, "PAD SPACE"),
    collation(11, "ascii_general_ci", "ascii", 1, "PAD SPACE"),
    collation(63, "binary", "binary", 1, "NO PAD"),
    collation(47, "latin1_bin", "latin1", 1, "PAD SPACE"),
    collation(48, "latin1_general_ci", "latin1", 1, "PAD SPACE"),
    collation(49, "latin1_general_cs", "latin1", 1, "PAD SPACE"),
    collation(8, "latin1_swedish_ci", "latin1", 1, "PAD SPACE"),
    collation(83, "utf8mb3_bin", "utf8mb3", 1, "PAD SPACE"),
    collation(33, "utf8mb3_general_ci", "utf8mb3", 1, "PAD SPACE"),
    collation(214, "utf8mb3_unicode_520_ci", "utf8mb3", 8, "PAD SPACE"),
    collation(192, "utf8mb3_unicode_ci", "utf8mb3", 8, "PAD SPACE"),
    collation(255, "utf8mb4_0900_ai_ci", "utf8mb4", 0, "NO PAD"),
    collation(305, "utf8mb4_0900_as_ci", "utf8mb4", 0, "NO PAD"),
    collation(278, "utf8mb4_0900_as_cs", "utf8mb4", 0, "NO PAD"),
    collation(309, "utf8mb4_0900_bin", "utf8mb4", 1, "NO PAD"),
    collation(46, "utf8mb4_bin", "utf8mb4", 1, "PAD SPACE"),
    collation(45, "utf8mb4_general_ci", "utf8mb4", 1, "PAD SPACE"),
    collation(246, "utf8mb4_unicode_520_ci", "utf8mb4", 8, "PAD SPACE"),
    collation(224, "utf8mb4_unicode_ci", "utf8mb4", 8, "PAD SPACE"),
];

/// The collation of a number.
#[must_use]
pub fn collation_info(id: u16) -> Option<&'static CollationInfo> {
    COLLATIONS.iter().find(|info| info.id == id)
}

/// The name of a collation of the catalog.
#[must_use]
pub fn collation_name(collation: Collation) -> &'static str {
    collation_info(collation.0).map_or("utf8mb4_0900_ai_ci", |info| info.name)
}

/// The character set of a collation of the catalog.
#[must_use]
pub fn charset_of(collation: Collation) -> &'static CharacterSet {
    let name = collation_info(collation.0).map_or("utf8mb4", |info| info.charset);
    charset_info(name).unwrap_or(&CHARACTER_SETS[CHARACTER_SETS.len() - 1])
}

/// A character set by its name as the table has it.
#[must_use]
pub fn charset_info(name: &str) -> Option<&'static CharacterSet> {
    CHARACTER_SETS.iter().find(|set| set.name == name)
}

/// A character set by any of its names.
///
/// # Errors
/// 1115.
pub fn charset_named(name: &str) -> SqlResult<&'static str> {
    let lower = name.to_ascii_lowercase();
    let canonical = if lower == "utf8" { "utf8mb3" } else { lower.as_str() };
    let found = charset_info(canonical).map(|set| set.name);
    found.ok_or_else(|| SqlError::new(1115, format!("Unknown character set: '{name}'")))
}

/// A collation by any of its names, with its name as the table has it.
///
/// # Errors
/// 1273.
pub fn collation_named(name: &str) -> SqlResult<(Collation, &'static str)> {
    let lower = name.to_ascii_lowercase();
    let canonical = match lower.strip_prefix("utf8_") {
        Some(rest) => format!("utf8mb3_{rest}"),
        None => lower,
    };
    let found = COLLATIONS.iter().find(|info| info.name == canonical);
    found
        .map(|info| (Collation(info.id), info.name))
        .ok_or_else(|| SqlError::new(1273, format!("Unknown collation: '{name}'")))
}

/// The name of the default collation of a character set.
#[must_use]
pub fn default_collation(charset: &str) -> &'static str {
    let set = charset_info(charset);
    set.and_then(|set| collation_info(set.default_collation)).map_or("utf8mb4_0900_ai_ci", |info| info.name)
}

/// The character set of the collation with this number.
#[must_use]
pub fn charset_of_collation_id(id: u64) -> Option<&'static str> {
    collation_info(u16::try_from(id).ok()?).map(|info| info.charset)
}

/// The name of the collation with this number.
#[must_use]
pub fn collation_of_id(id: u64) -> Option<&'static str> {
    collation_info(u16::try_from(id).ok()?).map(|info| info.name)
}

/// The `sql_mode` of MySQL's number for it (`SET sql_mode = 0`).
#[must_use]
pub fn sql_mode_of_bits(bits: u64) -> Option<SqlMode> {
    /// Names by bit (`sql_mode` in MySQL 8.0's `sys_vars.cc` order); empty: not used any more.
    const NAMES: [&str; 33] = [
        "REAL_AS_FLOAT",
        "PIPES_AS_CONCAT",
        "ANSI_QUOTES",
        "IGNORE_SPACE",
        "",
        "ONLY_FULL_GROUP_BY",
        "NO_UNSIGNED_SUBTRACTION",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "ANSI",
        "NO_AUTO_VALUE_ON_ZERO",
        "NO_BACKSLASH_ESCAPES",
        "STRICT_TRANS_TABLES",
        "STRICT_ALL_TABLES",
        "NO_ZERO_IN_DATE",
        "NO_ZERO_DATE",
        "ALLOW_INVALID_DATES",
        "ERROR_FOR_DIVISION_BY_ZERO",
        "TRADITIONAL",
        "",
        "HIGH_NOT_PRECEDENCE",
        "NO_ENGINE_SUBSTITUTION",
        "PAD_CHAR_TO_FULL_LENGTH",
        "TIME_TRUNCATE_FRACTIONAL",
    ];
    if bits >> NAMES.len() != 0 {
        return None;
    }
    let mut mode = SqlMode::NONE;
    for (bit, name) in NAMES.iter().enumerate() {
        if bits >> bit & 1 == 1 {
            if name.is_empty() {
                return None;
            }
            mode = mode.with(SqlMode::parse(name).ok()?);
        }
    }
    Some(mode)
}
