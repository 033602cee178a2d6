//! The node's values.

use aquifer_types::{DataType, TypeKind, Value, Warnings};

use super::{Kind, Scope, VARIABLES, Variable, VariableId, VariableValue};
use crate::registry::SessionSettings;

/// The global value of every variable; for those that only sessions have, what a session begins with.
#[derive(Clone, Debug)]
pub struct GlobalVariables {
    values: Vec<VariableValue>,
}

impl GlobalVariables {
    /// The defaults, changed by what the node was configured with.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn new(settings: &SessionSettings) -> Result<Self, String> {
        let mut globals = Self { values: VARIABLES.iter().map(Variable::default_value).collect() };
        globals.configure("version", &settings.version)?;
        for (name, value) in &settings.variables {
            globals.configure(name, value)?;
        }
        Ok(globals)
    }

    /// Gives a variable a value that comes as text, from a configuration or from a persisted row.
    /// Read-only variables may be set so.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn configure(&mut self, name: &str, text: &str) -> Result<(), String> {
        let id = VariableId::named(name).ok_or_else(|| format!("unknown system variable {name:?}"))?;
        let definition = id.definition();
        let (value, ty) =
            from_text(definition, text).ok_or_else(|| format!("value {text:?} of {name} is not a number"))?;
        let mut warnings = Warnings::default();
        let checked = definition
            .check(&value, &ty, self.get(id), &mut warnings)
            .map_err(|error| error.message().to_owned())?;
        match warnings.entries().first() {
            Some(warning) => Err(warning.message.clone()),
            None => {
                self.set(id, checked);
                Ok(())
            }
        }
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, id: VariableId) -> &VariableValue {
        &self.values[id.index()]
    }

    /// Replaces a value that has been checked.
    pub fn set(&mut self, id: VariableId, value: VariableValue) {
        self.values[id.index()] = value;
    }

    /// Variables that have a global value, by name.
    pub fn visible(&self) -> impl Iterator<Item = (&'static Variable, &VariableValue)> {
        VARIABLES.iter().zip(&self.values).filter(|(variable, _)| variable.scope != Scope::Session)
    }
}

/// A configured text as SQL would have it; `None` when a number is needed and there is none.
fn from_text(variable: &Variable, text: &str) -> Option<(Value, DataType)> {
    let plain = || (Value::Bytes(bytes::Bytes::copy_from_slice(text.as_bytes())), DataType::varchar(64));
    Some(match variable.kind {
        Kind::Int { .. } => (Value::Int(text.parse().ok()?), DataType::of(TypeKind::BigInt)),
        Kind::UInt { .. } => (Value::UInt(text.parse().ok()?), DataType::bigint_unsigned()),
        Kind::Double { .. } => (Value::Double(text.parse().ok()?), DataType::of(TypeKind::Double)),
        _ => plain(),
    })
}
