//! Rewriting of binary literals.

use super::binary_literals::as_text;

fn rewritten(text: &[u8]) -> String {
    String::from_utf8(as_text(bytes::Bytes::copy_from_slice(text), true, false).to_vec()).unwrap()
}

#[test]
fn text_is_left_alone() {
    assert_eq!(rewritten("SELECT 'Gödel', _binary'a'".as_bytes()), "SELECT 'Gödel', _binary'a'");
}

#[test]
fn literals_that_are_not_utf8_become_hexadecimal() {
    assert_eq!(rewritten(b"SELECT _binary'\xff\\'\\0''\\Z', 'b'"), "SELECT _binary x'ff2700271a', 'b'");
    assert_eq!(rewritten(b"SELECT /* ' */ \"\xfe\", `a'b`"), "SELECT /* ' */  x'fe', `a'b`");
}

#[test]
fn a_literal_without_an_end_does_not_panic() {
    assert_eq!(rewritten(b"SELECT '\xff"), "SELECT  x''");
    assert_eq!(rewritten(b"SELECT '\xff\\"), "SELECT  x'ff'");
}
