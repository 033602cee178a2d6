//! Values as text.
use crate::{DataType, Value};
/// Appends a value as MySQL prints it; nothing for NULL. Strings are appended as they are, in the character set of
/// their type; all else is ASCII, except members of ENUM and SET, which are UTF-8.
pub fn write_text(value: &Value, ty: &DataType, out: &mut Vec<u8>) { let _ = (value, ty, out); }
