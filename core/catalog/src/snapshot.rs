//! The immutable snapshot.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aquifer_types::{IndexId, Lsn, SqlResult, TableId};
use bytes::Bytes;

use crate::account::Account;
use crate::model::{Database, DatabaseId, IndexState, Table};
use crate::proto::corrupt;
use crate::rows;

/// Everything the catalog holds as of one LSN, and the temporary tables of one session. Cloning shares all.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    stored: Arc<Stored>,
    /// A session's own tables: they hide stored ones of the same names and are in no list.
    temporary: Arc<[Arc<Table>]>,
}

/// What every session sees.
#[derive(Clone, Debug, Default)]
struct Stored {
    version: Lsn,
    databases: BTreeMap<DatabaseId, Arc<Database>>,
    database_names: BTreeMap<Arc<str>, DatabaseId>,
    tables: HashMap<TableId, Arc<Table>>,
    table_names: HashMap<DatabaseId, BTreeMap<Arc<str>, TableId>>,
    /// When each table's definition was last written.
    defined: HashMap<TableId, Lsn>,
    /// When each table got its newest index.
    readable_since: HashMap<TableId, Lsn>,
    /// By the names of a parent's database and itself: tables with foreign keys to it.
    children: HashMap<(Arc<str>, Arc<str>), Vec<TableId>>,
    accounts: BTreeMap<(String, String), Arc<Account>>,
    /// When an account was last changed.
    accounts_version: Lsn,
    variables: BTreeMap<String, String>,
}

impl Catalog {
    /// A catalog with nothing in it.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Builds the catalog from all rows of the system range as of `lsn`.
    ///
    /// # Errors
    /// `Corrupt` when a row cannot be understood.
    pub fn from_rows(lsn: Lsn, entries: impl IntoIterator<Item = (Bytes, Bytes)>) -> SqlResult<Self> {
        Self::empty().apply(lsn, entries.into_iter().map(|(key, value)| (key, Some(value))))
    }

    /// The catalog after the changes of one commit. Entries with keys outside of the system range are
    /// ignored, so that a whole delta may be passed.
    ///
    /// # Errors
    /// `Corrupt` when a row cannot be understood.
    pub fn apply(
        &self,
        lsn: Lsn,
        entries: impl IntoIterator<Item = (Bytes, Option<Bytes>)>,
    ) -> SqlResult<Self> {
        let mut next = Stored::clone(&self.stored);
        next.version = lsn;
        for (key, value) in entries {
            next.apply_one(&key, value.as_deref())?;
        }
        next.reindex();
        Ok(Self { stored: Arc::new(next), temporary: Arc::clone(&self.temporary) })
    }

    /// The same with other temporary tables.
    #[must_use]
    pub fn with_temporary(&self, tables: Arc<[Arc<Table>]>) -> Self {
        Self { stored: Arc::clone(&self.stored), temporary: tables }
    }

    /// Whether a key belongs to the catalog.
    #[must_use]
    pub fn is_catalog_key(key: &[u8]) -> bool {
        key >= &rows::SYSTEM_RANGE_START[..] && key < &rows::SYSTEM_RANGE_END[..]
    }

    /// LSN of the last change; a plan bound against another version must be bound again.
    #[must_use]
    pub fn version(&self) -> Lsn {
        self.stored.version
    }

    /// A database by name.
    #[must_use]
    pub fn database(&self, name: &str) -> Option<&Arc<Database>> {
        self.stored.databases.get(self.stored.database_names.get(name)?)
    }

    /// A database by number.
    #[must_use]
    pub fn database_by_id(&self, id: DatabaseId) -> Option<&Arc<Database>> {
        self.stored.databases.get(&id)
    }

    /// All databases by name.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.stored.database_names.values().filter_map(|id| self.stored.databases.get(id))
    }

    /// A table by the names of its database and itself: the session's temporary one, or the stored one.
    #[must_use]
    pub fn table(&self, database: &str, name: &str) -> Option<&Arc<Table>> {
        self.temporary_table(database, name).or_else(|| self.stored_table(database, name))
    }

    /// The session's temporary table of these names.
    #[must_use]
    pub fn temporary_table(&self, database: &str, name: &str) -> Option<&Arc<Table>> {
        self.temporary.iter().find(|table| *table.name == *name && *table.schema == *database)
    }

    /// The table of these names that every session sees.
    #[must_use]
    pub fn stored_table(&self, database: &str, name: &str) -> Option<&Arc<Table>> {
        let database = self.stored.database_names.get(database)?;
        self.stored.tables.get(self.stored.table_names.get(database)?.get(name)?)
    }

    /// A table by number.
    #[must_use]
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<Table>> {
        if id.is_temporary() {
            return self.temporary.iter().find(|table| table.id == id);
        }
        self.stored.tables.get(&id)
    }

    /// All tables and views but temporary ones.
    pub fn stored_tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.stored.tables.values()
    }

    /// The oldest LSN at which all indexes of a table hold its rows; a snapshot before it must not read them. 0 for
    /// a temporary table and for what is no table.
    #[must_use]
    pub fn readable_since(&self, id: TableId) -> Lsn {
        self.stored.readable_since.get(&id).copied().unwrap_or(Lsn(0))
    }

    /// Whether any of these tables was defined anew or dropped after `version`. Temporary tables are their session's
    /// business.
    #[must_use]
    pub fn changed_since(&self, version: Lsn, tables: &[TableId]) -> bool {
        let defined = |id: &TableId| self.stored.defined.get(id);
        let stored = tables.iter().filter(|id| !id.is_temporary());
        self.version() != version && stored.into_iter().any(|id| defined(id).is_none_or(|at| *at > version))
    }

    /// Tables with foreign keys to a table of these names, whether it exists or not; itself among them.
    pub fn children(&self, database: &str, name: &str) -> impl Iterator<Item = &Arc<Table>> {
        let parent = (Arc::from(database), Arc::from(name));
        let found = if self.stored.children.is_empty() { None } else { self.stored.children.get(&parent) };
        found.into_iter().flatten().filter_map(|id| self.stored.tables.get(id))
    }

    /// Tables of a database by name.
    pub fn tables(&self, database: DatabaseId) -> impl Iterator<Item = &Arc<Table>> {
        let names = self.stored.table_names.get(&database);
        names.into_iter().flat_map(|names| names.values()).filter_map(|id| self.stored.tables.get(id))
    }

    /// An account by its exact user and host.
    #[must_use]
    pub fn account(&self, user: &str, host: &str) -> Option<&Arc<Account>> {
        self.stored.accounts.get(&(user.to_owned(), host.to_owned()))
    }

    /// LSN of the last change of an account; rights that were worked out before it may be others now.
    #[must_use]
    pub fn accounts_version(&self) -> Lsn {
        self.stored.accounts_version
    }

    /// All accounts by user and host.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.stored.accounts.values()
    }

    /// The persisted value of a global variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.stored.variables.get(name).map(String::as_str)
    }

    /// All persisted global variables by name.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.stored.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Stored {
    fn apply_one(&mut self, key: &[u8], value: Option<&[u8]>) -> SqlResult<()> {
        let Some((index, rest)) = key.split_first_chunk::<4>() else { return Ok(()) };
        match IndexId(u32::from_be_bytes(*index)) {
            rows::DATABASES => match value {
                Some(value) => {
                    let database = rows::decode_database(value)?;
                    self.databases.insert(database.id, Arc::new(database));
                }
                None => {
                    self.databases.remove(&DatabaseId(number(rest)?));
                }
            },
            rows::TABLES => self.apply_table(rest, value)?,
            rows::ACCOUNTS => self.apply_account(rest, value)?,
            rows::VARIABLES => match value {
                Some(value) => {
                    let (name, value) = rows::decode_variable(value)?;
                    self.variables.insert(name, value);
                }
                None => {
                    self.variables.remove(&*String::from_utf8_lossy(rest));
                }
            },
            _ => {}
        }
        Ok(())
    }

    fn apply_account(&mut self, rest: &[u8], value: Option<&[u8]>) -> SqlResult<()> {
        self.accounts_version = self.version;
        match value {
            Some(value) => {
                let account = rows::decode_account(value)?;
                self.accounts.insert((account.user.clone(), account.host.clone()), Arc::new(account));
            }
            None => {
                let mut parts = rest.splitn(2, |byte| *byte == 0);
                let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
                self.accounts.remove(&(text(), text()));
            }
        }
        Ok(())
    }

    fn apply_table(&mut self, rest: &[u8], value: Option<&[u8]>) -> SqlResult<()> {
        match value {
            Some(value) => {
                let table = rows::decode_table(value)?;
                let old = self.tables.get(&table.id);
                let known =
                    |id: IndexId| old.is_some_and(|old| old.readable_indexes().any(|index| index.id == id));
                let since =
                    table.readable_indexes().filter(|index| !known(index.id)).map(|index| {
                        match index.state {
                            IndexState::Complete(since) if since.0 > 0 => since,
                            _ => self.version,
                        }
                    });
                if let Some(since) = since.max() {
                    let readable = self.readable_since.entry(table.id).or_default();
                    *readable = since.max(*readable);
                }
                self.defined.insert(table.id, self.version);
                self.tables.insert(table.id, Arc::new(table));
            }
            None => {
                let database = DatabaseId(number(rest)?);
                let id = TableId(number(rest.get(4..).unwrap_or_default())?);
                // A rename to another database deletes the old key after or before the new one is put.
                if self.tables.get(&id).is_some_and(|table| table.database == database) {
                    self.tables.remove(&id);
                    self.defined.remove(&id);
                    self.readable_since.remove(&id);
                }
            }
        }
        Ok(())
    }

    /// Rebuilds the maps by name, and the schema names within tables.
    fn reindex(&mut self) {
        self.database_names = self.databases.values().map(|d| (d.name.clone(), d.id)).collect();
        self.table_names.clear();
        for table in self.tables.values_mut() {
            let Some(database) = self.databases.get(&table.database) else { continue };
            if table.schema != database.name {
                Arc::make_mut(table).schema = database.name.clone();
            }
            self.table_names.entry(table.database).or_default().insert(table.name.clone(), table.id);
        }
        self.children.clear();
        for table in self.tables.values() {
            for key in &table.foreign_keys {
                let parent = (key.parent_schema.clone(), key.parent_table.clone());
                let children = self.children.entry(parent).or_default();
                if !children.contains(&table.id) {
                    children.push(table.id);
                }
            }
        }
        self.children.values_mut().for_each(|children| children.sort_unstable());
    }
}

/// The first four bytes as a number.
fn number(bytes: &[u8]) -> SqlResult<u32> {
    let bytes = bytes.first_chunk::<4>().ok_or_else(|| corrupt("catalog key is too short"))?;
    Ok(u32::from_be_bytes(*bytes))
}
