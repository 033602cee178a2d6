//! Digests that other programs made.

use super::digest_text;
use crate::auth::Sha2Verifier;

#[test]
fn digest_is_that_of_openssl() {
    // openssl passwd -5 -salt <salt> <password>
    let cases: [(&str, &str, &str); 3] = [
        ("Hello world!", "saltstringsaltst", "a5C8Ofk71MUIoKve2QuP9FMl.dwNgseF5tR1LGAL7iB"),
        ("a", "toolongsaltstrin", "Y5wGGKUH2v6z1saSwcVfFuvi2xIrSi6slnw8Ye/8aB9"),
        (&"long password ".repeat(8), "saltstringsaltst", "gWxkeVaXC2MyJK6xCDFidguZMPnmsCieQz3BgGDevk9"),
    ];
    for (password, salt, expected) in cases {
        assert_eq!(digest_text(password.as_bytes(), salt.as_bytes(), 5000), expected.as_bytes());
    }
}

#[test]
fn verifier_made_by_mysql_accepts_its_password() {
    let text: &[u8] =
        b"$A$005$\x03\x1ai%\x1c4)\\K5\x16|\x7f\x1eZ{c\t\x13IP9tbM4PKZBFy5HV3hhhoRHZsnJs3hxnBuuQlsDdiIe7";
    let verifier = Sha2Verifier::parse(text).expect("a verifier");
    assert!(verifier.accepts(b"foobar"));
    assert!(!verifier.accepts(b"foobaz"));
    assert_eq!(verifier.to_bytes(), text);
}
