//! What texts mean, and that no text makes the parser or the normaliser panic.
#![allow(clippy::unwrap_used)]

use aquifer_sql::ast::{
    AdminStatement, AstBinary, AstExpr, IsolationLevel, Literal, QueryBody, SelectItem, SetItem,
    SetStatement, Show, ShowFilter, Statement, TransactionStatement, VariableScope,
};
use aquifer_sql::{Normalised, ParseOptions, normalise, parse};
use aquifer_types::SqlMode;

fn statement_in(text: &str, sql_mode: SqlMode) -> Statement {
    parse(text, ParseOptions { sql_mode }).unwrap_or_else(|e| panic!("{text}: {e}")).statement.unwrap()
}

fn statement(text: &str) -> Statement {
    statement_in(text, SqlMode::default())
}

/// The first expression of a select list.
fn expr_in(text: &str, sql_mode: SqlMode) -> AstExpr {
    let Statement::Query(query) = statement_in(&format!("SELECT {text}"), sql_mode) else { panic!("{text}") };
    let QueryBody::Select(select) = query.body else { panic!("{text}") };
    match select.items.into_iter().next() {
        Some(SelectItem::Expr { expr, .. }) => expr,
        other => panic!("{other:?}"),
    }
}

fn error(text: &str) -> String {
    parse(text, ParseOptions { sql_mode: SqlMode::default() }).unwrap_err().message().to_owned()
}

#[test]
fn pipes_are_or_unless_the_mode_says_concat() {
    assert!(matches!(expr_in("a || b", SqlMode::default()), AstExpr::Binary(AstBinary::Or, ..)));
    assert!(matches!(expr_in("a || b", SqlMode::PIPES_AS_CONCAT), AstExpr::Binary(AstBinary::Concat, ..)));
}

#[test]
fn precedence_is_mysqls() {
    // OR, then XOR, then AND, then NOT, then comparison.
    let AstExpr::Binary(AstBinary::Or, _, right) = expr_in("a OR b XOR c AND NOT d = e", SqlMode::default())
    else {
        panic!("OR is the loosest");
    };
    let AstExpr::Binary(AstBinary::Xor, _, right) = *right else { panic!("XOR is next") };
    assert!(matches!(*right, AstExpr::Binary(AstBinary::And, ..)));
    let AstExpr::Binary(AstBinary::Plus, _, right) = expr_in("1 + 2 * 3 ^ 4", SqlMode::default()) else {
        panic!("+ is looser than *");
    };
    let AstExpr::Binary(AstBinary::Multiply, _, right) = *right else { panic!("* is looser than ^") };
    assert!(matches!(*right, AstExpr::Binary(AstBinary::BitXor, ..)));
    assert!(matches!(
        expr_in("a BETWEEN 1 AND 2 AND b", SqlMode::default()),
        AstExpr::Binary(AstBinary::And, ..)
    ));
}

#[test]
fn double_quotes_follow_ansi_quotes() {
    assert!(matches!(expr_in("\"a\"", SqlMode::default()), AstExpr::Literal(Literal::String(_))));
    assert!(matches!(expr_in("\"a\"", SqlMode::ANSI_QUOTES), AstExpr::Column(_)));
}

#[test]
fn several_statements_are_taken_one_by_one() {
    let text = "SELECT 'a;b' ; UPDATE t SET a = ? WHERE b = ?; ";
    let first = parse(text, ParseOptions { sql_mode: SqlMode::default() }).unwrap();
    assert_eq!(&text[..first.consumed], "SELECT 'a;b' ;");
    let second = parse(&text[first.consumed..], ParseOptions { sql_mode: SqlMode::default() }).unwrap();
    assert_eq!(second.parameters, 2);
    let third =
        parse(&text[first.consumed + second.consumed..], ParseOptions { sql_mode: SqlMode::default() })
            .unwrap();
    assert!(third.statement.is_none());
}

#[test]
fn versioned_comments_count_up_to_8_0() {
    let Statement::Set(SetStatement::Variables(items)) = statement("/*!40101 SET NAMES utf8 */") else {
        panic!("the comment's content counts");
    };
    assert_eq!(items, [SetItem::Names(Some(("utf8".to_owned(), None)))]);
    assert!(
        parse("/*!99999 nonsense */", ParseOptions { sql_mode: SqlMode::default() })
            .unwrap()
            .statement
            .is_none()
    );
}

#[test]
fn set_forms_keep_scopes_and_bare_words() {
    let Statement::Set(SetStatement::Variables(items)) =
        statement("SET @@global.a = 1, SESSION b = ON, c := DEFAULT, @u = 5, @@x = 'y'")
    else {
        panic!("variables");
    };
    let on = Some(AstExpr::Literal(Literal::String(b"ON".to_vec())));
    assert!(matches!(&items[0], SetItem::System(VariableScope::Global, name, Some(_)) if name == "a"));
    assert_eq!(items[1], SetItem::System(VariableScope::Session, "b".to_owned(), on));
    assert_eq!(items[2], SetItem::System(VariableScope::Default, "c".to_owned(), None));
    assert!(matches!(&items[3], SetItem::User(name, _) if name == "u"));
    let Statement::Set(SetStatement::Transaction(_, characteristics)) =
        statement("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY")
    else {
        panic!("transaction");
    };
    assert_eq!(characteristics.isolation, Some(IsolationLevel::ReadCommitted));
    assert_eq!(characteristics.read_only, Some(true));
}

#[test]
fn show_forms_keep_their_arguments() {
    let Statement::Show(show) = statement("SHOW FULL TABLES FROM d LIKE 'x%'") else { panic!("show") };
    let expected =
        Show::Tables { full: true, database: Some("d".to_owned()), filter: ShowFilter::Like(b"x%".to_vec()) };
    assert_eq!(*show, expected);
    let Statement::Show(show) = statement("show columns from t from d where Field = 'a'") else {
        panic!("show")
    };
    assert!(
        matches!(*show, Show::Columns { full: false, filter: ShowFilter::Where(_, text), .. } if text == "Field = 'a'")
    );
    let Statement::Show(show) = statement("SHOW WARNINGS LIMIT 1, 2") else { panic!("show") };
    assert_eq!(*show, Show::Warnings(Some((1, 2))));
}

#[test]
fn session_statements_are_recognised() {
    for (text, commits) in [
        ("BEGIN", false),
        ("START TRANSACTION /*!40108 WITH CONSISTENT SNAPSHOT */, READ ONLY", false),
        ("COMMIT AND CHAIN NO RELEASE", false),
        ("ROLLBACK TO SAVEPOINT s", false),
        ("LOCK TABLES a READ, b AS c WRITE", true),
        ("UNLOCK TABLES", false),
        ("FLUSH PRIVILEGES", true),
        ("CREATE USER IF NOT EXISTS 'a'@'%' IDENTIFIED WITH caching_sha2_password BY 'x' REQUIRE NONE", true),
        ("GRANT SELECT, INSERT ON d.* TO 'a'@'%' WITH GRANT OPTION", true),
        ("REVOKE ALL PRIVILEGES, GRANT OPTION FROM a@localhost", true),
        ("GRANT SELECT (a, b), UPDATE (c), DELETE ON TABLE d.t TO a WITH GRANT OPTION", true),
        ("CREATE ROLE IF NOT EXISTS r, 's'@'h'", true),
        ("GRANT r, 's'@'h' TO a, b@localhost WITH ADMIN OPTION", true),
        ("REVOKE IF EXISTS r FROM a IGNORE UNKNOWN USER", true),
        ("SET DEFAULT ROLE r, s TO a", true),
        ("ALTER USER a DEFAULT ROLE NONE", true),
        ("SET ROLE ALL EXCEPT r", false),
        ("SET ROLE DEFAULT", false),
        (
            "ALTER TABLE t ADD COLUMN a INT NOT NULL DEFAULT 0 AFTER b, DROP KEY k, ALGORITHM=INPLACE, LOCK=NONE",
            true,
        ),
        ("TRUNCATE t", true),
        ("PREPARE s FROM 'SELECT 1'", false),
        ("EXECUTE s USING @a, @b", false),
    ] {
        assert_eq!(statement(text).commits_implicitly(), commits, "{text}");
    }
    assert_eq!(
        statement("KILL QUERY 5"),
        Statement::Admin(Box::new(AdminStatement::Kill { query_only: true, connection: 5 }))
    );
    assert_eq!(
        statement("ROLLBACK WORK"),
        Statement::Transaction(TransactionStatement::Rollback { chain: false, release: false })
    );
    for text in
        ["GRANT DELETE (a) ON t TO u", "GRANT SELECT TO u", "GRANT r ON t", "SET DEFAULT ROLE r", "DROP ROLE"]
    {
        assert_eq!(
            parse(text, ParseOptions { sql_mode: SqlMode::default() }).unwrap_err().code(),
            1064,
            "{text}"
        );
    }
    assert_eq!(statement("CALL p(1, 2)"), Statement::Unsupported("CALL"));
}

#[test]
fn errors_name_the_place() {
    assert!(error("SELECT 1 +").ends_with("near '' at line 1"));
    assert!(error("SELECT a\nFROM t\nWHEREE x").ends_with("near 'x' at line 3"));
    assert!(error("CREATE TABLE t (a INT,)").ends_with("near ')' at line 1"));
    assert!(error("SELECT 'abc").contains("near ''abc'"));
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let text = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(error(&text).contains("nested too deeply"));
    let text = format!("SELECT {}1", "NOT ".repeat(5000));
    assert!(error(&text).contains("nested too deeply"));
    for text in [
        format!("SELECT {}1", "- ".repeat(5000)),
        format!("SELECT 1{}", " + 1".repeat(5000)),
        format!("SELECT 1{}", " = 1".repeat(5000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(5000)),
        format!("SELECT 1 FROM t{}", " JOIN t".repeat(5000)),
        format!("SELECT {}1{}", "CASE WHEN 1 THEN ".repeat(5000), " END".repeat(5000)),
        format!("SELECT 1 FROM {}t{}", "(".repeat(5000), ")".repeat(5000)),
        format!("{}SELECT 1{}", "(".repeat(5000), ")".repeat(5000)),
        format!("SELECT {}1{}", "f(".repeat(5000), ")".repeat(5000)),
        format!("EXPLAIN {}", "EXPLAIN ".repeat(5000)),
    ] {
        assert!(error(&text).contains("nested too deeply") || text.starts_with("EXPLAIN"), "{}", &text[..30]);
    }
}

#[test]
fn a_thousand_conditions_are_no_deep_nesting() {
    let text = format!("SELECT 1 FROM t WHERE id = 0{}", " OR id = 1 AND a = 2".repeat(5000));
    assert!(matches!(statement(&text), Statement::Query(_)));
}

#[test]
fn cut_and_changed_texts_never_panic() {
    let scripts = [
        include_str!("scripts/select.test"),
        include_str!("scripts/dml.test"),
        include_str!("scripts/ddl.test"),
        include_str!("scripts/join.test"),
    ];
    let mut normal = Normalised::default();
    let mut try_text = |text: &str| {
        for mode in [SqlMode::default(), SqlMode::ANSI.with(SqlMode::NO_BACKSLASH_ESCAPES)] {
            let _ = parse(text, ParseOptions { sql_mode: mode });
            normalise(text.as_bytes(), mode, &mut normal);
        }
    };
    let odd = [
        "'", "\"", "`", "(", ")", "/*", "*/", "/*!", "@", "@@", "?", "\\", ".", "1e", "0x", "x'", ";", "é",
        "\0",
    ];
    let mut seed = 1_usize;
    for line in scripts.iter().flat_map(|script| script.lines()).filter(|line| line.ends_with(';')) {
        for (end, _) in line.char_indices() {
            try_text(&line[..end]);
        }
        for _ in 0..20 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let places: Vec<usize> = line.char_indices().map(|(place, _)| place).collect();
            let place = places[(seed >> 33) % places.len()];
            try_text(&format!("{}{}{}", &line[..place], odd[(seed >> 20) % odd.len()], &line[place..]));
        }
    }
}
