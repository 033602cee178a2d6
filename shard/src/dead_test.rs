//! Which index ids count as dead, and from when on.
#![allow(clippy::unwrap_used)]

use aquifer_catalog::{
    Catalog, Database, DatabaseId, Index, IndexKind, IndexState, Table, TableOptions, rows,
};
use aquifer_lsm::{DeadKeys, DeadRange};
use aquifer_txn::Views;
use aquifer_types::collation::CollationVersion;
use aquifer_types::{Collation, IndexId, Lsn, TableId};
use bytes::Bytes;

use super::DeadIndexes;

const NOW: u64 = 77;

fn table(id: u32, indexes: &[u32]) -> Table {
    let index = |(number, id): (usize, &u32)| Index {
        id: IndexId(*id),
        name: format!("i{id}").into(),
        kind: if number == 0 { IndexKind::Hidden } else { IndexKind::Plain },
        parts: Vec::new(),
        comment: String::new(),
        invisible: false,
        state: IndexState::Complete(Lsn(0)),
        collation_version: CollationVersion::default(),
    };
    Table {
        id: TableId(id),
        database: DatabaseId(1),
        schema: "".into(),
        name: format!("t{id}").into(),
        columns: Vec::new(),
        indexes: indexes.iter().enumerate().map(index).collect(),
        layouts: Vec::new(),
        next_column: 1,
        collation: Collation::UTF8MB4_BIN,
        options: TableOptions::default(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        view: None,
        rebuild: None,
    }
}

fn catalog(tables: &[Table]) -> Catalog {
    let database = Database { id: DatabaseId(1), name: "d".into(), collation: Collation::UTF8MB4_BIN };
    let writes = rows::put_database(&database).into_iter().chain(tables.iter().flat_map(rows::put_table));
    Catalog::from_rows(Lsn(5), writes.filter_map(|(key, value)| value.map(|value| (key, value)))).unwrap()
}

fn apply(catalog: &Catalog, lsn: u64, writes: Vec<(Bytes, Option<Bytes>)>) -> Catalog {
    catalog.apply(Lsn(lsn), writes).unwrap()
}

fn keys(ranges: &[(u32, u32)]) -> DeadKeys {
    let at = |id: u32| Bytes::copy_from_slice(&id.to_be_bytes());
    let range = |&(start, end): &(u32, u32)| DeadRange { keys: at(start)..at(end), died_micros: NOW };
    DeadKeys::new(ranges.iter().map(range).collect())
}

#[test]
fn at_start_all_given_ids_without_a_table_are_dead() {
    let catalog = catalog(&[table(1, &[4097, 4099]), table(2, &[4103])]);
    let views = Views::new(1, Lsn(5));
    let dead = DeadIndexes::at_start(&catalog, 4096..4106, NOW);
    assert_eq!(dead.keys(&views), keys(&[(4096, 4097), (4098, 4099), (4100, 4103), (4104, 4106)]));
    let none = DeadIndexes::at_start(&catalog, 4096..4096, NOW);
    assert!(none.keys(&views).is_empty());
}

#[test]
fn a_dropped_index_waits_for_older_views() {
    let before = catalog(&[table(1, &[4097, 4099]), table(2, &[4103, 4104])]);
    let views = Views::new(1, Lsn(5));
    let old = views.open(0);
    let dead = DeadIndexes::default();
    // One index of a table, and a whole table.
    let changes = [rows::put_table(&table(1, &[4097, 4100])), rows::drop_table(&table(2, &[]))].concat();
    let after = apply(&before, 6, changes);
    dead.note_change(&before, &after, NOW);
    assert!(dead.keys(&views).is_empty(), "not even visible");
    views.advance(Lsn(6));
    assert!(dead.keys(&views).is_empty());
    drop(old);
    assert_eq!(dead.keys(&views), keys(&[(4099, 4100), (4103, 4105)]));
}

#[test]
fn tables_that_are_renamed_or_changed_otherwise_keep_their_indexes() {
    let old = table(1, &[4097]);
    let before = catalog(std::slice::from_ref(&old));
    let dead = DeadIndexes::default();
    let renamed = apply(&before, 6, rows::rename_table(&old, DatabaseId(1), "other"));
    dead.note_change(&before, &renamed, NOW);
    // As TRUNCATE would do it, if it kept an index.
    let moved = Table { id: TableId(9), ..old.clone() };
    let replaced = apply(&before, 6, [rows::drop_table(&old), rows::put_table(&moved)].concat());
    dead.note_change(&before, &replaced, NOW);
    assert!(dead.keys(&Views::new(1, Lsn(9))).is_empty());
}

#[test]
fn ids_that_were_given_up_count_unless_they_are_named() {
    let catalog = catalog(&[table(1, &[4097])]);
    let views = Views::new(1, Lsn(5));
    let dead = DeadIndexes::default();
    let given = [IndexId(4096), IndexId(4097), IndexId(4098)];
    dead.note_given_up(&given, &catalog, NOW);
    assert_eq!(dead.keys(&views), keys(&[(4096, 4097), (4098, 4099)]));
    dead.note_given_up(&[IndexId(4099)], &catalog, NOW);
    assert_eq!(dead.keys(&views), keys(&[(4096, 4097), (4098, 4100)]), "neighbours are one range");
}
