//! The S3 store against moto, over HTTP and HTTPS, with connections that break.

mod support;

use aquifer_objstore::{
    Operation, PutOutcome, S3Options, S3PathStyle, Store, StoreErrorKind, StoreOptions, StoreUrl, block_on,
    probe_conditional_put,
};
use support::moto::{BUCKET, Credentials, Moto, in_child};
use support::proxy::{self, Spoil};
use support::{assert_conforms, assert_one_winner, bytes};

#[test]
fn s3_conforms_with_and_without_prefix() {
    in_child(Credentials::Given, &[], || {
        let moto = Moto::start();
        let below = moto.store("some/prefix");
        assert_conforms(&below);
        let objects = block_on(below.list("", None)).expect("list");
        let whole = moto.store("");
        let all = block_on(whole.list("", None)).expect("list");
        assert_eq!(all.len(), objects.len());
        assert!(all.iter().all(|object| object.key.starts_with("some/prefix/")));
        all.iter().for_each(|object| block_on(whole.delete(&object.key)).expect("delete"));
        assert_conforms(&whole);
    });
}

#[test]
fn s3_put_if_absent_by_32_threads_has_one_winner() {
    in_child(Credentials::Given, &[], || {
        let moto = Moto::start();
        assert_one_winner(&[moto.store("p"), moto.store("p")], 32, 3);
    });
}

#[test]
fn s3_probe_accepts_a_store_with_conditions() {
    in_child(Credentials::Given, &[], || {
        let moto = Moto::start();
        let store = moto.store("p");
        assert_eq!(block_on(probe_conditional_put(&store, "")), Ok(()));
        assert_eq!(block_on(store.list("", None)), Ok(vec![]));
    });
}

#[test]
fn s3_list_fetches_every_page() {
    in_child(Credentials::Given, &[], || {
        let moto = Moto::start();
        let store = moto.store("p");
        std::thread::scope(|scope| {
            for part in 0..4 {
                let store = store.clone();
                scope.spawn(move || {
                    for number in 0..275 {
                        block_on(store.put(&format!("k/{part}-{number:04}"), bytes("x"))).expect("put");
                    }
                });
            }
        });
        let objects = block_on(store.list("k/", None)).expect("list");
        assert_eq!(objects.len(), 1100);
        assert!(objects.is_sorted_by(|a, b| a.key < b.key));
        assert_eq!(store.meter().snapshot().of(Operation::List).requests, 2);
    });
}

/// A store behind a proxy that spoils PUTs.
fn spoiled_store(moto: &Moto, method: &'static str, plan: Vec<Spoil>) -> Store {
    let port = proxy::start(moto.port, method, plan);
    Moto::store_at(&format!("http://127.0.0.1:{port}"), "p")
}

#[test]
fn s3_put_if_absent_whose_answer_is_lost_is_created() {
    in_child(Credentials::Given, &[], || {
        let moto = Moto::start();
        let store = spoiled_store(&moto, "PUT", vec![Spoil::DropAnswer]);
        assert_eq!(block_on(store.put_if_absent("a", bytes("mine"))), Ok(PutOutcome::Created));
        let counts = store.meter().snapshot();
        assert_eq!(counts.of(Operation::Put).requests, 2, "the SDK repeats nothing by itself");
        assert_eq!(counts.of(Operation::Get).requests, 1);
        assert_eq!(block_on(moto.store("p").get("a")), Ok(bytes("mine")));
    });
}

#[test]
fn s3_put_if_absent_against_another_object_whose_answer_is_lost_exists() {
    in_child(Credentials::Given, &[], || {
        let moto = Moto::start();
        block_on(moto.store("p").put("a", bytes("theirs"))).expect("put");
        let store = spoiled_store(&moto, "PUT", vec![Spoil::DropAnswer]);
        assert_eq!(block_on(store.put_if_absent("a", bytes("mine"))), Ok(PutOutcome::Exists));
    });
}

#[test]
fn s3_request_is_repeated_after_409_503_and_a_closed_connection() {
    in_child(Credentials::Given, &[], || {
        let moto = Moto::start();
        let conflict = Spoil::Answer(409, "ConditionalRequestConflict");
        let plan = vec![conflict, Spoil::Answer(503, "SlowDown"), Spoil::Close];
        let store = spoiled_store(&moto, "PUT", plan.clone());
        assert_eq!(block_on(store.put_if_absent("a", bytes("mine"))), Ok(PutOutcome::Created));
        assert_eq!(store.meter().snapshot().of(Operation::Put).retries, 3);
        let store = spoiled_store(&moto, "GET", plan);
        assert_eq!(block_on(store.get("a")), Ok(bytes("mine")));
        assert_eq!(store.meter().snapshot().of(Operation::Get).retries, 3);
    });
}

#[test]
fn s3_refusals_are_told_apart() {
    in_child(Credentials::Given, &[], || {
        let moto = Moto::start();
        let store = spoiled_store(&moto, "GET", vec![Spoil::Answer(403, "AccessDenied")]);
        let error = block_on(store.get("a")).expect_err("denied");
        assert_eq!(error.kind(), StoreErrorKind::Denied);
        assert!(error.to_string().contains(&format!("s3://{BUCKET}/p at http://")), "{error}");
        let url = StoreUrl::parse("s3://no-such-bucket/p").expect("legal");
        let s3 = S3Options { endpoint: Some(moto.endpoint()), ..S3Options::default() };
        let options = StoreOptions { s3, retry: support::PATIENT, ..StoreOptions::default() };
        let store = Store::open(&url, &options).expect("opens");
        assert_eq!(block_on(store.get("a")).expect_err("no bucket").kind(), StoreErrorKind::Invalid);
        assert_eq!(
            block_on(store.put("a", bytes("x"))).expect_err("no bucket").kind(),
            StoreErrorKind::Invalid
        );
    });
}

#[test]
fn s3_without_credentials_is_denied_with_the_remedy() {
    in_child(Credentials::None, &[], || {
        let moto = Moto::start();
        let error = block_on(moto.store("p").get("a")).expect_err("no credentials");
        assert_eq!(error.kind(), StoreErrorKind::Denied, "{error}");
        assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
    });
}

#[test]
fn s3_that_is_down_is_unavailable() {
    in_child(Credentials::Given, &[], || {
        let moto = Moto::start();
        let store = moto.store("p");
        drop(moto);
        let error = block_on(store.get("a")).expect_err("down");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert_eq!(store.meter().snapshot().of(Operation::Get).requests, 4);
    });
}

#[test]
fn s3_endpoint_from_the_environment_is_used_with_path_style() {
    // The port is not known before the server runs, so the parent starts it for the child.
    let moto = if std::env::var_os("AWS_ENDPOINT_URL").is_none() { Some(Moto::start()) } else { None };
    let endpoint = moto.as_ref().map(Moto::endpoint).unwrap_or_default();
    in_child(Credentials::Given, &[("AWS_ENDPOINT_URL", &endpoint), ("AWS_REGION", "eu-west-1")], || {
        let url = StoreUrl::parse(&format!("s3://{BUCKET}")).expect("legal");
        let store = Store::open(&url, &StoreOptions::default()).expect("opens");
        block_on(store.put("a", bytes("x"))).expect("put");
        assert_eq!(block_on(store.get("a")), Ok(bytes("x")));
    });
}

#[test]
fn s3_virtual_hosted_style_names_the_bucket_in_the_host() {
    in_child(Credentials::Given, &[], || {
        let moto = Moto::start();
        let url = StoreUrl::S3 { bucket: BUCKET.to_owned(), prefix: String::new() };
        let endpoint = format!("http://localhost:{}", moto.port);
        let s3 =
            S3Options { endpoint: Some(endpoint), path_style: S3PathStyle::Virtual, ..S3Options::default() };
        let options = StoreOptions { s3, retry: support::PATIENT, ..StoreOptions::default() };
        let store = Store::open(&url, &options).expect("opens");
        // Whether `<bucket>.localhost` resolves depends on the machine; the name shows in the failure.
        match block_on(store.put("a", bytes("x"))) {
            Ok(()) => assert_eq!(block_on(moto.store("").get("a")), Ok(bytes("x"))),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}"),
        }
    });
}

#[test]
fn s3_over_https_works() {
    let dir = tempfile::tempdir().expect("a directory");
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let text = |path: &std::path::Path| path.display().to_string();
    let (certificate, key) = (text(&certificate), text(&key));
    let extra = [("SSL_CERT_FILE", certificate.as_str()), ("AQUIFER_TEST_KEY", key.as_str())];
    in_child(Credentials::Given, &extra, || {
        let variable = |name| std::env::var(name).expect("given by the parent");
        let moto =
            Moto::launch(&["-s", "-c", &variable("SSL_CERT_FILE"), "-k", &variable("AQUIFER_TEST_KEY")]);
        let store = Moto::store_at(&format!("https://localhost:{}", moto.port), "p");
        // The bucket does not exist: that the server says so shows that TLS works.
        let error = block_on(store.put("a", bytes("x"))).expect_err("no bucket");
        assert_eq!(error.kind(), StoreErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("NoSuchBucket"), "{error}");
    });
}

#[test]
fn s3_endpoint_without_scheme_is_refused() {
    let url = StoreUrl::parse("s3://bucket").expect("legal");
    let s3 = S3Options { endpoint: Some("localhost:9000".to_owned()), ..S3Options::default() };
    let error = Store::open(&url, &StoreOptions { s3, ..StoreOptions::default() }).expect_err("refused");
    assert_eq!(error.kind(), StoreErrorKind::Invalid);
    assert!(error.to_string().contains("localhost:9000"), "{error}");
}
