//! Whole conversations between a client written from the protocol's description and the server.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;

use aquifer_wire::{AuthCache, AuthPlugin, Capabilities, Credential, Salt, Transport};
use support::client::{Client, Compression, Failure, Options, put_text};
use support::server::{Accounts, Server};

const SHA2: &str = "caching_sha2_password";
const NATIVE: &str = "mysql_native_password";

fn accounts() -> Arc<Accounts> {
    let accounts: HashMap<_, _> = [
        ("sha2", Credential::from_password(AuthPlugin::CachingSha2, b"secret").unwrap()),
        ("native", Credential::from_password(AuthPlugin::Native, b"secret").unwrap()),
        ("empty", Credential::CachingSha2(None)),
        ("emptynative", Credential::Native(None)),
    ]
    .map(|(user, credential)| (user.to_owned(), credential))
    .into();
    Arc::new(accounts)
}

struct Fixture {
    accounts: Arc<Accounts>,
    cache: Arc<AuthCache>,
    default_plugin: AuthPlugin,
    transport: Transport,
}

impl Fixture {
    fn new() -> Self {
        Self {
            accounts: accounts(),
            cache: Arc::new(AuthCache::new()),
            default_plugin: AuthPlugin::CachingSha2,
            transport: Transport::Network,
        }
    }

    fn server(&self) -> Server {
        let settings = support::settings(self.default_plugin, Some(support::keys()));
        let salt = Salt::random().unwrap();
        Server::new(settings, self.transport, self.accounts.clone(), self.cache.clone(), salt)
    }

    fn connect(&self, options: &Options) -> Result<Client, Failure> {
        Client::connect(self.server(), options)
    }
}

fn code<T>(result: Result<T, Failure>) -> u16 {
    result.err().map_or(0, |failure| failure.code)
}

#[test]
fn login_with_each_plugin_and_transport() {
    for tls in [false, true] {
        for default_plugin in [AuthPlugin::CachingSha2, AuthPlugin::Native] {
            for client_plugin in [SHA2, NATIVE, "dialog"] {
                for (user, password) in
                    [("sha2", "secret"), ("native", "secret"), ("empty", ""), ("emptynative", "")]
                {
                    let fixture = Fixture { default_plugin, ..Fixture::new() };
                    let options = Options { tls, ..Options::new(user, password, client_plugin) };
                    let mut client = fixture.connect(&options).unwrap();
                    assert!(client.server.authenticated);
                    assert_eq!(client.server.channel.is_encrypted(), tls);
                    assert_eq!(client.query("rows 3").unwrap()[0].rows.len(), 3);
                }
            }
        }
    }
}

#[test]
fn login_with_wrong_password_is_denied() {
    for tls in [false, true] {
        for client_plugin in [SHA2, NATIVE] {
            for user in ["sha2", "native", "empty", "emptynative", "nobody"] {
                for password in ["wrong", ""] {
                    if password.is_empty() && user.starts_with("empty") {
                        continue;
                    }
                    let options = Options { tls, ..Options::new(user, password, client_plugin) };
                    let failure = Fixture::new().connect(&options).err().unwrap();
                    assert_eq!(failure.code, 1045);
                    let used = if password.is_empty() { "NO" } else { "YES" };
                    let text =
                        format!("Access denied for user '{user}'@'localhost' (using password: {used})");
                    assert_eq!(failure.text, text);
                }
            }
        }
    }
}

#[test]
fn second_login_takes_the_fast_path() {
    let fixture = Fixture::new();
    let options = Options::new("sha2", "secret", SHA2);
    assert!(fixture.connect(&options).unwrap().used_full_authentication);
    assert!(!fixture.connect(&options).unwrap().used_full_authentication);
    let wrong = Options::new("sha2", "wrong", SHA2);
    assert_eq!(code(fixture.connect(&wrong)), 1045);
    fixture.cache.clear();
    assert!(fixture.connect(&options).unwrap().used_full_authentication);
}

#[test]
fn cached_login_after_password_change_shows_password_again() {
    let mut fixture = Fixture::new();
    let options = Options::new("sha2", "secret", SHA2);
    fixture.connect(&options).unwrap();
    let other = Credential::from_password(AuthPlugin::CachingSha2, b"other").unwrap();
    fixture.accounts = Arc::new([("sha2".to_owned(), other)].into());
    assert_eq!(code(fixture.connect(&options)), 1045);
    fixture.connect(&Options::new("sha2", "other", SHA2)).unwrap();
}

#[test]
fn login_with_public_key_in_hand_needs_no_request() {
    let public_key = Some(support::keys().public_key_pem().to_owned());
    let options = Options { public_key, ..Options::new("sha2", "secret", SHA2) };
    Fixture::new().connect(&options).unwrap();
}

#[test]
fn change_user_switches_accounts_and_plugins() {
    let fixture = Fixture::new();
    for tls in [false, true] {
        let options = Options { tls, ..Options::new("native", "secret", NATIVE) };
        let mut client = fixture.connect(&options).unwrap();
        for (user, password, plugin) in [
            ("sha2", "secret", SHA2),
            ("native", "secret", SHA2),
            ("sha2", "secret", NATIVE),
            ("empty", "", SHA2),
        ] {
            client.change_user(&Options { tls, ..Options::new(user, password, plugin) }).unwrap();
            assert!(client.server.authenticated);
            assert_eq!(client.query("rows 1").unwrap()[0].rows.len(), 1);
        }
        let wrong = Options::new("sha2", "wrong", SHA2);
        assert_eq!(code(client.change_user(&wrong)), 1045);
        assert!(!client.server.authenticated);
    }
}

#[test]
fn results_travel_over_every_layer() {
    for tls in [false, true] {
        for compression in [Compression::None, Compression::Zlib, Compression::Zstd] {
            for deprecate_eof in [false, true] {
                let options =
                    Options { tls, compression, deprecate_eof, ..Options::new("native", "secret", NATIVE) };
                let mut client = Fixture::new().connect(&options).unwrap();
                assert_eq!(client.query("rows 1000").unwrap()[0].rows.len(), 1000);
                assert_eq!(client.query("rows 0").unwrap()[0].rows.len(), 0);
                let sets = client.query("two").unwrap();
                assert_eq!([&sets[0].rows[0][..], &sets[1].rows[0][..]], [b"\x01a", b"\x01b"]);
                assert_eq!(code(client.query("fail")), 1064);
                assert_eq!(client.query("anything").unwrap()[0].status, 2);
            }
        }
    }
}

#[test]
fn packets_of_16_mib_and_more_are_split_and_joined() {
    const PART: usize = 0xff_ffff;
    for compression in [Compression::None, Compression::Zlib, Compression::Zstd] {
        let options = Options { compression, ..Options::new("native", "secret", NATIVE) };
        let mut client = Fixture::new().connect(&options).unwrap();
        for length in [PART - 5, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 7] {
            // The command byte is part of the packet.
            let text = format!("length {}", "x".repeat(length - 1 - "length ".len()));
            let sets = client.query(&text).unwrap();
            assert_eq!(sets[0].rows[0][1..], *(length - 1).to_string().as_bytes());
        }
        for length in [PART - 4, PART - 3, PART, 2 * PART - 9, 2 * PART + 7] {
            let sets = client.query(&format!("big {length}")).unwrap();
            assert!(sets[0].rows[0].ends_with(&vec![b'x'; length]));
        }
    }
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    for compression in [Compression::None, Compression::Zlib] {
        let options = Options { compression, ..Options::new("native", "secret", NATIVE) };
        let mut client = Fixture::new().connect(&options).unwrap();
        let mut bytes = Vec::new();
        for text in ["rows 1", "rows 2", "fail", "rows 3"] {
            bytes.extend_from_slice(&[text.len() as u8 + 1, 0, 0, 0, 3]);
            bytes.extend_from_slice(text.as_bytes());
        }
        client.command(0x0e, b"");
        client.read_packet();
        if compression == Compression::None {
            client.send_framed(&bytes);
            client.sequence_for_test(1);
            assert_eq!(client.read_results().unwrap()[0].rows.len(), 1);
            client.sequence_for_test(1);
            assert_eq!(client.read_results().unwrap()[0].rows.len(), 2);
            client.sequence_for_test(1);
            assert_eq!(code(client.read_results()), 1064);
            client.sequence_for_test(1);
            assert_eq!(client.read_results().unwrap()[0].rows.len(), 3);
        } else {
            client.frame_sequence_for_test(0);
            client.send_framed(&bytes);
            assert_eq!(client.read_results().unwrap()[0].rows.len(), 1);
            assert_eq!(client.read_results().unwrap()[0].rows.len(), 2);
            assert_eq!(code(client.read_results()), 1064);
            assert_eq!(client.read_results().unwrap()[0].rows.len(), 3);
        }
    }
}

#[test]
fn oversized_packet_is_refused_by_its_header() {
    let options = Options::new("native", "secret", NATIVE);
    let mut client = Fixture::new().connect(&options).unwrap();
    client.server.channel.limit_packets(1024);
    client.deliver(&[1, 4, 0, 0]);
    let packet = client.read_packet_any();
    assert_eq!(support::client::failure(&packet, client.capabilities).code, 1153);
    assert!(client.server.closing);
    assert!(client.server.channel.allocated() < 2048);
}

#[test]
fn oversized_packet_in_parts_is_refused_when_the_sum_is_known() {
    let options = Options::new("native", "secret", NATIVE);
    let mut client = Fixture::new().connect(&options).unwrap();
    client.server.channel.limit_packets(17 << 20);
    let mut bytes = vec![0xff, 0xff, 0xff, 0];
    bytes.resize(4 + 0xff_ffff, b'x');
    bytes.extend_from_slice(&[0, 0, 0x20, 1]);
    client.deliver(&bytes);
    let packet = client.read_packet_any();
    assert_eq!(support::client::failure(&packet, client.capabilities).code, 1153);
}

#[test]
fn oversized_login_is_refused() {
    let mut server = Fixture::new().server();
    server.exchange(&[]);
    let answer = server.exchange(&[0xff, 0xff, 0xff, 1]);
    assert_eq!(answer[4..7], [0xff, 0x81, 0x04]);
    assert!(server.closing);
}

#[test]
fn packet_out_of_order_ends_the_connection() {
    let mut client = Fixture::new().connect(&Options::new("native", "secret", NATIVE)).unwrap();
    client.deliver(&[1, 0, 0, 5, 0x0e]);
    let packet = client.read_packet_any();
    assert_eq!(support::client::failure(&packet, client.capabilities).code, 1156);
    assert!(client.server.closing);
}

#[test]
fn unknown_and_malformed_commands_leave_the_connection_usable() {
    let mut client = Fixture::new().connect(&Options::new("native", "secret", NATIVE)).unwrap();
    for (command, body, expected) in [(0x42, &b""[..], 1047), (0x17, b"abc", 1835), (0x1c, b"", 1835)] {
        client.command(command, body);
        let packet = client.read_packet();
        assert_eq!(support::client::failure(&packet, client.capabilities).code, expected);
    }
    client.command(0x0e, b"");
    assert_eq!(client.read_packet()[0], 0);
}

#[test]
fn tls_request_without_keys_is_refused() {
    let fixture = Fixture::new();
    let settings = support::settings(AuthPlugin::CachingSha2, None);
    let salt = Salt::random().unwrap();
    let mut server = Server::new(settings, Transport::Network, fixture.accounts, fixture.cache, salt);
    server.exchange(&[]);
    let mut request = vec![32, 0, 0, 1];
    let flags = Capabilities::PROTOCOL_41 | Capabilities::SSL;
    request.extend_from_slice(&flags.bits().to_le_bytes());
    request.resize(36, 0);
    let answer = server.exchange(&request);
    assert_eq!(answer[4..7], [0xff, 0x13, 0x04]);
    assert!(server.closing);
}

#[test]
fn sha2_on_a_local_socket_may_show_the_password() {
    let fixture = Fixture { transport: Transport::Local, ..Fixture::new() };
    let options = Options { local: true, ..Options::new("sha2", "secret", SHA2) };
    fixture.connect(&options).unwrap();
    assert_eq!(code(fixture.connect(&Options { password: "wrong".to_owned(), ..options })), 1045);
}

#[test]
fn password_in_the_clear_on_the_network_is_no_password() {
    let options = Options { local: true, ..Options::new("sha2", "secret", SHA2) };
    assert_eq!(code(Fixture::new().connect(&options)), 1045);
}

#[test]
fn query_attributes_are_decoded() {
    let capabilities = Capabilities::QUERY_ATTRIBUTES;
    let options = Options { capabilities, ..Options::new("native", "secret", NATIVE) };
    let mut client = Fixture::new().connect(&options).unwrap();
    let mut body = vec![2, 1, 0b10, 1, 0xfd, 0];
    put_text(&mut body, b"trace");
    body.extend_from_slice(&[0x08, 0x80]);
    put_text(&mut body, b"n");
    put_text(&mut body, b"abc");
    body.extend_from_slice(b"attributes");
    client.command(3, &body);
    let sets = client.read_results().unwrap();
    assert_eq!(sets[0].rows[0][1..], *b"trace=abc,n=Null");
}

#[test]
fn local_infile_is_read_to_its_end() {
    let mut client = Fixture::new().connect(&Options::new("native", "secret", NATIVE)).unwrap();
    client.command(3, b"infile /tmp/x");
    assert_eq!(client.read_packet(), b"\xfb/tmp/x");
    client.write_packet(&[b'a'; 1000]);
    client.write_packet(&[b'b'; 23]);
    assert!(!client.has_input());
    client.write_packet(b"");
    assert_eq!(client.read_packet()[..4], [0, 0xfc, 0xff, 0x03]);
}

#[test]
fn idle_connection_owns_almost_nothing() {
    for compression in [Compression::None, Compression::Zlib] {
        let options = Options { compression, ..Options::new("native", "secret", NATIVE) };
        let mut client = Fixture::new().connect(&options).unwrap();
        client.query("rows 5000").unwrap();
        client.query(&format!("length {}", "x".repeat(100_000))).unwrap();
        let owned = size_of_val(&client.server.channel) + client.server.channel.allocated();
        let limit = if compression == Compression::None { 512 } else { 2048 };
        assert!(owned < limit, "{owned} bytes");
    }
}

#[test]
fn cursor_is_opened_and_fetched_to_its_end() {
    for deprecate_eof in [false, true] {
        let options = Options { deprecate_eof, ..Options::new("native", "secret", NATIVE) };
        let mut client = Fixture::new().connect(&options).unwrap();
        client.command(0x16, b"SELECT ?");
        let prepared = client.read_packet();
        assert_eq!(prepared, [0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
        while client.try_read_packet().is_some() {}
        client.command(0x17, b"\x01\0\0\0\x01\x01\0\0\0\0\x01\x01\0\x05");
        assert_eq!(client.read_packet(), [1]);
        client.read_packet();
        // Metadata ends with the status, whichever way the client likes its ends.
        let end = client.read_packet();
        assert_eq!(end[0], 0xfe);
        assert_eq!(end[3..5], [0x42, 0]);
        assert!(!client.has_input());
        client.command(0x1c, b"\x01\0\0\0\x02\0\0\0");
        let (rows, status) = client.read_rows();
        assert_eq!((rows.len(), status), (2, 0x42));
        assert_eq!(rows[0], [0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
        client.command(0x1c, b"\x01\0\0\0\x02\0\0\0");
        let (rows, status) = client.read_rows();
        assert_eq!((rows.len(), status), (1, 0x82));
    }
}
