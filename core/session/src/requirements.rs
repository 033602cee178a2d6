//! What a statement needs: privileges on the tables that its text names.

use std::sync::Arc;

use aquifer_catalog::Privileges;
use aquifer_sql::ast::{
    AlterOperation, AlterTable, AstExpr, Delete, ExplainTarget, ForeignKeyDef, Insert, InsertRows,
    JoinCondition, OnConflict, Query, QueryBody, Select, SelectItem, Statement, TableName, TableRef, Update,
    WithClause,
};
use aquifer_sql::virtual_tables;
use aquifer_sql::virtual_tables::locks::needs_lock_report;
use aquifer_sql::{ColumnUse, UseKind};

use crate::access::{NeededColumns, Requirement, privilege};
use crate::statement::ViewNeeds;

/// Collects requirements; names without a database are in the current one.
pub(crate) struct Collector<'a> {
    database: Option<&'a str>,
    /// Whether names of a database and a table mean a temporary table, for which nothing is needed.
    is_temporary: &'a dyn Fn(&str, &str) -> bool,
    found: Vec<Requirement>,
    /// Names of WITH, which are no tables.
    common: Vec<String>,
    /// Whether a table of the catalog, or one that is unknown, was named.
    pub(crate) touches_tables: bool,
    /// Whether a table of transactions or locks was named.
    pub(crate) shows_locks: bool,
}

impl<'a> Collector<'a> {
    /// What `statement` needs when `database` is the current one.
    pub(crate) fn collect(
        statement: &Statement,
        database: Option<&'a str>,
        is_temporary: &'a dyn Fn(&str, &str) -> bool,
    ) -> Self {
        let mut collector = Self {
            database,
            is_temporary,
            found: Vec::new(),
            common: Vec::new(),
            touches_tables: false,
            shows_locks: false,
        };
        collector.statement(statement);
        collector
    }

    /// The requirements, each once.
    pub(crate) fn into_requirements(self) -> Vec<Requirement> {
        let mut unique: Vec<Requirement> = Vec::with_capacity(self.found.len());
        for requirement in self.found {
            if !unique.contains(&requirement) {
                unique.push(requirement);
            }
        }
        unique
    }

    /// The same of a statement whose columns are not known: rights on any of them will do.
    pub(crate) fn into_least_requirements(mut self) -> Vec<Requirement> {
        for requirement in &mut self.found {
            if Privileges::ALL_ON_COLUMN.contains(requirement.privilege) {
                requirement.columns = Some(NeededColumns::default());
            }
        }
        self.into_requirements()
    }

    /// Adds the tables that an UPDATE of a join changes; to read them is needed only for columns that are read.
    pub(crate) fn changes<'t>(&mut self, tables: impl Iterator<Item = (&'t str, &'t str)>) {
        for (schema, table) in tables {
            self.found.retain(|known| !known.is_for(schema, table, "SELECT"));
            self.need(schema, table, privilege("UPDATE"), "UPDATE");
        }
    }

    /// Adds what a plan says about columns; gives what the views among the tables need.
    pub(crate) fn add_uses(&mut self, uses: &[ColumnUse]) -> Vec<ViewNeeds> {
        let mut views: Vec<ViewNeeds> = Vec::new();
        for found in uses {
            let name = verb(found.kind);
            let columns = NeededColumns { names: found.columns.clone(), all: found.all, alone: false };
            let Some(within) = &found.within else {
                self.add_columns(found, name, columns);
                continue;
            };
            let requirement = Requirement {
                schema: found.schema.to_string(),
                table: found.table.to_string(),
                privilege: privilege(name),
                name,
                columns: (found.kind != UseKind::Delete).then_some(columns),
            };
            match views.iter_mut().find(|needs| needs.within == *within) {
                Some(needs) => needs.requirements.push(requirement),
                None => views.push(ViewNeeds { within: Arc::clone(within), requirements: vec![requirement] }),
            }
        }
        views
    }

    fn add_columns(&mut self, found: &ColumnUse, name: &'static str, columns: NeededColumns) {
        let known = self.found.iter_mut().filter(|known| known.is_for(&found.schema, &found.table, name));
        let mut any = false;
        for known in known {
            any = true;
            known.columns = Some(columns.clone());
        }
        if !any && !columns.names.is_empty() {
            self.need(&found.schema, &found.table, privilege(name), name);
            if let Some(added) = self.found.last_mut() {
                added.columns = Some(NeededColumns { alone: true, ..columns });
            }
        }
    }

    fn need(&mut self, schema: &str, table: &str, privilege: Privileges, name: &'static str) {
        let requirement = Requirement {
            schema: schema.to_owned(),
            table: table.to_owned(),
            privilege,
            name,
            columns: None,
        };
        self.found.push(requirement);
    }

    fn table(&mut self, table: &TableName, name: &'static str) {
        let own =
            table.schema.is_none() && self.common.iter().any(|known| known.eq_ignore_ascii_case(&table.name));
        let Some(schema) = table.schema.as_deref().or(self.database) else { return };
        if own {
            return;
        }
        match virtual_tables::schema_name(schema) {
            Some(schema) if needs_lock_report(schema, &table.name) => self.shows_locks = true,
            Some("mysql") => self.need("mysql", &table.name, privilege(name), name),
            Some(_) => {}
            None if (self.is_temporary)(schema, &table.name) => self.touches_tables = true,
            None => {
                self.touches_tables = true;
                self.need(schema, &table.name, privilege(name), name);
            }
        }
    }

    /// As [`Collector::table`] for a stored table, whatever temporary table hides it.
    fn need_table(&mut self, table: &TableName, name: &'static str) {
        let Some(schema) = table.schema.as_deref().or(self.database) else { return };
        if virtual_tables::schema_name(schema).is_none() {
            self.touches_tables = true;
            self.need(schema, &table.name, privilege(name), name);
        }
    }

    fn database(&mut self, schema: &str, name: &'static str) {
        let schema = if schema.is_empty() { self.database.unwrap_or_default() } else { schema };
        if !schema.is_empty() {
            self.need(schema, "", privilege(name), name);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Query(query) => self.query(query),
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            Statement::Do(list) => list.iter().for_each(|expr| self.expr(expr)),
            Statement::Truncate(name) => self.table(name, "DROP"),
            Statement::CreateDatabase(create) => self.database(&create.name, "CREATE"),
            Statement::AlterDatabase(alter) => self.database(&alter.name, "ALTER"),
            Statement::DropDatabase(drop) => self.database(&drop.name, "DROP"),
            Statement::CreateTable(create) => {
                if create.temporary {
                    self.touches_tables |= create.query.is_some();
                    self.database(create.name.schema.as_deref().unwrap_or(""), "CREATE TEMPORARY TABLES");
                } else {
                    self.need_table(&create.name, "CREATE");
                    create.query.iter().for_each(|_| self.need_table(&create.name, "INSERT"));
                }
                create.like.iter().for_each(|like| self.table(like, "SELECT"));
                create.foreign_keys.iter().for_each(|key| self.parent(&create.name, key));
                create.query.iter().for_each(|query| self.query(query));
            }
            Statement::CreateView(create) => {
                self.need_table(&create.name, "CREATE VIEW");
                if create.alter || create.replace {
                    self.need_table(&create.name, "DROP");
                }
                self.query(&create.query);
            }
            Statement::AlterTable(alter) => self.alter(alter),
            Statement::DropTable(drop) if drop.temporary => {}
            Statement::DropTable(drop) => drop.names.iter().for_each(|name| self.table(name, "DROP")),
            Statement::RenameTable(pairs) => {
                for (old, new) in pairs {
                    self.table(old, "ALTER");
                    self.table(old, "DROP");
                    self.table(new, "CREATE");
                    self.table(new, "INSERT");
                }
            }
            Statement::CreateIndex(create) => self.table(&create.table, "INDEX"),
            Statement::DropIndex(drop) => self.table(&drop.table, "INDEX"),
            Statement::Explain(explain) => {
                if let ExplainTarget::Statement(statement) = &explain.target {
                    self.statement(statement);
                }
            }
            _ => {}
        }
    }

    /// ALTER TABLE: a new name needs what dropping and making a table does.
    fn alter(&mut self, alter: &AlterTable) {
        self.table(&alter.name, "ALTER");
        for operation in &alter.operations {
            match operation {
                AlterOperation::Rename(name) => {
                    self.table(&alter.name, "DROP");
                    self.table(name, "CREATE");
                    self.table(name, "INSERT");
                }
                AlterOperation::AddForeignKey(key) => self.parent(&alter.name, key),
                _ => {}
            }
        }
    }

    /// A foreign key's parent is in its child's database unless it says otherwise.
    fn parent(&mut self, child: &TableName, key: &ForeignKeyDef) {
        let schema = key.parent.schema.clone().or_else(|| child.schema.clone());
        let parent = TableName { schema, name: key.parent.name.clone() };
        let own = child.name == parent.name && (child.schema == parent.schema || child.schema.is_none());
        if !own {
            self.need_table(&parent, "REFERENCES");
        }
    }

    fn with(&mut self, with: Option<&WithClause>) {
        let Some(with) = with else { return };
        for table in &with.tables {
            if with.recursive {
                self.common.push(table.name.clone());
            }
            self.query(&table.query);
            self.common.push(table.name.clone());
        }
    }

    fn query(&mut self, query: &Query) {
        let known = self.common.len();
        self.with(query.with.as_ref());
        self.body(&query.body);
        query.order.iter().for_each(|item| self.expr(&item.expr));
        if let Some(locking) = query.locking.as_ref().filter(|locking| !locking.shared) {
            self.touches_tables = true;
            if let QueryBody::Select(select) = &query.body {
                select.from.iter().for_each(|from| self.locked(from, &locking.of));
            }
        }
        self.common.truncate(known);
    }

    /// FOR UPDATE, of these tables or of all: who changes nothing in a table may not keep others from it (MySQL 8.0
    /// Reference Manual, 13.2.13).
    fn locked(&mut self, table: &TableRef, of: &[String]) {
        match table {
            TableRef::Table { name, alias, .. } => {
                let known = alias.as_ref().unwrap_or(&name.name);
                if of.is_empty() || of.contains(known) {
                    let before = self.found.len();
                    self.table(name, "SELECT with locking clause");
                    for added in &mut self.found[before..] {
                        added.privilege = ["UPDATE", "DELETE", "LOCK TABLES"]
                            .into_iter()
                            .fold(Privileges::NONE, |all, name| all.with(privilege(name)));
                        added.columns = Some(NeededColumns::default());
                    }
                }
            }
            TableRef::Join(join) => {
                self.locked(&join.left, of);
                self.locked(&join.right, of);
            }
            TableRef::Derived { .. } | TableRef::JsonTable(_) => {}
        }
    }

    fn body(&mut self, body: &QueryBody) {
        match body {
            QueryBody::Select(select) => self.select(select),
            QueryBody::Values(rows) => rows.iter().flatten().for_each(|expr| self.expr(expr)),
            QueryBody::Nested(query) => self.query(query),
            QueryBody::Set { left, right, .. } => {
                self.body(left);
                self.body(right);
            }
        }
    }

    fn select(&mut self, select: &Select) {
        for item in &select.items {
            if let SelectItem::Expr { expr, .. } = item {
                self.expr(expr);
            }
        }
        select.from.iter().for_each(|from| self.table_ref(from, "SELECT"));
        let conditions = select.filter.iter().chain(&select.group).chain(&select.having);
        conditions.for_each(|expr| self.expr(expr));
        for (_, window) in &select.windows {
            window.partition.iter().for_each(|expr| self.expr(expr));
            window.order.iter().for_each(|item| self.expr(&item.expr));
        }
    }

    fn table_ref(&mut self, table: &TableRef, name: &'static str) {
        match table {
            TableRef::Table { name: table, .. } => self.table(table, name),
            TableRef::Derived { query, .. } => self.query(query),
            TableRef::JsonTable(table) => self.expr(&table.document),
            TableRef::Join(join) => {
                self.table_ref(&join.left, name);
                self.table_ref(&join.right, name);
                if let JoinCondition::On(condition) = &join.condition {
                    self.expr(condition);
                }
            }
        }
    }

    fn insert(&mut self, insert: &Insert) {
        self.table(&insert.table, "INSERT");
        if insert.mode == aquifer_sql::ast::InsertMode::Replace {
            self.table(&insert.table, "DELETE");
        }
        match &insert.rows {
            InsertRows::Values(rows) => rows.iter().flatten().for_each(|expr| self.expr(expr)),
            InsertRows::Query(query) => self.query(query),
        }
        if let OnConflict::Update(assignments) = &insert.on_conflict {
            self.table(&insert.table, "UPDATE");
            assignments.iter().for_each(|assignment| self.expr(&assignment.value));
        }
    }

    fn update(&mut self, update: &Update) {
        let known = self.common.len();
        self.with(update.with.as_ref());
        // Which tables of a join are changed is known when names have been resolved.
        let joined = matches!(update.table, TableRef::Join(_));
        self.table_ref(&update.table, if joined { "SELECT" } else { "UPDATE" });
        update.assignments.iter().for_each(|assignment| self.expr(&assignment.value));
        update.filter.iter().for_each(|expr| self.expr(expr));
        update.order.iter().for_each(|item| self.expr(&item.expr));
        self.common.truncate(known);
    }

    fn delete(&mut self, delete: &Delete) {
        let known = self.common.len();
        self.with(delete.with.as_ref());
        if delete.targets.is_empty() {
            self.table_ref(&delete.from, "DELETE");
        } else {
            self.table_ref(&delete.from, "SELECT");
            self.delete_targets(delete);
        }
        delete.filter.iter().for_each(|expr| self.expr(expr));
        delete.order.iter().for_each(|item| self.expr(&item.expr));
        self.common.truncate(known);
    }

    /// Targets may be aliases; those are looked up in FROM.
    fn delete_targets(&mut self, delete: &Delete) {
        for target in &delete.targets {
            match aliased(&delete.from, &target.name) {
                Some(table) => self.table(&table.clone(), "DELETE"),
                None => self.table(target, "DELETE"),
            }
        }
    }

    /// Subqueries of an expression.
    fn expr(&mut self, expr: &AstExpr) {
        match expr {
            AstExpr::Subquery(query) | AstExpr::Exists(query, _) => self.query(query),
            AstExpr::InSubquery(_, query, _) | AstExpr::Quantified(_, _, _, query) => self.query(query),
            _ => {}
        }
        let mut children = Vec::new();
        expr.for_each_child(&mut |child| children.push(child));
        children.into_iter().for_each(|child| self.expr(child));
    }
}

/// The privilege that a use of columns needs.
fn verb(kind: UseKind) -> &'static str {
    match kind {
        UseKind::Read => "SELECT",
        UseKind::Insert => "INSERT",
        UseKind::Update => "UPDATE",
        UseKind::Delete => "DELETE",
    }
}

impl Requirement {
    fn is_for(&self, schema: &str, table: &str, name: &str) -> bool {
        self.name == name && self.schema == schema && self.table == table
    }
}

/// The table that an alias stands for.
fn aliased<'t>(from: &'t TableRef, alias: &str) -> Option<&'t TableName> {
    match from {
        TableRef::Table { name, alias: Some(known), .. } if known.eq_ignore_ascii_case(alias) => Some(name),
        TableRef::Join(join) => aliased(&join.left, alias).or_else(|| aliased(&join.right, alias)),
        _ => None,
    }
}
