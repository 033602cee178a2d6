//! Files of the node: LOAD DATA INFILE and SELECT … INTO OUTFILE, with what MariaDB writes.

use std::fs;

use aquifer_session::SessionSettings;

use crate::client::{Client, Server};

fn server(directory: &str) -> Server {
    let variables = vec![("secure_file_priv".to_owned(), directory.to_owned())];
    Server::with(&SessionSettings { variables, ..SessionSettings::default() })
}

fn client(server: &Server) -> Client {
    let mut client = server.root();
    client.run("CREATE DATABASE d");
    client.run("USE d");
    client.run("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(20), c VARCHAR(20), d DECIMAL(4,1))");
    client.run("INSERT INTO t VALUES (1, 'x\\ty\\\\z', NULL, 1.5), (2, 'q\"u,o\\nte', 'é', 2)");
    client
}

#[test]
fn outfile_has_the_bytes_that_mariadb_writes_and_loads_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = server(directory.path().to_str().expect("a name"));
    let mut client = client(&server);
    let cases: [(&str, &[u8]); 5] = [
        ("", b"1\tx\\\ty\\\\z\t\\N\t1.5\n2\tq\"u,o\\\nte\t\xc3\xa9\t2.0\n"),
        (
            " FIELDS TERMINATED BY ',' ENCLOSED BY '\"'",
            b"\"1\",\"x\ty\\\\z\",\\N,\"1.5\"\n\"2\",\"q\\\"u,o\\\nte\",\"\xc3\xa9\",\"2.0\"\n",
        ),
        (
            " FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' LINES STARTING BY '>' TERMINATED BY ';'",
            b">1,\"x\ty\\\\z\",\\N,1.5;>2,\"q\\\"u,o\nte\",\"\xc3\xa9\",2.0;",
        ),
        (" FIELDS ESCAPED BY ''", b"1\tx\ty\\z\tNULL\t1.5\n2\tq\"u,o\nte\t\xc3\xa9\t2.0\n"),
        (
            " CHARACTER SET latin1 FIELDS TERMINATED BY ',' ENCLOSED BY '\"' ESCAPED BY '\"'",
            b"\"1\",\"x\ty\\z\",\"N,\"1.5\"\n\"2\",\"q\"\"u,o\"\nte\",\"\xe9\",\"2.0\"\n",
        ),
    ];
    for (number, (format, expected)) in cases.iter().enumerate() {
        let file = directory.path().join(number.to_string());
        let name = file.display();
        assert_eq!(client.run(&format!("SELECT * FROM t INTO OUTFILE '{name}'{format}")).affected, 2);
        let written = fs::read(&file).expect("it was written");
        assert_eq!(&written, expected, "{format}: {}", String::from_utf8_lossy(&written));
        if number < 3 {
            client.run("CREATE TEMPORARY TABLE again LIKE t");
            let loaded = client.run(&format!("LOAD DATA INFILE '{name}' INTO TABLE again{format}"));
            assert_eq!(loaded.affected, 2);
            let both = client.rows("SELECT * FROM again UNION SELECT * FROM t");
            assert_eq!(both.len(), 2, "{format}: {both:?}");
            client.run("DROP TABLE again");
        }
    }
    let file = directory.path().join("dump");
    client.run(&format!("SELECT b, a FROM t WHERE a = 1 INTO DUMPFILE '{}'", file.display()));
    assert_eq!(fs::read(&file).expect("it was written"), b"x\ty\\z1");
    assert_eq!(client.error(&format!("SELECT 1 INTO OUTFILE '{}'", file.display())).0, 1086);
    let other = directory.path().join("other");
    assert_eq!(client.error(&format!("SELECT a FROM t INTO DUMPFILE '{}'", other.display())).0, 1172);
    assert_eq!(client.error(&format!("LOAD DATA INFILE '{}' INTO TABLE t", other.display())).0, 13);
}

#[test]
fn files_elsewhere_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let allowed = directory.path().join("allowed");
    fs::create_dir(&allowed).expect("created");
    let secret = directory.path().join("secret");
    fs::write(&secret, "1\n").expect("written");
    std::os::unix::fs::symlink(&secret, allowed.join("link")).expect("linked");
    let server = server(allowed.to_str().expect("a name"));
    let mut client = client(&server);
    let outside = ["secret", "allowed/../secret", "allowed/link"];
    for name in outside.map(|name| directory.path().join(name)) {
        let (code, _) = client.error(&format!("LOAD DATA INFILE '{}' INTO TABLE t (a)", name.display()));
        assert_eq!(code, 1290, "{}", name.display());
    }
    let name = directory.path().join("new");
    assert_eq!(client.error(&format!("SELECT 1 INTO OUTFILE '{}'", name.display())).0, 1290);
    assert_eq!(client.error("SELECT 1 INTO OUTFILE 'relative'").0, 1290);
    client.run("CREATE USER plain");
    let mut plain = server.connect(std::net::Ipv4Addr::LOCALHOST);
    plain.log_in("plain", "", None);
    let inside = allowed.join("new");
    assert_eq!(plain.error(&format!("SELECT 1 INTO OUTFILE '{}'", inside.display())).0, 1227);
}
