//! Small facts: encodings, digests, parameters, metadata.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use aquifer_types::{Collation, DataType, Date, DateTime, SqlError, Time, TypeKind, Value};
use aquifer_wire::auth::{FastDigest, NativeVerifier, Sha2Verifier};
use aquifer_wire::codec::{Reader, put_lenenc};
use aquifer_wire::{
    Capabilities, Channel, ColumnDef, ColumnFlags, ColumnType, Command, Credential, OkPacket, ResultCharset,
    Salt, ServerState, SessionChanges, StatementParams, StatusFlags, StmtExecute, TypeMeta, WireError,
};
use bytes::Bytes;

fn body(channel: &mut Channel) -> Vec<u8> {
    channel.take_output().unwrap()[4..].to_vec()
}

#[test]
fn lenenc_round_trips_at_every_boundary() {
    for value in [0, 250, 251, 255, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000, u64::MAX] {
        let mut out = Vec::new();
        put_lenenc(&mut out, value);
        let mut reader = Reader::new(Bytes::from(out));
        assert_eq!(reader.lenenc().unwrap(), value);
        assert!(reader.is_empty());
    }
    for first in [0xfb, 0xff] {
        assert!(Reader::new(Bytes::from(vec![first, 0, 0])).lenenc().is_err());
    }
}

#[test]
fn native_verifier_is_that_of_mysql() {
    // SELECT PASSWORD('mypass') in the MySQL manual.
    let verifier = NativeVerifier::from_password(b"mypass");
    assert_eq!(verifier.to_text(), "*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4");
    assert_eq!(NativeVerifier::parse(verifier.to_text().as_bytes()), Some(verifier));
    assert_eq!(NativeVerifier::parse(b"*6C89"), None);
}

#[test]
fn sha2_verifier_is_sha256_crypt() {
    // `openssl passwd -5 -salt saltstring` has the same digest; MySQL's salt is longer.
    let digest =
        Sha2Verifier::with_salt(b"Hello world!", &Salt::from_bytes(*b"saltstringsaltstring").unwrap());
    let text = digest.to_bytes();
    assert_eq!(text.len(), 70);
    assert!(text.starts_with(b"$A$005$saltstringsaltstring"));
    let parsed = Sha2Verifier::parse(&text).unwrap();
    assert!(parsed.accepts(b"Hello world!"));
    assert!(!parsed.accepts(b"Hello world"));
    for broken in [&b"$A$005$short"[..], b"$B$005$", b"", b"$A$000$aaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        assert_eq!(Sha2Verifier::parse(broken), None);
    }
}

#[test]
fn credential_round_trips_through_the_account_table() {
    for plugin in [aquifer_wire::AuthPlugin::CachingSha2, aquifer_wire::AuthPlugin::Native] {
        for password in ["", "secret"] {
            let credential = Credential::from_password(plugin, password.as_bytes()).unwrap();
            let text = credential.to_authentication_string();
            assert!(text.is_ascii());
            assert_eq!(Credential::parse(plugin.name(), &text).unwrap(), credential);
        }
        assert!(Credential::parse(plugin.name(), b"rubbish").is_err());
    }
    assert!(Credential::parse("auth_socket", b"").is_err());
}

#[test]
fn proofs_of_other_lengths_prove_nothing() {
    let salt = Salt::from_entropy([7; 20]);
    for length in [0, 1, 19, 20, 21, 31, 32, 33, 64] {
        let proof = vec![0; length];
        assert!(!NativeVerifier::from_password(b"x").accepts(&proof, &salt));
        assert!(!FastDigest::from_password(b"x").accepts(&proof, &salt));
    }
}

#[test]
fn ok_packet_carries_session_changes_only_to_those_who_track() {
    let changes = SessionChanges {
        system_variables: vec![("autocommit".into(), "ON".into())],
        schema: Some("shop".into()),
        state_changed: true,
        gtids: Some("x:1".into()),
        ..SessionChanges::default()
    };
    let ok = OkPacket {
        affected_rows: 1,
        last_insert_id: 300,
        state: ServerState { status: StatusFlags::AUTOCOMMIT, warnings: 2 },
        info: "ok",
        changes: Some(&changes),
    };
    let mut channel = Channel::new();
    channel.write_ok(&ok);
    assert_eq!(body(&mut channel), [0, 1, 0xfc, 44, 1, 2, 0, 2, 0, 2, b'o', b'k']);
    let mut tracking = tracking_channel();
    tracking.write_ok(&ok);
    let mut expected = vec![0, 1, 0xfc, 44, 1, 2, 0x40, 2, 0, 2, b'o', b'k'];
    let mut entries = Vec::new();
    entries.extend_from_slice(b"\x00\x0e\x0aautocommit\x02ON");
    entries.extend_from_slice(b"\x01\x05\x04shop");
    entries.extend_from_slice(b"\x02\x02\x011");
    entries.extend_from_slice(b"\x03\x05\x00\x03x:1");
    expected.push(entries.len() as u8);
    expected.extend_from_slice(&entries);
    assert_eq!(body(&mut tracking), expected);
}

/// A channel whose client has agreed to everything, by a login as `nobody`.
fn tracking_channel() -> Channel {
    use aquifer_wire::{AuthCache, AuthPlugin, Handshake, HandshakeSettings, Transport};
    let mut channel = Channel::new();
    let settings = HandshakeSettings {
        version: "8".into(),
        capabilities: Capabilities::ALL_SUPPORTED,
        collation: Collation::UTF8MB4_0900_AI_CI,
        default_plugin: AuthPlugin::Native,
        keys: None,
    };
    let salt = Salt::from_entropy([1; 20]);
    let mut handshake = Handshake::start(settings.into(), Transport::Local, 1, salt, &mut channel);
    let flags = Capabilities::ALL_SUPPORTED.without(Capabilities::SSL);
    let mut login = flags.bits().to_le_bytes().to_vec();
    login.resize(32, 0);
    login.extend_from_slice(b"nobody\0\0\0\0\0\0");
    channel.feed(&[&[login.len() as u8, 0, 0, 1], &login[..]].concat()).unwrap();
    handshake.advance(&mut channel, &AuthCache::new()).unwrap();
    channel.take_output().unwrap();
    channel
}

#[test]
fn error_packet_has_a_state_only_after_the_login() {
    let error = SqlError::new(1146, "Table 'a.b' doesn't exist");
    let mut channel = Channel::new();
    channel.write_error(&error);
    assert_eq!(body(&mut channel), b"\xff\x7a\x04Table 'a.b' doesn't exist");
    let mut channel = tracking_channel();
    channel.write_error(&error);
    assert_eq!(body(&mut channel), b"\xff\x7a\x04#42S02Table 'a.b' doesn't exist");
    channel.write_error(&SqlError::new(1064, "é".repeat(400)));
    assert_eq!(body(&mut channel).len(), 9 + 512);
}

#[test]
fn unfinished_packet_leaves_no_byte() {
    let mut channel = Channel::new();
    channel.text_row().push_int(5);
    assert_eq!(channel.output_len(), 0);
    let mark = channel.mark_output();
    channel.write_text("x");
    assert!(channel.undo_output(mark));
    channel.write_text("y");
    assert_eq!(channel.take_output().unwrap(), [1, 0, 0, 0, b'y']);
    channel.write_text("z");
    assert!(!channel.undo_output(mark));
}

#[test]
fn text_row_writes_each_kind_of_value() {
    let mut channel = Channel::new();
    let mut row = channel.text_row();
    row.push_null();
    row.push_int(i64::MIN);
    row.push_uint(u64::MAX);
    row.push_int(0);
    row.push_int(-7);
    row.push_uint(100);
    row.push_bytes(b"");
    row.push_with(|out| out.extend_from_slice(&[b'x'; 300]));
    row.push_value(&Value::UInt(12), &DataType::bigint_unsigned());
    row.finish();
    let mut expected = b"\xfb\x14-9223372036854775808\x1418446744073709551615\x010\x02-7\x03100\x00".to_vec();
    expected.extend_from_slice(&[0xfc, 44, 1]);
    expected.extend_from_slice(&[b'x'; 300]);
    expected.extend_from_slice(b"\x0212");
    assert_eq!(body(&mut channel), expected);
}

#[test]
fn text_integers_agree_with_display() {
    let mut state = 1u64;
    for shift in 0..64 {
        for _ in 0..20 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = state >> shift;
            let mut channel = Channel::new();
            let mut row = channel.text_row();
            row.push_uint(value);
            row.push_int(value.cast_signed());
            row.finish();
            let (a, b) = (value.to_string(), value.cast_signed().to_string());
            let expected = [&[a.len() as u8], a.as_bytes(), &[b.len() as u8], b.as_bytes()].concat();
            assert_eq!(body(&mut channel), expected);
        }
    }
}

#[test]
fn binary_row_writes_each_kind_of_value() {
    let mut channel = Channel::new();
    let mut row = channel.binary_row(9);
    row.push_value(&Value::Int(-2), &DataType::of(TypeKind::TinyInt));
    row.push_value(&Value::Null, &DataType::of(TypeKind::Int));
    row.push_value(&Value::UInt(2026), &DataType::of(TypeKind::Year));
    row.push_value(&Value::Int(7), &DataType::of(TypeKind::MediumInt));
    row.push_value(&Value::Double(1.5), &DataType::of(TypeKind::Double));
    row.push_value(&Value::Bytes(Bytes::from_static(b"abc")), &DataType::varchar(3));
    let date = Date { year: 2026, month: 11, day: 23 };
    row.push_value(
        &Value::DateTime(DateTime { date, micros: 3_723_000_004 }),
        &DataType::of(TypeKind::DateTime),
    );
    let time = Time { micros: -(25 * 3600 + 61) * 1_000_000 };
    row.push_value(&Value::Time(time), &DataType::of(TypeKind::Time));
    row.push_value(&Value::Null, &DataType::of(TypeKind::Json));
    row.finish();
    let mut expected = vec![0, 0b0000_1000, 0b0000_0100];
    expected.push(0xfe);
    expected.extend_from_slice(&[0xea, 0x07]);
    expected.extend_from_slice(&[7, 0, 0, 0]);
    expected.extend_from_slice(&1.5f64.to_le_bytes());
    expected.extend_from_slice(b"\x03abc");
    expected.extend_from_slice(&[11, 0xea, 0x07, 11, 23, 1, 2, 3, 4, 0, 0, 0]);
    expected.extend_from_slice(&[8, 1, 1, 0, 0, 0, 1, 1, 1]);
    assert_eq!(body(&mut channel), expected);
}

fn execute(body: &[u8], flags: u8) -> StmtExecute {
    let mut packet = vec![0x17, 1, 0, 0, 0, flags, 1, 0, 0, 0];
    packet.extend_from_slice(body);
    match Command::parse(packet.into(), Capabilities::empty()).unwrap() {
        Command::StmtExecute(execute) => execute,
        other => panic!("{other:?}"),
    }
}

#[test]
fn parameters_of_every_type_are_decoded() {
    let cases: &[(u8, u8, &[u8], &str)] = &[
        (0x01, 0, &[0xff], "Int(-1)"),
        (0x01, 0x80, &[0xff], "UInt(255)"),
        (0x02, 0, &[0xfe, 0xff], "Int(-2)"),
        (0x0d, 0x80, &[0xea, 7], "UInt(2026)"),
        (0x03, 0, &[1, 0, 0, 0x80], "Int(-2147483647)"),
        (0x09, 0x80, &[1, 0, 0, 0], "UInt(1)"),
        (0x08, 0x80, &[0xff; 8], "UInt(18446744073709551615)"),
        (0x04, 0, &[0, 0, 0xc0, 0x3f], "Float(1.5)"),
        (0x05, 0, &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f], "Double(1.5)"),
        (0x06, 0, &[], "Null"),
        (0xfd, 0, b"\x02hi", "Bytes(b\"hi\")"),
        (0xfc, 0, b"\x01\xff", "Bytes(b\"\\xff\")"),
        (0xf5, 0, b"\x02{}", "Bytes(b\"{}\")"),
        (0x0a, 0, &[4, 0xea, 7, 11, 23], "Date(Date { year: 2026, month: 11, day: 23 })"),
        (0x0c, 0, &[0], "DateTime(DateTime { date: Date { year: 0, month: 0, day: 0 }, micros: 0 })"),
        (
            0x07,
            0,
            &[11, 0xea, 7, 11, 23, 0, 0, 1, 5, 0, 0, 0],
            "DateTime(DateTime { date: Date { year: 2026, month: 11, day: 23 }, micros: 1000005 })",
        ),
        (
            0x0c,
            0,
            &[4, 0xea, 7, 13, 1],
            "DateTime(DateTime { date: Date { year: 0, month: 0, day: 0 }, micros: 0 })",
        ),
        (0x0b, 0, &[8, 1, 1, 0, 0, 0, 1, 0, 0], "Time(Time { micros: -90000000000 })"),
        (0x0b, 0, &[8, 0, 200, 0, 0, 0, 1, 0, 0], "Time(Time { micros: 3020399000000 })"),
    ];
    for (column_type, flags, value, expected) in cases {
        let body = [&[0, 1, *column_type, *flags], *value].concat();
        let mut params = StatementParams::new(1);
        let decoded = params.decode(&execute(&body, 0), Capabilities::empty()).unwrap();
        assert_eq!(format!("{:?}", decoded.params[0].value), *expected);
        // The types hold for the next execution; every truncation is malformed.
        let again = [&[0, 0], *value].concat();
        let decoded = params.decode(&execute(&again, 0), Capabilities::empty()).unwrap();
        assert_eq!(format!("{:?}", decoded.params[0].value), *expected);
        for end in 0..body.len() {
            let mut params = StatementParams::new(1);
            let decoded = params.decode(&execute(&body[..end], 0), Capabilities::empty());
            assert!(matches!(decoded, Err(WireError::Malformed(_))), "{column_type} {end}");
        }
    }
}

#[test]
fn long_data_replaces_the_value_and_is_forgotten() {
    let mut params = StatementParams::new(2);
    params.append_long_data(1, b"abc", 10);
    params.append_long_data(1, b"def", 10);
    params.append_long_data(9, b"ignored", 10);
    let body = [0b00, 1, 0x03, 0, 0xfc, 0, 5, 0, 0, 0];
    let decoded = params.decode(&execute(&body, 0), Capabilities::empty()).unwrap();
    assert!(matches!(&decoded.params[1].value, Value::Bytes(data) if data == "abcdef"));
    assert!(params.decode(&execute(&body, 0), Capabilities::empty()).is_err());
    params.append_long_data(1, b"too long to be kept", 10);
    params.append_long_data(1, b"x", 10);
    let failed = params.decode(&execute(&body, 0), Capabilities::empty());
    assert!(matches!(failed, Err(WireError::LongDataTooLarge { limit: 10 })));
}

#[test]
fn attributes_follow_the_parameters_of_an_execution() {
    let mut body = vec![2, 0b00, 1, 0x03, 0, 0, 0xfd, 0];
    body.extend_from_slice(b"\x04name");
    body.extend_from_slice(&[5, 0, 0, 0]);
    body.extend_from_slice(b"\x05value");
    let mut params = StatementParams::new(1);
    let flags = StmtExecute::PARAMETER_COUNT_AVAILABLE;
    let decoded = params.decode(&execute(&body, 0), Capabilities::QUERY_ATTRIBUTES).unwrap();
    assert_eq!((decoded.params.len(), decoded.attributes.len()), (1, 1));
    let mut none = StatementParams::new(0);
    let decoded = none.decode(&execute(&body, 0), Capabilities::QUERY_ATTRIBUTES).unwrap();
    assert_eq!((decoded.params.len(), decoded.attributes.len()), (0, 0));
    let decoded = none.decode(&execute(&body, flags), Capabilities::QUERY_ATTRIBUTES).unwrap();
    assert_eq!((decoded.params.len(), decoded.attributes.len()), (0, 2));
    let decoded = params.decode(&execute(&body, flags), Capabilities::QUERY_ATTRIBUTES).unwrap();
    assert_eq!((decoded.params.len(), decoded.attributes.len()), (1, 1));
    assert_eq!(decoded.attributes[0].name, "name");
    let mut more = StatementParams::new(3);
    assert!(more.decode(&execute(&body, flags), Capabilities::QUERY_ATTRIBUTES).is_err());
}

#[test]
fn metadata_of_types_is_that_of_mysql() {
    let meta = |data_type: &DataType| TypeMeta::from_data_type(data_type, ResultCharset::UTF8MB4);
    let fields =
        |meta: TypeMeta| (meta.column_type.0, meta.flags.bits(), meta.charset, meta.length, meta.decimals);
    let of = |kind| fields(meta(&DataType::of(kind)));
    assert_eq!(of(TypeKind::Int), (3, 0, 63, 11, 0));
    assert_eq!(of(TypeKind::Double), (5, 0, 63, 22, 31));
    assert_eq!(of(TypeKind::Text), (252, 16, 255, 262_140, 0));
    assert_eq!(of(TypeKind::LongBlob), (252, 144, 63, u32::MAX, 0));
    assert_eq!(of(TypeKind::Json), (245, 144, 63, u32::MAX, 0));
    assert_eq!(of(TypeKind::Bit), (16, 32, 63, 1, 0));
    assert_eq!(of(TypeKind::Date), (10, 128, 63, 10, 0));
    assert_eq!(fields(meta(&DataType::varchar(255))), (253, 0, 255, 1020, 0));
    assert_eq!(fields(meta(&DataType::bigint_unsigned())), (8, 32, 63, 20, 0));
    let decimal = DataType { length: 10, decimals: 2, ..DataType::of(TypeKind::Decimal) };
    assert_eq!(fields(meta(&decimal)), (246, 0, 63, 12, 2));
    let precise = DataType { decimals: 6, ..DataType::of(TypeKind::DateTime) };
    assert_eq!(fields(meta(&precise)), (12, 128, 63, 26, 6));
    let members: std::sync::Arc<[String]> = vec!["a".to_owned(), "blue".to_owned()].into();
    let choice = DataType { members: Some(members.clone()), ..DataType::of(TypeKind::Enum) };
    assert_eq!(fields(meta(&choice)), (254, 256, 255, 16, 0));
    let set = DataType { members: Some(members), ..DataType::of(TypeKind::Set) };
    assert_eq!(fields(meta(&set)), (254, 2048, 255, 24, 0));
    let bin = DataType { collation: Collation::UTF8MB4_BIN, ..DataType::varchar(1) };
    assert_eq!(meta(&bin).flags, ColumnFlags::BINARY);
    assert_eq!(TypeMeta::from_data_type(&bin, ResultCharset::NONE).charset, 46);
}

#[test]
fn column_definition_of_a_literal_is_that_of_mysql() {
    let mut data_type = DataType::of(TypeKind::BigInt);
    data_type.length = 1;
    let mut column = ColumnDef::expression("1", &data_type, ResultCharset::UTF8MB4);
    column.meta.flags |= ColumnFlags::NOT_NULL;
    assert_eq!(column.meta.column_type, ColumnType::LONG_LONG);
    let mut channel = Channel::new();
    channel.write_columns(&[column], ServerState::default());
    let output = channel.take_output().unwrap();
    // As MySQL 5.6 and later answer SELECT 1.
    let expected =
        b"\x17\x00\x00\x01\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x01\x00\x00\x00\x08\x81\x00\x00\x00\x00";
    assert_eq!(output[..5], [1, 0, 0, 0, 1]);
    assert_eq!(output[5..5 + expected.len()], expected[..]);
    // EOF, for a client that does not deprecate it.
    assert_eq!(output[5 + expected.len()..], [5, 0, 0, 2, 0xfe, 0, 0, 0, 0]);
}
