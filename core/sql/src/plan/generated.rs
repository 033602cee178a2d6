//! Expressions in WHERE that an index holds: what a functional key part or an indexed generated column is computed from
//! is replaced by its column, so that the index serves the condition.

use aquifer_types::convert::is_identical;
use aquifer_types::{DataType, SqlResult, TypeKind};

use crate::expr::Expr;
use crate::plan::binder::Binder;
use crate::plan::scope::Scope;
use crate::plan::table_info::TableInfo;

impl Binder<'_> {
    /// Replaces in `conditions`, which are over the tables of `scope`, what columns of usable indexes are generated from.
    pub(super) fn use_generated(&mut self, scope: &Scope<'_>, conditions: &mut [Expr]) -> SqlResult<()> {
        let tables: Vec<_> = scope
            .whole_tables()
            .filter_map(|table| table.info.clone().map(|info| (table.offset, info)))
            .filter(|(_, info)| indexed_generated(info).next().is_some())
            .collect();
        for (offset, info) in tables {
            let wanted: Vec<usize> = indexed_generated(&info).collect();
            let generated = self.generated_columns(&info)?;
            for (position, mut expr) in
                generated.into_iter().filter(|(position, _)| wanted.contains(position))
            {
                let column = &info.table.columns[position];
                if !holds(&column.data_type, expr.data_type()) {
                    continue;
                }
                expr.map_columns(&mut |index| index + offset);
                let stored =
                    crate::expr::column(offset + position, column.data_type.clone(), column.nullable);
                for condition in conditions.iter_mut() {
                    self.replace(condition, &expr, &stored);
                }
            }
        }
        Ok(())
    }

    fn replace(&mut self, part: &mut Expr, expr: &Expr, column: &Expr) {
        let mut by_value = false;
        if self.is_same(part, expr, &mut by_value) {
            // Another value of the parameter may be another expression.
            self.reusable &= !by_value;
            *part = column.clone();
        } else if let Expr::Call(call) = part {
            call.args.iter_mut().for_each(|arg| self.replace(arg, expr, column));
        }
    }

    /// Whether `part` is the expression of a definition; `by_value` is set when a parameter's value decided it.
    fn is_same(&self, part: &Expr, expr: &Expr, by_value: &mut bool) -> bool {
        match (part, expr) {
            (Expr::Param { index, .. }, Expr::Literal { value, .. }) => {
                let given = self.env.first.and_then(|first| first.borrow().params.get(*index).cloned());
                *by_value = true;
                given.is_some_and(|given| is_identical(&given, value))
            }
            (Expr::Call(a), Expr::Call(b)) => {
                a.does_same(b)
                    && is_alike(part.data_type(), expr.data_type())
                    && a.args.len() == b.args.len()
                    && a.args.iter().zip(&b.args).all(|(a, b)| self.is_same(a, b, by_value))
            }
            _ => part == expr,
        }
    }
}

/// Positions of generated columns that usable indexes have.
fn indexed_generated(info: &TableInfo) -> impl Iterator<Item = usize> {
    let columns = info.indexes.iter().filter(|index| index.is_usable).flat_map(|index| &index.columns);
    columns.copied().filter(|position| info.table.columns[*position].generated.is_some())
}

/// Whether values of two types compare alike.
fn is_alike(one: &DataType, other: &DataType) -> bool {
    let key = |t: &DataType| (t.kind, t.unsigned, t.decimals, t.collation);
    key(one) == key(other)
}

/// Whether a column has the values of an expression as they are.
fn holds(column: &DataType, expr: &DataType) -> bool {
    let cuts = matches!(
        column.kind,
        TypeKind::Char | TypeKind::VarChar | TypeKind::Binary | TypeKind::VarBinary | TypeKind::Decimal
    );
    is_alike(column, expr) && !(cuts && column.length < expr.length)
}
