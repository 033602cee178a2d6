//! Rights of accounts with roles, against a plain set of what was granted and not revoked.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use aquifer_catalog::rights::like;
use aquifer_catalog::{Account, AccountId, Catalog, DatabaseGrant, Privileges, Rights, RoleGrant, rows};
use aquifer_types::Lsn;

const DATABASES: [&str; 3] = ["a", "ab", "b_c"];
const PATTERNS: [&str; 4] = ["a", "a%", "b\\_c", "b_c"];
const TABLES: [&str; 3] = ["t", "T", "u"];
const COLUMNS: [&str; 2] = ["x", "y"];
const PRIVILEGES: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "REFERENCES"];

/// Where a privilege is granted: on everything, by a pattern, on a table, on a column.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Everything,
    Pattern(&'static str),
    Table(&'static str, &'static str),
    Column(&'static str, &'static str, &'static str),
}

impl Place {
    fn covers(&self, database: &str, table: &str, column: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Pattern(pattern) => like(pattern, database),
            Self::Table(d, t) => (*d, *t) == (database, table),
            Self::Column(d, t, c) => (*d, *t, *c) == (database, table, column),
        }
    }
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.next(list.len())]
    }

    fn place(&mut self) -> Place {
        match self.next(12) {
            0 => Place::Everything,
            1..4 => Place::Pattern(self.pick(&PATTERNS)),
            4..8 => Place::Table(self.pick(&DATABASES), self.pick(&TABLES)),
            _ => Place::Column(self.pick(&DATABASES), self.pick(&TABLES), self.pick(&COLUMNS)),
        }
    }
}

fn id(user: &str) -> AccountId {
    AccountId { user: user.to_owned(), host: "%".to_owned() }
}

fn give(account: &mut Account, place: &Place, privilege: Privileges) {
    match place {
        Place::Everything => account.global = account.global.with(privilege),
        Place::Pattern(pattern) => match account.databases.iter_mut().find(|g| g.database == *pattern) {
            Some(grant) => grant.privileges = grant.privileges.with(privilege),
            None => account.databases.push(DatabaseGrant {
                database: (*pattern).to_owned(),
                privileges: privilege,
                grant_option: false,
            }),
        },
        Place::Table(database, table) => {
            let grant = account.table_grant_mut(database, table);
            grant.privileges = grant.privileges.with(privilege);
        }
        Place::Column(database, table, column) => {
            account.table_grant_mut(database, table).add_column(column, privilege);
        }
    }
}

fn take(account: &mut Account, place: &Place, privilege: Privileges) {
    match place {
        Place::Everything => account.global = account.global.without(privilege),
        Place::Pattern(pattern) => {
            if let Some(grant) = account.databases.iter_mut().find(|g| g.database == *pattern) {
                grant.privileges = grant.privileges.without(privilege);
            }
        }
        Place::Table(database, table) => {
            let grant = account.table_grant_mut(database, table);
            grant.privileges = grant.privileges.without(privilege);
        }
        Place::Column(database, table, column) => {
            account.table_grant_mut(database, table).remove_columns(Some(&column.to_uppercase()), privilege);
        }
    }
    account.tables.retain(|grant| !grant.is_empty());
}

type Granted = BTreeSet<(Place, &'static str)>;

fn check(rights: &Rights, granted: &[&Granted], seed: u64) {
    let has = |privilege: &str, covers: &dyn Fn(&Place) -> bool| {
        granted.iter().any(|set| set.iter().any(|(place, name)| *name == privilege && covers(place)))
    };
    for database in DATABASES {
        for privilege in PRIVILEGES {
            let one = Privileges::named(privilege).unwrap();
            let whole = |place: &Place| {
                matches!(place, Place::Everything | Place::Pattern(_)) && place.covers(database, "", "")
            };
            assert_eq!(rights.on_database(database).contains(one), has(privilege, &whole), "seed {seed}");
            for table in TABLES {
                let on_table =
                    |place: &Place| !matches!(place, Place::Column(..)) && place.covers(database, table, "");
                let expected = has(privilege, &on_table);
                assert_eq!(rights.on_table(database, table).contains(one), expected, "seed {seed}");
                let anywhere =
                    COLUMNS.iter().any(|c| has(privilege, &|place| place.covers(database, table, c)));
                assert_eq!(rights.on_any_column(database, table).contains(one), anywhere, "seed {seed}");
                for column in COLUMNS {
                    let expected = has(privilege, &|place| place.covers(database, table, column));
                    let spelled = column.to_uppercase();
                    assert_eq!(
                        rights.on_column(database, table, &spelled).contains(one),
                        expected,
                        "seed {seed}"
                    );
                }
            }
        }
        for table in TABLES {
            let any = |place: &Place| COLUMNS.iter().any(|column| place.covers(database, table, column));
            let expected = PRIVILEGES.iter().any(|privilege| has(privilege, &any));
            assert_eq!(rights.has_any_on_table(database, table), expected, "seed {seed}");
        }
        let any = |place: &Place| {
            TABLES.iter().any(|table| COLUMNS.iter().any(|column| place.covers(database, table, column)))
        };
        let expected = PRIVILEGES.iter().any(|privilege| has(privilege, &any));
        assert_eq!(rights.has_any_in_database(database), expected, "seed {seed}");
    }
}

#[test]
fn random_grants_and_revokes_agree_with_a_set() {
    for seed in 0..300 {
        let mut numbers = Numbers(seed);
        // The account has the first role, which has the second one.
        let mut accounts = ["app", "outer", "inner"].map(|user| Account::new(user, "%", "", Vec::new()));
        accounts[0].roles.push(RoleGrant { role: id("outer"), admin_option: false });
        accounts[1].roles.push(RoleGrant { role: id("inner"), admin_option: false });
        let mut granted: [Granted; 3] = Default::default();
        for _ in 0..numbers.next(30) {
            let (who, place, name) = (numbers.next(3), numbers.place(), numbers.pick(&PRIVILEGES));
            let privilege = Privileges::named(name).unwrap();
            if numbers.next(3) == 0 {
                take(&mut accounts[who], &place, privilege);
                granted[who].remove(&(place, name));
            } else {
                give(&mut accounts[who], &place, privilege);
                granted[who].insert((place, name));
            }
        }
        let writes = accounts.iter().flat_map(rows::put_account);
        let catalog = Catalog::empty().apply(Lsn(1), writes).unwrap();
        let [own, outer, inner] = &granted;
        let app = catalog.role(&id("app")).unwrap();
        check(&catalog.rights(app, &[]), &[own], seed);
        check(&catalog.rights(app, &[id("outer")]), &[own, outer, inner], seed);
        check(&catalog.rights(app, &[id("inner"), id("nobody")]), &[own, inner], seed);
        assert!(catalog.would_loop(&id("outer"), &id("inner")) && catalog.would_loop(&id("app"), &id("app")));
        assert!(!catalog.would_loop(&id("inner"), &id("app")));
    }
}
