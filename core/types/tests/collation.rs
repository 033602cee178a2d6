//! Collations: known orders, agreement of compare, sort keys and hashes, LIKE, case, conversion.
#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hasher};

use aquifer_types::Collation;
use aquifer_types::collation::{Charset, CollationVersion, like};
use bytes::Bytes;
use proptest::prelude::*;

fn named(name: &str) -> Collation {
    Collation::by_name(name).unwrap()
}

const VERSIONS: [CollationVersion; 2] = [CollationVersion::V1, CollationVersion::V2];

fn key(c: Collation, version: CollationVersion, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    c.sort_key(version, text, &mut out);
    out
}

fn hash(c: Collation, text: &[u8]) -> u64 {
    let mut state = DefaultHasher::new();
    c.hash(text, &mut state);
    state.finish()
}

/// The order of two texts, after checking that everything agrees on it.
fn order(c: Collation, a: &[u8], b: &[u8]) -> Ordering {
    let found = c.compare(a, b);
    for version in VERSIONS {
        let (x, y) = (key(c, version, a), key(c, version, b));
        assert_eq!(found, x.cmp(&y), "{} {version:?} {a:?} {b:?}", c.name());
    }
    assert_eq!(found.reverse(), c.compare(b, a));
    if found == Ordering::Equal {
        assert_eq!(hash(c, a), hash(c, b), "{} {a:?} {b:?}", c.name());
    }
    found
}

fn equal(name: &str, a: &str, b: &str) -> bool {
    order(named(name), a.as_bytes(), b.as_bytes()) == Ordering::Equal
}

#[test]
fn default_collation_ignores_case_and_accents_but_not_spaces() {
    let c = "utf8mb4_0900_ai_ci";
    for (a, b) in [
        ("a", "A"),
        ("é", "E"),
        ("ß", "ss"),
        ("ﬁ", "FI"),
        ("가", "가"),
        ("a\u{0}", "a"),
        ("Å", "å"),
        ("o", "ø"),
    ] {
        assert!(equal(c, a, b), "{a} {b}");
    }
    for (a, b) in [("a", "a "), ("a", "b"), ("日", "本"), ("", " "), ("l·", "la")] {
        assert!(!equal(c, a, b), "{a} {b}");
    }
    let mut words = ["zebra", "Äpfel", "apple", "10", "_", "Ω", "я", "日", "\u{1F600}", ""];
    words.sort_by(|a, b| order(named(c), a.as_bytes(), b.as_bytes()));
    assert_eq!(words, ["", "_", "\u{1F600}", "10", "Äpfel", "apple", "zebra", "Ω", "я", "日"]);
}

#[test]
fn known_weights_of_the_default_collation() {
    let hex = |t: &str| {
        key(Collation::UTF8MB4_0900_AI_CI, CollationVersion::V1, t.as_bytes())
            .iter()
            .map(|b| format!("{b:02X}"))
            .collect::<String>()
    };
    assert_eq!(hex("aB"), "1C471C60");
    assert_eq!(hex(" "), "0209");
    assert_eq!(hex("中"), "FB40CE2D");
    assert_eq!(hex("\u{10FFFF}"), "FBE1FFFF");
}

#[test]
fn higher_levels_tell_accents_and_case() {
    assert!(!equal("utf8mb4_0900_as_cs", "a", "A"));
    assert!(!equal("utf8mb4_0900_as_ci", "e", "é"));
    assert!(equal("utf8mb4_0900_as_ci", "é", "É"));
    assert!(equal("utf8mb4_0900_as_cs", "é", "e\u{301}"));
    let c = named("utf8mb4_0900_as_cs");
    assert_eq!(order(c, b"a", b"A"), Ordering::Less);
    assert_eq!(order(c, "é".as_bytes(), b"ez"), Ordering::Less);
}

#[test]
fn general_ci_weighs_single_characters() {
    let c = "utf8mb4_general_ci";
    assert!(equal(c, "É", "e"));
    assert!(equal(c, "ß", "s"));
    assert!(!equal(c, "ß", "ss"));
    assert!(equal(c, "a", "a  "));
    assert!(equal(c, "\u{1F600}", "\u{1F601}"));
    assert!(!equal(c, "ø", "o"));
}

#[test]
fn pad_space_orders_control_characters_before_the_end() {
    for name in ["utf8mb4_general_ci", "utf8mb4_bin", "latin1_swedish_ci", "ascii_general_ci", "latin1_bin"] {
        let c = named(name);
        assert_eq!(order(c, b"a\t", b"a"), Ordering::Less, "{name}");
        assert_eq!(order(c, b"a", b"a "), Ordering::Equal, "{name}");
        assert_eq!(order(c, b"a \t", b"a b"), Ordering::Less, "{name}");
        assert_eq!(order(c, b"a  b", b"a \t"), Ordering::Greater, "{name}");
        assert_eq!(order(c, b"a!", b"a"), Ordering::Greater, "{name}");
    }
    assert_eq!(order(Collation::BINARY, b"a", b"a "), Ordering::Less);
}

#[test]
fn latin1_swedish_orders_as_swedes_do() {
    let c = named("latin1_swedish_ci");
    assert_eq!(order(c, b"z", b"\xE5"), Ordering::Less);
    assert_eq!(order(c, b"\xE5", b"\xE4"), Ordering::Less);
    assert_eq!(order(c, b"\xE4", b"\xF6"), Ordering::Less);
    assert_eq!(order(c, b"\xFC", b"y"), Ordering::Equal);
}

#[test]
fn like_matches_by_characters() {
    let c = Collation::UTF8MB4_0900_AI_CI;
    let matches = |t: &str, p: &str| like(c, t.as_bytes(), p.as_bytes(), Some(b"\\"));
    assert!(matches("Éa", "e_"));
    assert!(matches("日本語", "_本%"));
    assert!(matches("a%", "a\\%"));
    assert!(!matches("ab", "a\\%"));
    assert!(matches("aaab", "%a_b"));
    assert!(!matches("ß", "ss"));
    assert!(!matches("a", "a "));
    assert!(matches("", "%%"));
    assert!(matches("a\\", "a\\"));
}

#[test]
fn case_is_folded_by_character() {
    let c = Collation::UTF8MB4_0900_AI_CI;
    assert_eq!(c.to_upper("straße éя".as_bytes()), "STRAßE ÉЯ".as_bytes());
    assert_eq!(c.to_lower("ÉЯΣ".as_bytes()), "éяσ".as_bytes());
    assert_eq!(Collation(8).to_upper(b"\xE9\xFF"), b"\xC9\xFF");
    assert_eq!(Collation::BINARY.to_upper(b"abc"), b"abc");
}

#[test]
fn conversion_replaces_what_is_missing() {
    let convert = |from: Charset, to: Charset, t: &[u8]| {
        let c = from.convert(to, &Bytes::copy_from_slice(t));
        (c.bytes.to_vec(), c.first_lost)
    };
    assert_eq!(convert(Charset::Utf8mb4, Charset::Latin1, "é€".as_bytes()), (b"\xE9\x80".to_vec(), None));
    assert_eq!(convert(Charset::Utf8mb4, Charset::Latin1, "a日".as_bytes()), (b"a?".to_vec(), Some(1)));
    assert_eq!(convert(Charset::Latin1, Charset::Utf8mb4, b"\xE9\x80"), ("é€".as_bytes().to_vec(), None));
    assert_eq!(convert(Charset::Utf8mb4, Charset::Utf8mb3, "\u{1F600}".as_bytes()), (b"?".to_vec(), Some(0)));
    assert_eq!(Charset::Utf8mb4.find_invalid(b"ab\xFF"), Some(2));
    assert_eq!(Charset::Utf8mb3.find_invalid("a\u{1F600}".as_bytes()), Some(1));
    assert_eq!(Charset::Utf8mb4.char_offset("日本語".as_bytes(), 2), 6);
    assert_eq!(Charset::Utf8mb4.char_count("日本語x".as_bytes()), 4);
}

#[test]
fn collations_are_found_by_name_and_number() {
    assert_eq!(named("UTF8_general_ci").0, 33);
    assert_eq!(named("utf8mb4_0900_ai_ci"), Charset::Utf8mb4.default_collation());
    assert!(Collation::by_name("klingon_ci").is_none());
    for info in Collation::all() {
        assert_eq!(Collation::by_name(info.name), Some(info.id));
        assert_eq!(info.id.info().name, info.name);
        assert_eq!(info.is_default, info.charset.default_collation() == info.id);
    }
    assert!(named("utf8mb4_unicode_ci").is_supported());
    assert!(named("utf8mb4_0900_as_cs").is_supported());
}

/// Weights as MariaDB's WEIGHT_STRING gives them, followed by the space that ends every text.
#[test]
fn unicode_ci_weighs_as_recorded() {
    let weights = |name: &str, text: &str| {
        let mut bytes = key(named(name), CollationVersion::V1, text.as_bytes());
        bytes.truncate(bytes.len() - 3);
        bytes.iter().map(|b| format!("{b:02X}")).collect::<String>()
    };
    for (name, text, wanted) in [
        ("utf8mb4_unicode_ci", "aÄb", "0E330E330E4A"),
        ("utf8mb4_unicode_ci", "ß", "0FEA0FEA"),
        ("utf8mb4_unicode_ci", "日", "FB40E5E5"),
        ("utf8mb4_unicode_ci", "\u{1F600}", "FFFD"),
        ("utf8mb4_unicode_520_ci", "aÄb", "120F120F1225"),
        ("utf8mb4_unicode_520_ci", "日", "FB40E5E5"),
    ] {
        assert_eq!(weights(name, text), wanted, "{name} {text}");
    }
    assert!(named("utf8mb4_unicode_ci").equal("Straße".as_bytes(), b"STRASSE  "));
    assert!(named("utf8mb4_unicode_520_ci").equal("résumé".as_bytes(), b"RESUME"));
    assert!(named("utf8mb4_unicode_ci").compare(b"a\t", b"a").is_lt());
}

#[test]
fn common_texts_take_a_byte_a_character() {
    let bytes = |name: &str, text: &str| key(named(name), CollationVersion::V2, text.as_bytes()).len();
    for name in ["utf8mb4_0900_ai_ci", "utf8mb4_unicode_ci", "utf8mb4_unicode_520_ci"] {
        let end = bytes(name, "");
        for (text, wanted) in
            [("Hello, World", 12), ("Straße", 7), ("résumé", 6), ("Вода", 8), ("水", 4), ("ŋ", 3), ("가", 4)]
        {
            let spaces = if end > 0 { text.matches(' ').count() } else { 0 };
            assert_eq!(bytes(name, text), wanted + spaces + end, "{name} {text}");
        }
    }
}

/// Weights are at their closest between the characters of a table, in the order of the table.
#[test]
fn both_versions_order_all_characters_alike() {
    let texts: Vec<String> = (1..0x1_1000_u32)
        .chain((0x1_1000..0x11_0000).step_by(97))
        .filter_map(char::from_u32)
        .map(|character| format!("{character}a"))
        .collect();
    for name in &UTF8[..5] {
        let keys = |version| texts.iter().map(move |text| key(named(name), version, text.as_bytes()));
        let mut both: Vec<_> = keys(CollationVersion::V1).zip(keys(CollationVersion::V2)).collect();
        both.sort();
        for pair in both.windows(2) {
            assert_eq!(pair[0].0.cmp(&pair[1].0), pair[0].1.cmp(&pair[1].1), "{name} {pair:?}");
        }
    }
}

const UTF8: [&str; 8] = [
    "utf8mb4_unicode_ci",
    "utf8mb4_unicode_520_ci",
    "utf8mb4_0900_ai_ci",
    "utf8mb4_0900_as_ci",
    "utf8mb4_0900_as_cs",
    "utf8mb4_general_ci",
    "utf8mb4_bin",
    "utf8mb4_0900_bin",
];

proptest! {
    #[test]
    fn utf8_collations_agree_with_themselves(a in "[ \t!aAbBéßл·ﬁ日가\u{0}\u{301}\u{e40}\u{e01}\u{1F600}]{0,6}", b in "[ \t!aAbBéßл·ﬁ日가\u{0}\u{301}\u{e40}\u{e01}\u{1F600}]{0,6}") {
        for name in UTF8 {
            order(named(name), a.as_bytes(), b.as_bytes());
        }
    }

    #[test]
    fn byte_collations_agree_with_themselves(a in prop::collection::vec(any::<u8>(), 0..6), b in prop::collection::vec(any::<u8>(), 0..6)) {
        for id in [8, 47, 48, 63] {
            order(Collation(id), &a, &b);
        }
        // Malformed UTF-8 must not panic.
        for name in UTF8 {
            let _ = named(name).compare(&a, &b);
            let _ = like(named(name), &a, &b, Some(b"\\"));
            VERSIONS.iter().for_each(|version| drop(key(named(name), *version, &a)));
        }
    }
}
