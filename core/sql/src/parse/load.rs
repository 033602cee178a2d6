//! LOAD DATA and INTO OUTFILE.

use aquifer_types::{SqlError, SqlResult};

use super::Parser;
use super::lexer::Kind;
use crate::ast::{LoadData, LoadDuplicates, LoadTarget, OutFile, RecordFormat, Statement};

impl Parser<'_> {
    /// After LOAD.
    pub(super) fn load(&mut self) -> SqlResult<Statement> {
        if !self.eat("DATA") {
            self.skip_rest();
            return Ok(Statement::Unsupported("LOAD XML and LOAD INDEX"));
        }
        if !self.eat("LOW_PRIORITY") {
            self.eat("CONCURRENT");
        }
        let local = self.eat("LOCAL");
        self.expect("INFILE")?;
        let file = self.string()?;
        let duplicates = match (self.eat("REPLACE"), self.eat("IGNORE")) {
            (true, false) => LoadDuplicates::Replace,
            (false, true) => LoadDuplicates::Ignore,
            (false, false) => LoadDuplicates::Error,
            (true, true) => return self.fail(),
        };
        self.expect("INTO")?;
        self.expect("TABLE")?;
        let table = self.table_name()?;
        if self.is("PARTITION") {
            return Err(SqlError::not_supported("PARTITION"));
        }
        let charset = self.file_charset()?;
        let format = self.record_format()?;
        let mut skipped_lines = 0;
        if self.eat("IGNORE") {
            skipped_lines = self.unsigned()?;
            if !self.eat("LINES") {
                self.expect("ROWS")?;
            }
        }
        let targets = if self.is_char(b'(') { Some(self.load_targets()?) } else { None };
        let assignments = if self.eat("SET") { self.assignments()? } else { Vec::new() };
        let load =
            LoadData { local, file, duplicates, table, charset, format, skipped_lines, targets, assignments };
        Ok(Statement::Load(Box::new(load)))
    }

    /// OUTFILE or DUMPFILE.
    pub(super) fn out_file(&mut self) -> SqlResult<OutFile> {
        let dump = self.eat("DUMPFILE");
        if !dump {
            self.expect("OUTFILE")?;
        }
        let file = self.string()?;
        if dump {
            let format = RecordFormat::default();
            return Ok(OutFile { file, dump, charset: None, format, optional_quotes: false });
        }
        let charset = self.file_charset()?;
        let from = self.at;
        let format = self.record_format()?;
        let optional_quotes =
            (from..self.at).any(|at| self.slice(self.tokens[at]).eq_ignore_ascii_case("OPTIONALLY"));
        Ok(OutFile { file, dump, charset, format, optional_quotes })
    }

    fn file_charset(&mut self) -> SqlResult<Option<String>> {
        if self.eat_all(&["CHARACTER", "SET"]) || self.eat("CHARSET") {
            return self.charset_word().map(Some);
        }
        Ok(None)
    }

    fn charset_word(&mut self) -> SqlResult<String> {
        if self.token().kind == Kind::String { self.string() } else { self.any_identifier() }
    }

    fn load_targets(&mut self) -> SqlResult<Vec<LoadTarget>> {
        self.expect_char(b'(')?;
        if self.eat_char(b')') {
            return Ok(Vec::new());
        }
        let targets = self.list(|parser| {
            if parser.token().kind == Kind::UserVariable {
                return parser.user_variable_name().map(LoadTarget::Variable);
            }
            Ok(LoadTarget::Column(parser.column_ref()?.name))
        })?;
        self.expect_char(b')')?;
        Ok(targets)
    }

    /// FIELDS and LINES.
    pub(super) fn record_format(&mut self) -> SqlResult<RecordFormat> {
        let mut format = RecordFormat::default();
        if self.eat("FIELDS") || self.eat("COLUMNS") {
            loop {
                if self.eat_all(&["TERMINATED", "BY"]) {
                    format.field_end = self.separator()?;
                } else if self.eat_all(&["OPTIONALLY", "ENCLOSED", "BY"]) || self.eat_all(&["ENCLOSED", "BY"])
                {
                    format.quote = self.single_byte()?;
                } else if self.eat_all(&["ESCAPED", "BY"]) {
                    format.escape = self.single_byte()?;
                } else {
                    break;
                }
            }
        }
        if self.eat("LINES") {
            loop {
                if self.eat_all(&["STARTING", "BY"]) {
                    format.line_start = self.separator()?;
                } else if self.eat_all(&["TERMINATED", "BY"]) {
                    format.line_end = self.separator()?;
                } else {
                    break;
                }
            }
        }
        if format.field_end.is_empty() {
            return Err(SqlError::not_supported("FIELDS TERMINATED BY ''"));
        }
        if format.line_end.is_empty() {
            return Err(SqlError::not_supported("LINES TERMINATED BY ''"));
        }
        Ok(format)
    }

    /// A string or a hexadecimal literal.
    fn separator(&mut self) -> SqlResult<Vec<u8>> {
        if matches!(self.token().kind, Kind::Hex | Kind::Bits) {
            return self.radix_bytes();
        }
        self.string_bytes()
    }

    /// A separator of at most one byte.
    fn single_byte(&mut self) -> SqlResult<Option<u8>> {
        match *self.separator()? {
            [] => Ok(None),
            [byte] => Ok(Some(byte)),
            _ => {
                Err(SqlError::new(1083, "Field separator argument is not what is expected; check the manual"))
            }
        }
    }
}
