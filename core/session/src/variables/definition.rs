//! What a system variable is: name, scope, type, default, legal values.

/// Where a variable has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One value for the node.
    Global,
    /// A value in each session, none for the node.
    Session,
    /// A value in each session, taken from the node's when the session begins.
    Both,
}

/// The type of a variable, with its legal values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// ON or OFF.
    Bool,
    /// A signed integer, both bounds inclusive.
    Int {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// An unsigned integer, both bounds inclusive, rounded down to a multiple of `step`.
    UInt {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
        /// Granularity.
        step: u64,
    },
    /// A floating-point number, both bounds inclusive.
    Double {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// Any text.
    Text,
    /// Any text or NULL.
    NullableText,
    /// One of a list; a number picks by position from 0.
    Choice(&'static [&'static str]),
    /// A comma-separated subset of a list.
    Flags(&'static [&'static str]),
    /// `name=on|off|default` pairs, as `optimizer_switch` has them.
    Switches(&'static [&'static str]),
    /// `sql_mode`.
    SqlMode,
    /// The name or number of a character set.
    Charset,
    /// The name or number of a character set, or NULL.
    NullableCharset,
    /// The name or number of a collation.
    Collation,
    /// `SYSTEM`, an offset or a named zone.
    TimeZone,
}

/// The value that a variable has in a node that nobody has configured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum DefaultValue {
    Null,
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(&'static str),
}

/// Whether SET may change a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// SET works.
    Dynamic,
    /// Error 1238.
    ReadOnly,
    /// The global value can be set, the session's is read-only.
    GlobalOnly,
}

/// One system variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Lower-case name.
    pub name: &'static str,
    /// Where it has a value.
    pub scope: Scope,
    /// Its type.
    pub kind: Kind,
    /// Its value unless configured.
    pub default: DefaultValue,
    /// Whether it can be set.
    pub access: Access,
}

/// One value for the node.
pub(super) const G: Scope = Scope::Global;
/// Only in sessions.
pub(super) const S: Scope = Scope::Session;
/// In the node and in sessions.
pub(super) const B: Scope = Scope::Both;

const fn variable(name: &'static str, scope: Scope, kind: Kind, default: DefaultValue) -> Variable {
    Variable { name, scope, kind, default, access: Access::Dynamic }
}

/// A variable that is ON unless said otherwise.
pub(super) const fn on(name: &'static str, scope: Scope) -> Variable {
    variable(name, scope, Kind::Bool, DefaultValue::Int(1))
}

/// A variable that is OFF unless said otherwise.
pub(super) const fn off(name: &'static str, scope: Scope) -> Variable {
    variable(name, scope, Kind::Bool, DefaultValue::Int(0))
}

/// An unsigned integer with its default, minimum and maximum.
pub(super) const fn uint(name: &'static str, scope: Scope, default: u64, min: u64, max: u64) -> Variable {
    variable(name, scope, Kind::UInt { min, max, step: 1 }, DefaultValue::UInt(default))
}

/// An unsigned integer in multiples of 1,024 with its default, minimum and maximum.
pub(super) const fn kib(name: &'static str, scope: Scope, default: u64, min: u64, max: u64) -> Variable {
    variable(name, scope, Kind::UInt { min, max, step: 1024 }, DefaultValue::UInt(default))
}

/// A signed integer with its default, minimum and maximum.
pub(super) const fn int(name: &'static str, scope: Scope, default: i64, min: i64, max: i64) -> Variable {
    variable(name, scope, Kind::Int { min, max }, DefaultValue::Int(default))
}

/// A floating-point number with its default, minimum and maximum.
pub(super) const fn double(name: &'static str, scope: Scope, default: f64, min: f64, max: f64) -> Variable {
    variable(name, scope, Kind::Double { min, max }, DefaultValue::Double(default))
}

/// A text.
pub(super) const fn text(name: &'static str, scope: Scope, default: &'static str) -> Variable {
    variable(name, scope, Kind::Text, DefaultValue::Text(default))
}

/// A text that may be NULL.
pub(super) const fn nullable(name: &'static str, scope: Scope) -> Variable {
    variable(name, scope, Kind::NullableText, DefaultValue::Null)
}

/// One of a list.
pub(super) const fn choice(
    name: &'static str,
    scope: Scope,
    default: &'static str,
    options: &'static [&'static str],
) -> Variable {
    variable(name, scope, Kind::Choice(options), DefaultValue::Text(default))
}

/// A subset of a list.
pub(super) const fn flags(
    name: &'static str,
    scope: Scope,
    default: &'static str,
    options: &'static [&'static str],
) -> Variable {
    variable(name, scope, Kind::Flags(options), DefaultValue::Text(default))
}

/// A variable of one of the special kinds.
pub(super) const fn special(name: &'static str, scope: Scope, kind: Kind, default: &'static str) -> Variable {
    variable(name, scope, kind, DefaultValue::Text(default))
}

impl Variable {
    /// SET answers 1238.
    pub(super) const fn fixed(self) -> Self {
        Self { access: Access::ReadOnly, ..self }
    }

    /// SET SESSION answers 1238; the session keeps the global value of its beginning.
    pub(super) const fn session_fixed(self) -> Self {
        Self { access: Access::GlobalOnly, ..self }
    }

    /// Whether SELECT and SHOW give a number, not a text.
    #[must_use]
    pub const fn is_numeric(&self) -> bool {
        matches!(self.kind, Kind::Bool | Kind::Int { .. } | Kind::UInt { .. } | Kind::Double { .. })
    }
}
