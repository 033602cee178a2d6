//! The tree as text.

use aquifer_format::{ManifestEdit, SstMeta, SstRef};
use aquifer_lsm::Manifest;
use aquifer_types::{BranchName, LinkSeq, Lsn, SstId};
use bytes::Bytes;

use super::super::golden;
use super::super::keys::Keys;
use super::super::tree::Tree;
use super::print;

/// Thousands of the first and last key, level and run of a table.
fn table(number: u32, level: u32, run: u64, keys: (u32, u32)) -> SstMeta {
    let reference = SstRef::new(SstId(u128::from(number) << 96 | 0xabc), level);
    let key = |thousand: u32| Bytes::from([&[0, 0, 8, 0][..], format!("{thousand:03}").as_bytes()].concat());
    let entries = u64::from(keys.1 - keys.0 + 1) * 1_000;
    SstMeta {
        id_high: reference.id_high,
        id_low: reference.id_low,
        level,
        run,
        object_bytes: entries * 270,
        smallest_key: key(keys.0),
        largest_key: key(keys.1),
        min_lsn: u64::from(number) * 100,
        max_lsn: u64::from(number) * 100 + 99,
        entries,
        tombstones: entries / 50 * u64::from(level == 0),
        raw_bytes: entries * 412,
        index_offset: entries * 250,
        index_bytes: 2_000,
        filter_offset: entries * 250 + 2_000,
        filter_bytes: 3_000,
        created_micros: 1,
        ..SstMeta::default()
    }
}

fn tree(tables: Vec<SstMeta>) -> Tree {
    let edit =
        ManifestEdit { added: tables, checkpoint_lsn: Some(900), next_run: Some(9), ..Default::default() };
    let manifest = Manifest::new().apply(&edit).unwrap();
    Tree {
        branch: BranchName::main(),
        link: LinkSeq(42),
        last_lsn: Lsn(1_042),
        manifest,
        keys: Keys::default(),
    }
}

#[test]
fn levels_of_a_grown_tree() {
    let tables = vec![
        table(9, 0, 8, (100, 310)),
        table(8, 0, 7, (5, 40)),
        table(7, 1, 0, (0, 150)),
        table(6, 1, 0, (151, 320)),
        table(1, 2, 0, (0, 99)),
        table(2, 2, 0, (100, 199)),
        table(3, 2, 0, (200, 299)),
        table(4, 2, 0, (300, 399)),
    ];
    golden::check("levels", &print(&tree(tables), 40));
}

#[test]
fn levels_are_cut_to_as_many_tables_as_asked_for() {
    let tables = (0..200).map(|number| table(number + 1, 2, 0, (number * 4, number * 4 + 3))).collect();
    golden::check("levels_cut", &print(&tree(tables), 3));
}

#[test]
fn levels_of_an_empty_branch() {
    golden::check("levels_empty", &print(&tree(Vec::new()), 40));
}

#[test]
fn levels_of_one_table_with_one_key() {
    golden::check("levels_one", &print(&tree(vec![table(1, 0, 1, (7, 7))]), 40));
}
