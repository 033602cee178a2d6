//! Values of system variables and the checks of SET.

use std::sync::Arc;

use aquifer_types::{DataType, SqlError, SqlMode, SqlResult, TypeKind, Value, Warnings};

use super::definition::{DefaultValue, Kind, Variable};
use crate::charset;

/// A value of a system variable. Booleans are 0 and 1.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum VariableValue {
    Null,
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Arc<str>),
}

impl VariableValue {
    /// A text value.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }

    /// The number, 0 where there is none.
    #[must_use]
    pub fn as_u64(&self) -> u64 {
        match self {
            Self::UInt(value) => *value,
            Self::Int(value) => u64::try_from(*value).unwrap_or(0),
            _ => 0,
        }
    }

    /// Whether a boolean variable is ON.
    #[must_use]
    pub fn is_on(&self) -> bool {
        matches!(self, Self::Int(1))
    }

    /// The text, empty where there is none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    /// As SHOW VARIABLES prints it.
    #[must_use]
    pub fn show(&self, variable: &Variable) -> String {
        match (self, variable.kind) {
            (Self::Int(value), Kind::Bool) => if *value == 0 { "OFF" } else { "ON" }.to_owned(),
            (Self::Int(value), _) => value.to_string(),
            (Self::UInt(value), _) => value.to_string(),
            (Self::Double(value), _) => format!("{value:.6}"),
            (Self::Text(text), _) => text.to_string(),
            (Self::Null, _) => String::new(),
        }
    }

    /// As SELECT @@name gives it, with its type.
    #[must_use]
    pub fn to_sql(&self, variable: &Variable) -> (Value, DataType) {
        let value = match self {
            Self::Null => Value::Null,
            Self::Int(value) => Value::Int(*value),
            Self::UInt(value) => Value::UInt(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Text(text) => Value::Bytes(bytes::Bytes::copy_from_slice(text.as_bytes())),
        };
        let ty = match variable.kind {
            Kind::Bool | Kind::Int { .. } => DataType::of(TypeKind::BigInt),
            Kind::UInt { .. } => DataType::bigint_unsigned(),
            Kind::Double { .. } => DataType::of(TypeKind::Double),
            _ => DataType::varchar(u32::try_from(self.as_str().chars().count()).unwrap_or(u32::MAX)),
        };
        (value, ty)
    }
}

impl Variable {
    /// Its default as a value.
    #[must_use]
    pub fn default_value(&self) -> VariableValue {
        match self.default {
            DefaultValue::Null => VariableValue::Null,
            DefaultValue::Int(value) => VariableValue::Int(value),
            DefaultValue::UInt(value) => VariableValue::UInt(value),
            DefaultValue::Double(value) => VariableValue::Double(value),
            DefaultValue::Text(text) => VariableValue::text(text),
        }
    }

    /// The value that SET gives the variable for a value of SQL.
    ///
    /// # Errors
    /// 1231 (wrong value), 1232 (wrong type), 1115 and 1273 (unknown character set, collation), 1298
    /// (unknown time zone). A number out of bounds is brought into them with warning 1292.
    pub fn check(
        &self,
        value: &Value,
        ty: &DataType,
        previous: &VariableValue,
        warnings: &mut Warnings,
    ) -> SqlResult<VariableValue> {
        match self.kind {
            Kind::Bool => self.check_bool(value),
            Kind::Int { min, max } => self.check_int(value, min, max, warnings),
            Kind::UInt { min, max, step } => self.check_uint(value, min, max, step, warnings),
            Kind::Double { min, max } => self.check_double(value, ty, min, max, warnings),
            Kind::Text => match value {
                Value::Null => Err(self.wrong_value("NULL")),
                _ => Ok(VariableValue::text(&self.text_of(value)?)),
            },
            Kind::NullableText => match value {
                Value::Null => Ok(VariableValue::Null),
                _ => Ok(VariableValue::text(&self.text_of(value)?)),
            },
            Kind::Choice(options) => self.check_choice(value, options),
            Kind::Flags(options) => self.check_flags(value, options),
            Kind::Switches(names) => self.check_switches(value, names, previous),
            Kind::SqlMode => self.check_sql_mode(value),
            Kind::NullableCharset if value.is_null() => Ok(VariableValue::Null),
            Kind::Charset | Kind::NullableCharset => self.check_charset(value),
            Kind::Collation => self.check_collation(value),
            Kind::TimeZone => self.check_time_zone(value),
        }
    }

    fn wrong_value(&self, shown: &str) -> SqlError {
        SqlError::new(1231, format!("Variable '{}' can't be set to the value of '{shown}'", self.name))
    }

    fn wrong_type(&self) -> SqlError {
        SqlError::new(1232, format!("Incorrect argument type to variable '{}'", self.name))
    }

    fn text_of(&self, value: &Value) -> SqlResult<String> {
        match value {
            Value::Bytes(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            _ => Err(self.wrong_type()),
        }
    }

    fn check_bool(&self, value: &Value) -> SqlResult<VariableValue> {
        let on = match value {
            Value::Int(0) | Value::UInt(0) => false,
            Value::Int(1) | Value::UInt(1) => true,
            Value::Int(other) => return Err(self.wrong_value(&other.to_string())),
            Value::UInt(other) => return Err(self.wrong_value(&other.to_string())),
            Value::Null => return Err(self.wrong_value("NULL")),
            Value::Bytes(_) => {
                let text = self.text_of(value)?;
                match text.to_ascii_uppercase().as_str() {
                    "ON" | "TRUE" | "1" => true,
                    "OFF" | "FALSE" | "0" => false,
                    _ => return Err(self.wrong_value(&text)),
                }
            }
            _ => return Err(self.wrong_type()),
        };
        Ok(VariableValue::Int(i64::from(on)))
    }

    fn truncated(&self, shown: &str, warnings: &mut Warnings) {
        warnings.warn(1292, format!("Truncated incorrect {} value: '{shown}'", self.name));
    }

    fn check_int(
        &self,
        value: &Value,
        min: i64,
        max: i64,
        warnings: &mut Warnings,
    ) -> SqlResult<VariableValue> {
        let (number, shown) = match value {
            Value::Int(number) => (*number, number.to_string()),
            Value::UInt(number) => (i64::try_from(*number).unwrap_or(i64::MAX), number.to_string()),
            _ => return Err(self.wrong_type()),
        };
        let legal = number.clamp(min, max);
        if legal != number {
            self.truncated(&shown, warnings);
        }
        Ok(VariableValue::Int(legal))
    }

    fn check_uint(
        &self,
        value: &Value,
        min: u64,
        max: u64,
        step: u64,
        warnings: &mut Warnings,
    ) -> SqlResult<VariableValue> {
        let (number, shown) = match value {
            Value::Int(number) => (u64::try_from(*number).unwrap_or(0), number.to_string()),
            Value::UInt(number) => (*number, number.to_string()),
            _ => return Err(self.wrong_type()),
        };
        let stepped = number.clamp(min, max) / step * step;
        let legal = stepped.max(min);
        if legal.to_string() != shown {
            self.truncated(&shown, warnings);
        }
        Ok(VariableValue::UInt(legal))
    }

    fn check_double(
        &self,
        value: &Value,
        ty: &DataType,
        min: f64,
        max: f64,
        warnings: &mut Warnings,
    ) -> SqlResult<VariableValue> {
        if matches!(value, Value::Null | Value::Bytes(_)) {
            return Err(self.wrong_type());
        }
        let mut text = Vec::new();
        aquifer_types::text::write_text(value, ty, &mut text);
        let shown = String::from_utf8_lossy(&text).into_owned();
        let number: f64 = shown.trim().parse().map_err(|_| self.wrong_type())?;
        let legal = number.clamp(min, max);
        if (legal - number).abs() > f64::EPSILON {
            self.truncated(&shown, warnings);
        }
        Ok(VariableValue::Double(legal))
    }

    fn check_choice(&self, value: &Value, options: &[&str]) -> SqlResult<VariableValue> {
        let picked = match value {
            Value::Null => return Err(self.wrong_value("NULL")),
            Value::Bytes(_) => {
                let text = self.text_of(value)?;
                let found = options.iter().find(|option| option.eq_ignore_ascii_case(&text));
                let boolean = || match text.to_ascii_uppercase().as_str() {
                    "TRUE" => options.iter().find(|option| **option == "ON"),
                    "FALSE" => options.iter().find(|option| **option == "OFF"),
                    _ => None,
                };
                found.or_else(boolean).ok_or_else(|| self.wrong_value(&text))?
            }
            Value::Int(_) | Value::UInt(_) => {
                let (number, shown) = integer(value);
                let position = number.and_then(|number| usize::try_from(number).ok());
                position.and_then(|at| options.get(at)).ok_or_else(|| self.wrong_value(&shown))?
            }
            _ => return Err(self.wrong_type()),
        };
        Ok(VariableValue::text(picked))
    }

    fn check_flags(&self, value: &Value, options: &[&str]) -> SqlResult<VariableValue> {
        if value.is_null() {
            return Err(self.wrong_value("NULL"));
        }
        let text = self.text_of(value)?;
        let mut picked = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if !options.iter().any(|option| option.eq_ignore_ascii_case(part)) {
                return Err(self.wrong_value(part));
            }
            picked.push(part.to_ascii_uppercase());
        }
        let ordered: Vec<&str> =
            options.iter().copied().filter(|option| picked.iter().any(|p| p == option)).collect();
        Ok(VariableValue::text(&ordered.join(",")))
    }

    fn check_switches(
        &self,
        value: &Value,
        names: &[&str],
        previous: &VariableValue,
    ) -> SqlResult<VariableValue> {
        if value.is_null() {
            return Err(self.wrong_value("NULL"));
        }
        let text = self.text_of(value)?;
        let mut current = switches(previous.as_str());
        let defaults = match self.default {
            DefaultValue::Text(text) => switches(text),
            _ => Vec::new(),
        };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if part.eq_ignore_ascii_case("default") {
                current.clone_from(&defaults);
                continue;
            }
            let (name, state) = part.split_once('=').ok_or_else(|| self.wrong_value(part))?;
            let (name, state) = (name.trim().to_ascii_lowercase(), state.trim().to_ascii_lowercase());
            let known = names.contains(&name.as_str());
            let state = match state.as_str() {
                "on" | "off" if known => state,
                "default" if known => find_switch(&defaults, &name),
                _ => return Err(self.wrong_value(part)),
            };
            match current.iter_mut().find(|(known, _)| *known == name) {
                Some(entry) => entry.1 = state,
                None => current.push((name, state)),
            }
        }
        let pairs: Vec<String> = current.iter().map(|(name, state)| format!("{name}={state}")).collect();
        Ok(VariableValue::text(&pairs.join(",")))
    }

    fn check_sql_mode(&self, value: &Value) -> SqlResult<VariableValue> {
        match value {
            Value::Null => Err(self.wrong_value("NULL")),
            Value::Int(_) | Value::UInt(_) => {
                let (number, shown) = integer(value);
                let mode = number.and_then(crate::charset::sql_mode_of_bits);
                let mode = mode.ok_or_else(|| self.wrong_value(&shown))?;
                Ok(VariableValue::text(&mode.to_string()))
            }
            _ => {
                let mode = SqlMode::parse(&self.text_of(value)?)?;
                Ok(VariableValue::text(&mode.to_string()))
            }
        }
    }

    fn check_charset(&self, value: &Value) -> SqlResult<VariableValue> {
        let name = match value {
            Value::Null => return Err(self.wrong_value("NULL")),
            Value::Int(_) | Value::UInt(_) => {
                let (number, shown) = integer(value);
                let found = number.and_then(charset::charset_of_collation_id);
                found.ok_or_else(|| SqlError::new(1115, format!("Unknown character set: '{shown}'")))?
            }
            _ => charset::charset_named(&self.text_of(value)?)?,
        };
        let refused = ["utf16", "utf16le", "utf32", "ucs2"];
        if self.name == "character_set_client" && refused.contains(&name) {
            return Err(self.wrong_value(name));
        }
        Ok(VariableValue::text(name))
    }

    fn check_collation(&self, value: &Value) -> SqlResult<VariableValue> {
        let name = match value {
            Value::Null => return Err(self.wrong_value("NULL")),
            Value::Int(_) | Value::UInt(_) => {
                let (number, shown) = integer(value);
                let found = number.and_then(charset::collation_of_id);
                found.ok_or_else(|| SqlError::new(1273, format!("Unknown collation: '{shown}'")))?
            }
            _ => charset::collation_named(&self.text_of(value)?)?.1,
        };
        Ok(VariableValue::text(name))
    }

    fn check_time_zone(&self, value: &Value) -> SqlResult<VariableValue> {
        let unknown = |text: &str| SqlError::new(1298, format!("Unknown or incorrect time zone: '{text}'"));
        let text = match value {
            Value::Null => return Err(unknown("NULL")),
            _ => self.text_of(value)?,
        };
        if text.eq_ignore_ascii_case("SYSTEM") {
            return Ok(VariableValue::text("SYSTEM"));
        }
        match aquifer_types::temporal::TimeZone::parse(&text) {
            Some(_) => Ok(VariableValue::text(&text)),
            None => Err(unknown(&text)),
        }
    }
}

fn integer(value: &Value) -> (Option<u64>, String) {
    match value {
        Value::Int(number) => (u64::try_from(*number).ok(), number.to_string()),
        Value::UInt(number) => (Some(*number), number.to_string()),
        _ => (None, String::new()),
    }
}

fn switches(text: &str) -> Vec<(String, String)> {
    text.split(',')
        .filter_map(|part| part.split_once('='))
        .map(|(name, state)| (name.to_owned(), state.to_owned()))
        .collect()
}

fn find_switch(switches: &[(String, String)], name: &str) -> String {
    let found = switches.iter().find(|(known, _)| known == name);
    found.map_or_else(|| "off".to_owned(), |(_, state)| state.clone())
}
