//! LOAD DATA and SELECT … INTO OUTFILE.

use super::{Assignment, AstExpr, Insert, InsertMode, InsertRows, OnConflict, TableName};

/// LOAD DATA [LOCAL] INFILE.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadData {
    /// LOCAL: the client reads the file.
    pub local: bool,
    /// The file's name.
    pub file: String,
    /// What is done about duplicates.
    pub duplicates: LoadDuplicates,
    /// Into which table.
    pub table: TableName,
    /// CHARACTER SET of the file.
    pub charset: Option<String>,
    /// How fields and lines are told apart.
    pub format: RecordFormat,
    /// IGNORE n LINES.
    pub skipped_lines: u64,
    /// Where fields go; `None` is all columns in order.
    pub targets: Option<Vec<LoadTarget>>,
    /// SET.
    pub assignments: Vec<Assignment>,
}

/// REPLACE and IGNORE of LOAD DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadDuplicates {
    /// Neither is given.
    Error,
    /// IGNORE.
    Ignore,
    /// REPLACE.
    Replace,
}

/// Where a field goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadTarget {
    /// Into a column.
    Column(String),
    /// Into a user variable.
    Variable(String),
}

/// FIELDS and LINES of LOAD DATA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFormat {
    /// FIELDS TERMINATED BY.
    pub field_end: Vec<u8>,
    /// FIELDS ENCLOSED BY.
    pub quote: Option<u8>,
    /// FIELDS ESCAPED BY.
    pub escape: Option<u8>,
    /// LINES STARTING BY.
    pub line_start: Vec<u8>,
    /// LINES TERMINATED BY.
    pub line_end: Vec<u8>,
}

/// INTO OUTFILE or DUMPFILE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutFile {
    /// The file's name.
    pub file: String,
    /// DUMPFILE: one row, without separators.
    pub dump: bool,
    /// CHARACTER SET.
    pub charset: Option<String>,
    /// How fields and lines are told apart.
    pub format: RecordFormat,
    /// OPTIONALLY ENCLOSED BY: only texts are enclosed.
    pub optional_quotes: bool,
}

impl Default for RecordFormat {
    fn default() -> Self {
        Self {
            field_end: b"\t".to_vec(),
            quote: None,
            escape: Some(b'\\'),
            line_start: Vec::new(),
            line_end: b"\n".to_vec(),
        }
    }
}

impl LoadData {
    /// Whether wrong values are warnings: with IGNORE, and with LOCAL, where the client cannot be stopped.
    #[must_use]
    pub fn ignores(&self) -> bool {
        self.local || self.duplicates == LoadDuplicates::Ignore
    }

    /// The INSERT of so many records that have a field for each of `targets`. Its parameters are the fields that go into
    /// columns, in their order.
    #[must_use]
    pub fn insert(&self, targets: &[LoadTarget], records: usize) -> Insert {
        let column = |target: &LoadTarget| match target {
            LoadTarget::Column(name) => Some(name.clone()),
            LoadTarget::Variable(_) => None,
        };
        let mut columns: Vec<String> = targets.iter().filter_map(column).collect();
        let fields = columns.len();
        columns.extend(self.assignments.iter().map(|Assignment { column, .. }| column.name.clone()));
        let row = |record: usize| {
            let params = (record * fields..(record + 1) * fields).map(AstExpr::Param);
            params.chain(self.assignments.iter().map(|assignment| assignment.value.clone())).collect()
        };
        let replace = self.duplicates == LoadDuplicates::Replace;
        let ignore = self.ignores();
        Insert {
            mode: if replace { InsertMode::Replace } else { InsertMode::Insert },
            ignore,
            table: self.table.clone(),
            columns: Some(columns),
            rows: InsertRows::Values((0..records).map(row).collect()),
            row_alias: None,
            on_conflict: if ignore && !replace { OnConflict::Ignore } else { OnConflict::Error },
        }
    }
}
