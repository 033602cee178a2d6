//! SELECT … INTO OUTFILE and DUMPFILE: a result becomes a file of the node.

use aquifer_sql::ResultColumn;
use aquifer_sql::ast::{IntoTarget, OutFile, Query, Statement};
use aquifer_sql::result::Done;
use aquifer_types::collation::Charset;
use aquifer_types::{SqlError, TypeKind, Value};
use bytes::Bytes;

use crate::outcome::Failure;
use crate::session::Session;

/// Longest file, in bytes.
const FILE_BYTES_MAX: usize = 1 << 30;

/// The file that a query's result goes into.
pub(crate) fn outfile_of(statement: &Statement) -> Option<&OutFile> {
    match statement {
        Statement::Query(query) => match &query.into {
            Some(IntoTarget::File(file)) => Some(file),
            _ => None,
        },
        _ => None,
    }
}

impl Session {
    /// Runs a query and writes its rows into a file.
    ///
    /// # Errors
    /// 1227 without the FILE privilege, 1290, 1086, 1172 of DUMPFILE, those of the query.
    pub(crate) async fn run_outfile(
        &mut self,
        query: &Query,
        file: &OutFile,
        params: &mut Vec<Value>,
    ) -> Result<Done, Failure> {
        self.need_global("FILE", "FILE")?;
        self.check_server_file(&file.file)?;
        let charset = match &file.charset {
            None => None,
            Some(name) => Some(
                Charset::by_name(name)
                    .ok_or_else(|| SqlError::new(1115, format!("Unknown character set: '{name}'")))?,
            ),
        };
        let query = Query { into: None, ..query.clone() };
        let ready = self.make_ready(Statement::Query(Box::new(query)), params.len(), params)?;
        let (columns, rows) = Box::pin(self.collect(&ready, params)).await?;
        if file.dump && rows.len() > 1 {
            return Err(SqlError::new(1172, "Result consisted of more than one row").into());
        }
        let mut bytes = Vec::new();
        for row in &rows {
            write_row(file, charset, &columns, row, &mut bytes);
            if bytes.len() > FILE_BYTES_MAX {
                return Err(SqlError::not_supported("SELECT ... INTO OUTFILE of more than a GiB").into());
            }
        }
        self.write_server_file(&file.file, bytes).await?;
        Ok(Done { affected: u64::try_from(rows.len()).unwrap_or(u64::MAX), ..Done::default() })
    }
}

fn write_row(
    file: &OutFile,
    charset: Option<Charset>,
    columns: &[ResultColumn],
    row: &[Value],
    out: &mut Vec<u8>,
) {
    let format = &file.format;
    if !file.dump {
        out.extend(&format.line_start);
    }
    for (number, (value, column)) in row.iter().zip(columns).enumerate() {
        if file.dump {
            out.extend(text_of(value, column, charset).unwrap_or_default());
            continue;
        }
        if number > 0 {
            out.extend(&format.field_end);
        }
        write_field(file, value, column, charset, out);
    }
    if !file.dump {
        out.extend(&format.line_end);
    }
}

fn write_field(
    file: &OutFile,
    value: &Value,
    column: &ResultColumn,
    charset: Option<Charset>,
    out: &mut Vec<u8>,
) {
    let format = &file.format;
    let quote = format.quote.filter(|_| !file.optional_quotes || is_text(column.data_type.kind));
    let Some(text) = text_of(value, column, charset) else {
        match format.escape {
            Some(escape) => out.extend([escape, b'N']),
            None => out.extend(b"NULL"),
        }
        return;
    };
    out.extend(quote);
    // Within quotes only they end a field, outside of them what separates fields.
    let field_end = quote.or(format.field_end.first().copied());
    for byte in text {
        if let Some(escape) = format.escape
            && (byte == escape
                || byte == 0
                || Some(byte) == field_end
                || Some(byte) == format.line_end.first().copied())
        {
            out.extend([escape, if byte == 0 { b'0' } else { byte }]);
        } else {
            out.push(byte);
        }
    }
    out.extend(quote);
}

/// The text of a value in the file's character set; `None` for NULL.
fn text_of(value: &Value, column: &ResultColumn, charset: Option<Charset>) -> Option<Vec<u8>> {
    if value.is_null() {
        return None;
    }
    let mut text = Vec::new();
    aquifer_types::text::write_text(value, &column.data_type, &mut text);
    match charset {
        Some(charset) if column.data_type.collation.charset() != Charset::Binary => {
            Some(Charset::Utf8mb4.convert(charset, &Bytes::from(text)).bytes.to_vec())
        }
        _ => Some(text),
    }
}

/// Whether OPTIONALLY ENCLOSED encloses values of a type.
fn is_text(kind: TypeKind) -> bool {
    use TypeKind::{BigInt, Decimal, Double, Float, Int, MediumInt, Null, SmallInt, TinyInt, Year};
    !matches!(kind, BigInt | Decimal | Double | Float | Int | MediumInt | Null | SmallInt | TinyInt | Year)
}
