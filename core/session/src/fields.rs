//! COM_FIELD_LIST: the columns of a table as column definitions.

use std::sync::Arc;

use aquifer_sql::ResultColumn;
use aquifer_sql::ast::TableName;
use aquifer_types::SqlResult;
use aquifer_wire::ColumnDef;

use crate::session::Session;
use crate::show::Named;

impl Session {
    /// COM_FIELD_LIST.
    pub(crate) fn list_fields(&mut self, table: &str, pattern: &str) {
        match self.fields_of(table, pattern) {
            Ok(fields) => {
                let state = self.state.server_state();
                self.channel.write_field_list(&fields, state);
            }
            Err(error) => self.answer_error(&error),
        }
    }

    fn fields_of(&self, table: &str, pattern: &str) -> SqlResult<Vec<(ColumnDef, Option<Vec<u8>>)>> {
        let name = TableName { schema: None, name: table.to_owned() };
        let (schema, named) = self.named_table(&name, "SELECT")?;
        let charset = self.encoding(crate::rows::Protocol::Text).charset;
        let names: Vec<(Arc<str>, aquifer_types::DataType)> = match &named {
            Named::Stored(table) => {
                table.columns.iter().map(|c| (Arc::clone(&c.name), c.data_type.clone())).collect()
            }
            Named::Virtual(table) => {
                table.columns.iter().map(|c| (Arc::clone(&c.name), c.data_type.clone())).collect()
            }
        };
        let pattern = pattern.to_lowercase();
        let wanted =
            |name: &str| pattern.is_empty() || aquifer_catalog::rights::like(&pattern, &name.to_lowercase());
        let columns: Vec<ResultColumn> = names
            .into_iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, data_type)| ResultColumn {
                schema: schema.as_str().into(),
                table: table.into(),
                org_table: table.into(),
                name: Arc::clone(&name),
                org_name: name,
                data_type,
                flags: aquifer_sql::ColumnFlags::default(),
            })
            .collect();
        let defs = crate::rows::column_defs(&columns, charset);
        Ok(defs.into_iter().map(|def| (def, None)).collect())
    }
}
