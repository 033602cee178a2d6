//! JSON_ARRAYAGG and JSON_OBJECTAGG: documents that grow as text.

use std::collections::BTreeMap;

use aquifer_types::json::Json;
use aquifer_types::{SqlError, SqlResult, Value};

use super::context::EvalContext;
use super::eval::eval_ref;
use super::ir::Expr;
use super::json::element;

/// The document of one group so far.
#[derive(Clone, Debug)]
pub(crate) enum JsonState {
    /// Elements, separated.
    Array(Vec<u8>),
    /// Members by the length of their names and their names, so that they are in order.
    Object(BTreeMap<(usize, String), Vec<u8>>, usize),
}

impl JsonState {
    /// Takes in a row: one value, or a name and a value.
    ///
    /// # Errors
    /// Those of the arguments; 3158 for a name that is NULL.
    pub(crate) fn add(&mut self, args: &[Expr], row: &[Value], ctx: &mut EvalContext) -> SqlResult<()> {
        let mut parts = Vec::with_capacity(2);
        for arg in args {
            let value = eval_ref(arg, row, ctx)?;
            parts.push(element(arg, &value)?);
        }
        let mut parts = parts.into_iter();
        match (self, parts.next(), parts.next()) {
            (Self::Array(text), Some(value), _) => {
                if !text.is_empty() {
                    text.extend_from_slice(b", ");
                }
                value.write(text);
            }
            (Self::Object(members, bytes), Some(name), Some(value)) => {
                let name = match name {
                    Json::Null => {
                        let text = "JSON documents may not contain NULL member names.";
                        return Err(SqlError::new(3158, text));
                    }
                    Json::String(name) => name,
                    other => String::from_utf8_lossy(&other.to_text()).into_owned(),
                };
                let text = value.to_text();
                *bytes += name.len() + text.len() + 64;
                members.insert((name.len(), name), text);
            }
            _ => {}
        }
        Ok(())
    }

    /// The document; NULL when there were no rows.
    pub(crate) fn finish(self) -> Value {
        let mut out = Vec::new();
        match self {
            Self::Array(text) if text.is_empty() => return Value::Null,
            Self::Object(members, _) if members.is_empty() => return Value::Null,
            Self::Array(text) => {
                out.push(b'[');
                out.extend_from_slice(&text);
                out.push(b']');
            }
            Self::Object(members, _) => {
                out.push(b'{');
                for ((_, name), value) in members {
                    if out.len() > 1 {
                        out.extend_from_slice(b", ");
                    }
                    Json::String(name).write(&mut out);
                    out.extend_from_slice(b": ");
                    out.extend_from_slice(&value);
                }
                out.push(b'}');
            }
        }
        Value::Bytes(out.into())
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Array(text) => text.len(),
            Self::Object(_, bytes) => *bytes,
        }
    }
}
