//! Addresses of stores.

use std::path::PathBuf;

use aquifer_objstore::{StoreErrorKind, StoreUrl};

fn s3(bucket: &str, prefix: &str) -> StoreUrl {
    StoreUrl::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() }
}

#[test]
fn parse_accepts_every_form() {
    let forms = [
        ("s3://bucket", s3("bucket", "")),
        ("s3://bucket/", s3("bucket", "")),
        ("s3://bucket/a/b/", s3("bucket", "a/b")),
        ("file:///var/lib/x", StoreUrl::Dir(PathBuf::from("/var/lib/x"))),
        ("/var/lib/x", StoreUrl::Dir(PathBuf::from("/var/lib/x"))),
        ("./data", StoreUrl::Dir(PathBuf::from("./data"))),
    ];
    for (text, expected) in forms {
        assert_eq!(StoreUrl::parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn parse_of_a_bad_address_says_what_is_accepted() {
    for text in ["", "s3://", "s3:///a", "s3://b/a//c", "s3://b/../c", "file://relative", "gs://bucket"] {
        let error = StoreUrl::parse(text).expect_err(text);
        assert_eq!(error.kind(), StoreErrorKind::Invalid);
        assert!(error.to_string().contains("s3://bucket/prefix"), "{error}");
    }
}

#[test]
fn display_parses_back() {
    for text in ["s3://bucket", "s3://bucket/a/b", "/var/lib/x"] {
        assert_eq!(StoreUrl::parse(text).expect(text).to_string(), text);
    }
}
