//! Batches of rows.

use aquifer_types::Value;

/// A batch of rows of one width, which may be 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub width: usize,
    pub count: usize,
    pub values: Vec<Value>,
}

impl Rows {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, count: 0, values: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: &[Value]) {
        self.values.extend_from_slice(row);
        self.count += 1;
    }

    /// Adds a row whose values in `moved` are not needed any more.
    pub(crate) fn push_moving(&mut self, row: &mut [Value], moved: std::ops::Range<usize>) {
        self.values.extend_from_slice(&row[..moved.start]);
        self.values.extend(row[moved.clone()].iter_mut().map(take));
        self.values.extend_from_slice(&row[moved.end..]);
        self.count += 1;
    }

    pub(crate) fn row(&self, number: usize) -> &[Value] {
        &self.values[number * self.width..(number + 1) * self.width]
    }

    /// Itself, unless it is empty.
    pub(crate) fn not_empty(self) -> Option<Self> {
        (self.count > 0).then_some(self)
    }
}

/// The value, leaving NULL.
pub(crate) fn take(value: &mut Value) -> Value {
    std::mem::replace(value, Value::Null)
}
