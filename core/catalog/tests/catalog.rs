//! Rows of the catalog: their bytes, and snapshots built from them.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use aquifer_catalog::{
    Account, AccountId, Catalog, Check, Column, ColumnDefault, ColumnId, Database, DatabaseGrant, DatabaseId,
    ForeignKey, Generated, Index, IndexKind, IndexPart, IndexState, Privileges, Rebuild, ReferentialAction,
    RoleGrant, Table, TableOptions, View, ViewAlgorithm, ViewCheck, Write, rows,
};
use aquifer_types::collation::CollationVersion;
use aquifer_types::{Collation, DataType, IndexId, Lsn, TableId, TypeKind};

fn database(id: u32, name: &str) -> Database {
    Database { id: DatabaseId(id), name: name.into(), collation: Collation::UTF8MB4_BIN }
}

fn column(id: u32, name: &str, data_type: DataType, default: ColumnDefault) -> Column {
    Column {
        id: ColumnId(id),
        name: name.into(),
        data_type,
        nullable: id > 1,
        default,
        initial: (id == 3).then(|| b"7".to_vec()),
        on_update: (id == 4).then_some(3),
        auto_increment: id == 1,
        invisible: id == 5,
        comment: format!("column {id}"),
        generated: None,
        hidden: false,
    }
}

/// A table with something in every field.
fn table() -> Table {
    let members = Some(Arc::from(["x".to_owned(), "y".to_owned()]));
    let columns = vec![
        column(1, "id", DataType::bigint_unsigned(), ColumnDefault::None),
        column(2, "name", DataType::varchar(20), ColumnDefault::Null),
        column(3, "n", DataType::of(TypeKind::Int), ColumnDefault::Literal(b"5".to_vec())),
        column(
            4,
            "t",
            DataType { decimals: 3, ..DataType::of(TypeKind::Timestamp) },
            ColumnDefault::CurrentTimestamp(3),
        ),
        column(
            5,
            "e",
            DataType { members, ..DataType::of(TypeKind::Enum) },
            ColumnDefault::Expression("'x'".into()),
        ),
    ];
    let part = |column, prefix, descending| IndexPart { column: ColumnId(column), prefix, descending };
    let index = |id, name: &str, kind, parts| Index {
        id: IndexId(id),
        name: name.into(),
        kind,
        parts,
        comment: String::new(),
        invisible: id == 2003,
        state: IndexState::Complete(Lsn(0)),
        collation_version: CollationVersion::V1,
    };
    let mut table = Table {
        id: TableId(77),
        database: DatabaseId(5),
        schema: Arc::from(""),
        name: "t".into(),
        columns,
        indexes: vec![
            index(2001, "PRIMARY", IndexKind::Primary, vec![part(1, None, false)]),
            index(2002, "u", IndexKind::Unique, vec![part(2, Some(4), false), part(3, None, true)]),
            index(2003, "p", IndexKind::Plain, vec![part(3, None, false)]),
        ],
        layouts: Vec::new(),
        next_column: 6,
        collation: Collation::UTF8MB4_0900_AI_CI,
        options: TableOptions {
            engine: "InnoDB".into(),
            comment: "all".into(),
            row_format: "DYNAMIC".into(),
            auto_increment: 100,
            created_unix_s: 1_700_000_000,
        },
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        view: None,
        rebuild: None,
    };
    table.push_layout();
    table
}

fn account() -> Account {
    let mut account = Account::new("app", "%", "caching_sha2_password", vec![1, 2, 255]);
    account.global = Privileges::named("SELECT").unwrap();
    account.locked = true;
    account.databases = vec![DatabaseGrant {
        database: "test".into(),
        privileges: Privileges::ALL_ON_DATABASE,
        grant_option: true,
    }];
    account
}

fn all_writes() -> Vec<Write> {
    let mut writes = rows::put_database(&database(5, "test"));
    writes.extend(rows::put_table(&table()));
    writes.extend(rows::put_account(&account()));
    writes.extend(rows::put_variable("max_connections", "500"));
    writes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).unwrap()).collect()
}

fn check_content(catalog: &Catalog) {
    assert_eq!(**catalog.database("test").unwrap(), database(5, "test"));
    let found = catalog.table("test", "t").unwrap();
    assert_eq!(**found, Table { schema: "test".into(), ..table() });
    assert_eq!(**catalog.account("app", "%").unwrap(), account());
    assert_eq!(catalog.variable("max_connections"), Some("500"));
}

#[test]
fn golden_rows_of_version_1_decode_forever() {
    let lines: Vec<&str> = include_str!("golden/catalog_1.hex").lines().collect();
    let rows = lines.iter().map(|line| {
        let (key, value) = line.split_once(' ').unwrap();
        (unhex(key).into(), unhex(value).into())
    });
    let catalog = Catalog::from_rows(Lsn(9), rows).unwrap();
    check_content(&catalog);
    assert_eq!(catalog.version(), Lsn(9));
}

#[test]
fn writes_are_the_golden_rows() {
    let text: String = all_writes()
        .iter()
        .map(|(key, value)| format!("{} {}\n", hex(key), hex(value.as_ref().unwrap())))
        .collect();
    if std::env::var_os("AQUIFER_REWRITE").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/catalog_1.hex"), &text).unwrap();
        return;
    }
    assert_eq!(text, include_str!("golden/catalog_1.hex"));
}

#[test]
fn apply_follows_renames_and_drops() {
    let catalog = Catalog::empty().apply(Lsn(1), all_writes()).unwrap();
    check_content(&catalog);
    let old = catalog.table("test", "t").unwrap().clone();
    let mut writes = rows::put_database(&database(6, "other"));
    writes.extend(rows::rename_table(&old, DatabaseId(6), "moved"));
    let next = catalog.apply(Lsn(2), writes).unwrap();
    assert!(next.table("test", "t").is_none());
    assert_eq!(*next.table("other", "moved").unwrap().schema, *"other");
    assert!(next.table("other", "MOVED").is_none(), "names of tables are case sensitive");
    // The snapshot before is untouched.
    check_content(&catalog);
    let mut writes = rows::drop_table(next.table("other", "moved").unwrap());
    writes.extend(rows::drop_account("app", "%"));
    writes.extend(rows::drop_variable("max_connections"));
    writes.extend(rows::drop_database(&database(5, "test")));
    let last = next.apply(Lsn(3), writes).unwrap();
    assert!(last.table_by_id(TableId(77)).is_none());
    assert!(last.account("app", "%").is_none() && last.variable("max_connections").is_none());
    assert_eq!(last.databases().map(|d| d.name.to_string()).collect::<Vec<_>>(), ["other"]);
}

#[test]
fn rename_within_a_database_keeps_the_table_in_any_order_of_rows() {
    let catalog = Catalog::empty().apply(Lsn(1), all_writes()).unwrap();
    // A transaction keeps only the last write of a key: the put of the table's row.
    let mut last: std::collections::BTreeMap<_, _> = std::collections::BTreeMap::new();
    for (key, value) in rows::rename_table(catalog.table("test", "t").unwrap(), DatabaseId(5), "renamed") {
        last.insert(key, value);
    }
    let next = catalog.apply(Lsn(2), last).unwrap();
    assert!(next.table("test", "t").is_none());
    assert_eq!(next.table("test", "renamed").unwrap().id, TableId(77));
}

#[test]
fn damaged_rows_are_corrupt() {
    for (key, value) in all_writes() {
        let index = u32::from_be_bytes(*key.first_chunk().unwrap());
        if index > 4 {
            continue;
        }
        let mut other_version = value.unwrap().to_vec();
        other_version[0] = 9;
        let error = Catalog::from_rows(Lsn(1), [(key.clone(), other_version.into())]).unwrap_err();
        assert_eq!(error.kind(), aquifer_types::ErrorKind::Corrupt, "index {index}");
        let cut = Catalog::from_rows(Lsn(1), [(key, vec![1, 0x0a, 200].into())]);
        assert!(cut.is_err(), "index {index}");
    }
}

#[test]
fn columns_are_found_without_case() {
    let table = table();
    assert_eq!(table.column_position("NAME"), Some(1));
    assert_eq!(table.column_position("nam"), None);
    assert!(table.index_named("primary").is_some());
}

/// An account with what came to the format after its first version.
fn later_account() -> Account {
    let select = Privileges::named("SELECT").unwrap();
    let mut account = account();
    let grant = account.table_grant_mut("test", "t");
    grant.privileges = select.with(Privileges::named("CREATE VIEW").unwrap());
    grant.grant_option = true;
    grant.add_column("n", Privileges::named("UPDATE").unwrap());
    grant.add_column("id", select);
    grant.grantor = "root@localhost".into();
    grant.changed_unix_s = 1_700_000_000;
    let role = |user: &str| AccountId { user: user.into(), host: "%".into() };
    account.roles = vec![RoleGrant { role: role("reading"), admin_option: true }];
    account.default_roles = vec![role("reading")];
    account
}

#[test]
fn later_fields_of_accounts_have_golden_bytes_and_come_back() {
    let writes = rows::put_account(&later_account());
    let line = format!("{} {}\n", hex(&writes[0].0), hex(writes[0].1.as_ref().unwrap()));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/account_2.hex");
    if std::env::var_os("AQUIFER_REWRITE").is_some() && !std::path::Path::new(path).exists() {
        std::fs::write(path, &line).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), line);
    let catalog = Catalog::empty().apply(Lsn(7), writes).unwrap();
    assert_eq!(**catalog.account("app", "%").unwrap(), later_account());
    assert_eq!(catalog.accounts_version(), Lsn(7));
    let other = catalog.apply(Lsn(8), rows::put_database(&database(6, "other"))).unwrap();
    assert_eq!(other.accounts_version(), Lsn(7), "only accounts count");
}

/// A table with what came to the format after its first version.
fn later_table() -> Table {
    let mut table = table();
    table.columns[2].generated = Some(Generated { expression: "(`id` + 1)".into(), stored: true });
    table.columns[4].hidden = true;
    table.foreign_keys.push(ForeignKey {
        name: "t_ibfk_1".into(),
        columns: vec![ColumnId(3), ColumnId(1)],
        parent_schema: "test".into(),
        parent_table: "parent".into(),
        parent_columns: vec!["a".into(), "b".into()],
        on_delete: ReferentialAction::Cascade,
        on_update: ReferentialAction::SetNull,
    });
    table.checks.push(Check { name: "t_chk_1".into(), expression: "(`n` > 0)".into(), enforced: false });
    table.view = Some(View {
        query: "select 1".into(),
        columns: vec!["1".into()],
        algorithm: ViewAlgorithm::Merge,
        check_option: ViewCheck::Cascaded,
        definer: "root@localhost".into(),
        invoker: true,
        sql_mode: 4,
        database: "test".into(),
    });
    table
}

fn golden(table: &Table, name: &str) {
    let (_, value) = rows::put_table(table).remove(0);
    let value = value.unwrap();
    let text: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = format!("{}/tests/golden/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("AQUIFER_REWRITE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap());
    assert_eq!(rows::decode_table(&value).unwrap(), *table);
}

#[test]
fn later_fields_have_golden_bytes_and_come_back() {
    golden(&later_table(), "table_2");
}

#[test]
fn a_table_that_is_written_anew_has_golden_bytes_and_comes_back() {
    let next = Table { name: "next".into(), schema: "".into(), ..later_table() };
    let rebuild = Rebuild { table: next, sql_mode: 9, time_zone: "Europe/Berlin".into() };
    let mut table = Table { rebuild: Some(Box::new(rebuild)), ..table() };
    table.schema = "".into();
    golden(&table, "table_3");
    let ids: Vec<_> = table.index_ids().collect();
    assert_eq!(ids.len(), 2 * table.indexes.len());
    assert_eq!(table.unfinished_ids().count(), table.indexes.len());
}

#[test]
fn an_index_with_newer_sort_keys_has_golden_bytes_and_comes_back() {
    let mut table = Table { schema: "".into(), ..table() };
    table.indexes.iter_mut().for_each(|index| index.collation_version = CollationVersion::V2);
    golden(&table, "table_4");
}

#[test]
fn states_of_indexes_come_back_and_say_from_when_on_a_table_can_be_read() {
    let mut defined = table();
    let put =
        |catalog: &Catalog, lsn, table: &Table| catalog.apply(Lsn(lsn), rows::put_table(table)).unwrap();
    let catalog = put(&Catalog::empty(), 10, &defined);
    assert_eq!(catalog.readable_since(defined.id), Lsn(10));
    let added = Index { id: IndexId(2009), state: IndexState::Building, ..defined.indexes[1].clone() };
    defined.indexes.push(added);
    let building = put(&catalog, 20, &defined);
    assert_eq!(building.readable_since(defined.id), Lsn(10), "nobody reads it");
    let stored = building.table_by_id(defined.id).unwrap();
    assert!(stored.indexes.last().unwrap().is_building());
    assert!(stored.readable_indexes().all(|index| index.id != IndexId(2009)));
    defined.indexes.last_mut().unwrap().state = IndexState::Complete(Lsn(25));
    let complete = put(&building, 30, &defined);
    assert_eq!(complete.readable_since(defined.id), Lsn(25), "from when it was built, not defined");
    let again = put(&complete, 40, &defined);
    assert_eq!(again.readable_since(defined.id), Lsn(25));
    assert!(again.changed_since(Lsn(30), &[defined.id]) && !again.changed_since(Lsn(40), &[defined.id]));
    let elsewhere = again.apply(Lsn(50), rows::put_database(&database(6, "other"))).unwrap();
    assert!(!elsewhere.changed_since(Lsn(40), &[defined.id]), "only its own definition counts");
    let gone = elsewhere.apply(Lsn(60), rows::drop_table(&defined)).unwrap();
    assert!(gone.changed_since(Lsn(50), &[defined.id]));
}

#[test]
fn children_are_found_by_the_name_of_a_parent_that_may_not_exist() {
    let writes = rows::put_database(&database(5, "test")).into_iter().chain(rows::put_table(&later_table()));
    let catalog = Catalog::empty().apply(Lsn(1), writes).unwrap();
    let children: Vec<&str> = catalog.children("test", "parent").map(|child| &*child.name).collect();
    assert_eq!(children, ["t"]);
    assert_eq!(catalog.children("test", "t").count(), 0);
    let gone = catalog.apply(Lsn(2), rows::drop_table(&later_table())).unwrap();
    assert_eq!(gone.children("test", "parent").count(), 0);
}
