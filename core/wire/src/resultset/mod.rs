//! Result sets: column definitions, text rows, binary rows.
//!
//! A result set is [`Channel::write_columns`], rows, and [`Channel::write_result_end`]. Rows are written
//! straight into the outgoing buffer.
//!
//! [`Channel::write_columns`]: crate::Channel::write_columns
//! [`Channel::write_result_end`]: crate::Channel::write_result_end

mod binary;
mod column;
mod number;
mod text;

pub use binary::BinaryRow;
pub use column::{ColumnDef, ColumnsBlock, ResultCharset, TypeMeta};
pub use text::TextRow;
