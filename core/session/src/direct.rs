//! Statements that the session carries out itself, and results that it makes itself.

use std::sync::Arc;

use aquifer_catalog::Catalog;
use aquifer_sql::ast::{
    AstExpr, ExplainTarget, Literal, Query, QueryBody, Select, SelectItem, ShowFilter, Statement, XaStatement,
};
use aquifer_sql::result::{ColumnFlags, Done};
use aquifer_sql::virtual_tables::show::Shown;
use aquifer_sql::{ResultColumn, VirtualColumn, VirtualTable, VirtualTables};
use aquifer_types::{Collation, DataType, SqlError, SqlResult, TypeKind, Value};
use bytes::Bytes;

use crate::outcome::Failure;
use crate::outfile::outfile_of;
use crate::output::Output;
use crate::rows::{Protocol, column_defs};
use crate::session::Session;
use crate::statement::{Body, ReadyStatement};

impl Session {
    /// Runs a statement that is the session's own.
    ///
    /// # Errors
    /// As [`Session::run_planned`].
    pub(crate) async fn run_direct(
        &mut self,
        ready: &ReadyStatement,
        statement: &Statement,
        params: &mut Vec<Value>,
        protocol: Protocol,
        more: bool,
        output: &mut dyn Output,
    ) -> Result<(), Failure> {
        if let Statement::Execute { name, using } = statement {
            return Box::pin(self.run_named(name, using, protocol, more, output)).await;
        }
        let keeps_diagnostics = matches!(statement, Statement::Show(show) if show_keeps_diagnostics(show));
        if !keeps_diagnostics {
            self.state.clear_warnings();
        }
        if ready.commits_implicitly {
            self.commit_open().await?;
        }
        let mut done = Done::default();
        match statement {
            Statement::Query(query) if outfile_of(statement).is_some() => {
                if let Some(file) = outfile_of(statement) {
                    done = Box::pin(self.run_outfile(query, file, params)).await?;
                }
                self.state.facts.row_count.set(i64::try_from(done.affected).unwrap_or(i64::MAX));
                self.write_ok(&done, more);
                return Ok(());
            }
            Statement::Query(_) | Statement::Do(_) => {
                return Box::pin(self.run_waiting(statement, params, protocol, more, output)).await;
            }
            Statement::Update(_) => {
                self.need_global("UPDATE", "UPDATE")?;
                done.info = "Rows matched: 0  Changed: 0  Warnings: 0".to_owned();
            }
            Statement::Show(show) => {
                let shown = self.show(show).await?;
                self.write_shown(&shown, protocol, more);
                return Ok(());
            }
            Statement::Explain(explain) => match &explain.target {
                ExplainTarget::Table(table, column) => {
                    let shown = self.describe(table, column.as_deref())?;
                    self.write_shown(&shown, protocol, more);
                    return Ok(());
                }
                ExplainTarget::Connection(id) => {
                    return Box::pin(self.explain_connection(*id, explain, protocol, more, output)).await;
                }
                ExplainTarget::Statement(_) => {}
            },
            Statement::Admin(admin) => {
                if let Some(shown) = self.run_admin(admin).await? {
                    self.write_shown(&shown, protocol, more);
                    return Ok(());
                }
            }
            Statement::Load(load) => return Box::pin(self.run_load(load, protocol, more)).await,
            Statement::Set(set) => self.run_set(set, params).await?,
            Statement::Use(name) => self.use_database(name)?,
            Statement::Transaction(transaction) => self.run_transaction(transaction).await?,
            Statement::Xa(XaStatement::Recover { convert }) => {
                let shown = self.xa_recover(*convert);
                self.write_shown(&shown, protocol, more);
                return Ok(());
            }
            Statement::Xa(xa) => self.run_xa(xa).await?,
            Statement::Prepare { name, source } => {
                let (value, _) = self.evaluate(source, &[]).await?;
                let text = match value {
                    Value::Bytes(text) => String::from_utf8_lossy(&text).into_owned(),
                    _ => String::from("NULL"),
                };
                self.prepare_named(name, &text)?;
                done.info = "Statement prepared".to_owned();
            }
            Statement::Deallocate(name) => self.deallocate(name)?,
            _ => return Err(SqlError::not_supported("this statement").into()),
        }
        self.state.facts.row_count.set(0);
        self.write_ok(&done, more);
        Ok(())
    }

    async fn run_named(
        &mut self,
        name: &str,
        using: &[String],
        protocol: Protocol,
        more: bool,
        output: &mut dyn Output,
    ) -> Result<(), Failure> {
        let (ready, mut params) = self.named_statement(name, using)?;
        if matches!(&ready.body, Body::Direct(Statement::Execute { .. } | Statement::Prepare { .. })) {
            let text = "This command is not supported in the prepared statement protocol yet";
            return Err(SqlError::new(1295, text).into());
        }
        self.run_with(&ready, &mut params, protocol, more, output).await?.settled()
    }

    /// The value of an expression outside of a query.
    ///
    /// # Errors
    /// Those of the expression.
    pub(crate) async fn evaluate(
        &mut self,
        expr: &AstExpr,
        params: &[Value],
    ) -> Result<(Value, DataType), Failure> {
        if let Some(constant) = constant(expr) {
            return Ok(constant);
        }
        let item = SelectItem::Expr { expr: expr.clone(), alias: None, text: "value".to_owned() };
        let select = Select {
            distinct: false,
            calc_found_rows: false,
            straight_join: false,
            items: vec![item],
            from: None,
            filter: None,
            group: Vec::new(),
            rollup: false,
            having: None,
            windows: Vec::new(),
        };
        let query = Query {
            with: None,
            body: QueryBody::Select(Box::new(select)),
            order: Vec::new(),
            limit: None,
            locking: None,
            into: None,
        };
        let ready = self.make_ready(Statement::Query(Box::new(query)), params.len(), params)?;
        let mut params = params.to_vec();
        let found_rows = self.state.facts.found_rows.get();
        let (columns, rows) = Box::pin(self.collect(&ready, &mut params)).await?;
        self.state.facts.found_rows.set(found_rows);
        let value = rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Value::Null);
        let data_type = columns.first().map_or_else(|| DataType::of(TypeKind::Null), |c| c.data_type.clone());
        Ok((value, data_type))
    }

    /// Writes a result that the session has made.
    pub(crate) fn write_shown(&mut self, shown: &Shown, protocol: Protocol, more: bool) {
        let encoding = self.encoding(protocol);
        let columns: Vec<ResultColumn> = shown.columns.iter().map(result_column).collect();
        let state = self.state.server_state();
        self.channel.write_columns(&column_defs(&columns, encoding.charset), state);
        for row in &shown.rows {
            encoding.write_values(&mut self.channel, &columns, row);
        }
        self.state.facts.row_count.set(-1);
        self.state.facts.found_rows.set(u64::try_from(shown.rows.len()).unwrap_or(u64::MAX));
        self.write_result_end(more);
    }

    /// Leaves the rows that satisfy LIKE or WHERE.
    ///
    /// # Errors
    /// Those of the condition.
    pub(crate) async fn filter(&mut self, mut shown: Shown, filter: &ShowFilter) -> Result<Shown, Failure> {
        match filter {
            ShowFilter::All => {}
            ShowFilter::Like(pattern) => {
                let at = shown.like_column;
                shown.rows.retain(|row| matches_like(row.get(at), pattern));
            }
            ShowFilter::Where(_, text) => shown.rows = self.filter_where(&shown, text).await?,
        }
        Ok(shown)
    }

    /// Runs `SELECT * … WHERE condition` over rows in memory.
    async fn filter_where(&mut self, shown: &Shown, condition: &str) -> Result<Vec<Vec<Value>>, Failure> {
        let table = ShownTable::new(shown);
        let text = format!("SELECT * FROM `{SHOWN_SCHEMA}`.`{SHOWN_TABLE}` WHERE {condition}");
        Ok(self.query_virtual(&text, &table).await?)
    }
}

/// Where a result of SHOW stands while WHERE is applied to it.
const SHOWN_SCHEMA: &str = "information_schema";
const SHOWN_TABLE: &str = "shown";

/// A result of SHOW as a table.
pub(crate) struct ShownTable {
    table: Arc<VirtualTable>,
    rows: Vec<Vec<Value>>,
}

impl ShownTable {
    fn new(shown: &Shown) -> Self {
        let table = VirtualTable {
            schema: SHOWN_SCHEMA.into(),
            name: SHOWN_TABLE.into(),
            columns: shown.columns.clone(),
        };
        Self { table: Arc::new(table), rows: shown.rows.clone() }
    }
}

impl VirtualTables for ShownTable {
    fn has_schema(&self, schema: &str) -> bool {
        schema.eq_ignore_ascii_case(SHOWN_SCHEMA)
    }

    fn table(&self, schema: &str, name: &str) -> Option<Arc<VirtualTable>> {
        (self.has_schema(schema) && name == SHOWN_TABLE).then(|| Arc::clone(&self.table))
    }

    fn rows(&self, _: &VirtualTable, _: &Arc<Catalog>, _: &[(usize, Value)]) -> SqlResult<Vec<Vec<Value>>> {
        Ok(self.rows.clone())
    }
}

fn show_keeps_diagnostics(show: &aquifer_sql::ast::Show) -> bool {
    use aquifer_sql::ast::Show;
    matches!(show, Show::Warnings(_) | Show::Errors(_) | Show::DiagnosticsCount { .. })
}

fn matches_like(value: Option<&Value>, pattern: &[u8]) -> bool {
    match value {
        Some(Value::Bytes(text)) => {
            aquifer_types::collation::like(Collation::UTF8MB4_GENERAL_CI, text, pattern, Some(b"\\"))
        }
        _ => false,
    }
}

fn result_column(column: &VirtualColumn) -> ResultColumn {
    let flags = if column.nullable { 0 } else { ColumnFlags::NOT_NULL };
    ResultColumn {
        schema: "information_schema".into(),
        table: "".into(),
        org_table: "".into(),
        name: Arc::clone(&column.name),
        org_name: Arc::clone(&column.name),
        data_type: column.data_type.clone(),
        flags: ColumnFlags(flags),
    }
}

/// A constant without the planner: most values of SET are one.
fn constant(expr: &AstExpr) -> Option<(Value, DataType)> {
    let AstExpr::Literal(literal) = expr else { return None };
    Some(match literal {
        Literal::Null => (Value::Null, DataType::of(TypeKind::Null)),
        Literal::Bool(value) => (Value::Int(i64::from(*value)), DataType::of(TypeKind::BigInt)),
        Literal::UInt(value) => match i64::try_from(*value) {
            Ok(value) => (Value::Int(value), DataType::of(TypeKind::BigInt)),
            Err(_) => (Value::UInt(*value), DataType::bigint_unsigned()),
        },
        Literal::String(text) => {
            let characters = String::from_utf8_lossy(text).chars().count();
            let length = u32::try_from(characters).unwrap_or(u32::MAX);
            (Value::Bytes(Bytes::copy_from_slice(text)), DataType::varchar(length))
        }
        _ => return None,
    })
}
