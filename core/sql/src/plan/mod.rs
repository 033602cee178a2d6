//! From statements to plans.

use std::sync::Arc;

use aquifer_catalog::Catalog;
use aquifer_types::{DataType, Lsn, SqlResult, TypeKind, Value};

use crate::ast::{Statement, VariableScope};
use crate::expr::{BindContext, UserVariables};
use crate::result::ResultColumn;
use crate::virtual_table::VirtualTables;

/// The session's system variables, for `@@name`.
pub trait SystemVariables {
    /// Value and type.
    ///
    /// # Errors
    /// 1193 for an unknown name, 1238 for a scope it does not have.
    fn get(&self, scope: VariableScope, name: &str) -> SqlResult<(Value, DataType)>;
}

/// What planning depends on.
pub struct PlanEnv<'a> {
    /// The catalog.
    pub catalog: &'a Arc<Catalog>,
    /// Settings; `database` is the current one.
    pub bind: &'a BindContext,
    /// `@@name`.
    pub variables: &'a dyn SystemVariables,
    /// `@name`, for their types.
    pub user_variables: &'a UserVariables,
    /// Virtual tables.
    pub virtual_tables: &'a dyn VirtualTables,
    /// Types of parameters as given at execution ([`param_type`]); parameters beyond its end, as at
    /// PREPARE, are taken as text.
    pub param_types: &'a [DataType],
}

/// An immutable, parameterised plan.
pub struct Plan {
    columns: Option<Arc<[ResultColumn]>>,
    parameters: usize,
    reusable: bool,
    read_only: bool,
    catalog: Lsn,
}

impl Plan {
    /// Columns of its result set; `None` when it gives none.
    #[must_use]
    pub fn columns(&self) -> Option<&Arc<[ResultColumn]>> {
        self.columns.as_ref()
    }

    /// Number of parameters that an execution must give.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Whether it may be executed again later; otherwise it holds values of variables and must be made
    /// anew each time.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// Whether it only reads: no locks, no writes.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Version of the catalog that it was made for.
    #[must_use]
    pub fn catalog_version(&self) -> Lsn {
        self.catalog
    }
}

/// The type a parameter is planned with when it has this value.
#[must_use]
pub fn param_type(value: &Value) -> DataType {
    DataType::of(param_kind(value))
}

/// The kind of [`param_type`].
#[must_use]
pub fn param_kind(value: &Value) -> TypeKind {
    match value {
        Value::Null => TypeKind::Null,
        Value::Int(_) => TypeKind::BigInt,
        Value::UInt(_) => TypeKind::BigInt,
        Value::Float(_) => TypeKind::Float,
        Value::Double(_) => TypeKind::Double,
        Value::Decimal(_) => TypeKind::Decimal,
        Value::Bytes(_) => TypeKind::VarChar,
        Value::Date(_) => TypeKind::Date,
        Value::Time(_) => TypeKind::Time,
        Value::DateTime(_) => TypeKind::DateTime,
    }
}

/// Plans a statement for which [`Statement::is_planned`] holds. Does not execute anything.
///
/// # Errors
/// Those of name resolution and typing: 1046, 1049, 1052, 1054, 1066, 1146, 1235, ….
pub fn prepare(statement: &Statement, env: &PlanEnv<'_>) -> SqlResult<Arc<Plan>> {
    let _ = (statement, env);
    todo!()
}
