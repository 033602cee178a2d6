//! SET.
//!
//! All values are computed first, then all assignments take effect together, so that
//! `SET @old = @@sql_mode, sql_mode = ''` and a list with a wrong value behave as in MySQL.

use aquifer_sql::ast::{SetItem, SetStatement, VariableScope};
use aquifer_types::{DataType, SqlError, SqlResult, Value, Warnings};

use crate::charset;
use crate::outcome::Failure;
use crate::session::Session;
use crate::variables::{Access, Scope, VariableId, VariableValue, ids};

/// An assignment whose value is known.
enum Assignment {
    Session(VariableId, VariableValue),
    Global(VariableId, VariableValue),
    /// Stored for the next start; the flag says whether it also takes effect now.
    Persist(VariableId, VariableValue, bool),
    User(String, Value, DataType),
}

impl Session {
    /// Runs SET.
    ///
    /// # Errors
    /// 1193, 1228, 1229, 1231, 1232, 1238, 1227 and those of expressions; then nothing was set.
    pub(crate) async fn run_set(&mut self, set: &SetStatement, params: &[Value]) -> Result<(), Failure> {
        match set {
            SetStatement::Variables(items) => self.set_variables(items, params).await,
            SetStatement::Transaction(scope, asked) => Ok(self.set_transaction(*scope, *asked)?),
            SetStatement::Password(account, password) => {
                Ok(self.set_password(account.as_ref(), password).await?)
            }
        }
    }

    async fn set_variables(&mut self, items: &[SetItem], params: &[Value]) -> Result<(), Failure> {
        let mut assignments = Vec::with_capacity(items.len());
        let mut warnings = Warnings::default();
        for item in items {
            match item {
                SetItem::User(name, expr) => {
                    let (value, data_type) = self.evaluate(expr, params).await?;
                    assignments.push(Assignment::User(name.clone(), value, data_type));
                }
                SetItem::System(scope, name, expr) => {
                    let value = match expr {
                        Some(expr) => Some(self.evaluate(expr, params).await?),
                        None => None,
                    };
                    let assignment = self.assignment(*scope, name, value, &mut warnings)?;
                    self.add_companions(&assignment, &mut assignments);
                    assignments.push(assignment);
                }
                SetItem::Names(names) => assignments.extend(names_assignments(names.as_ref())?),
                SetItem::CharacterSet(name) => {
                    assignments.extend(self.charset_assignments(name.as_deref())?);
                }
            }
        }
        self.state.warnings = warnings;
        self.apply(assignments).await
    }

    /// Checks one assignment of a system variable.
    fn assignment(
        &self,
        scope: VariableScope,
        name: &str,
        value: Option<(Value, DataType)>,
        warnings: &mut Warnings,
    ) -> SqlResult<Assignment> {
        let unknown = || SqlError::new(1193, format!("Unknown system variable '{name}'"));
        let id = VariableId::named(name).ok_or_else(unknown)?;
        let definition = id.definition();
        let global =
            matches!(scope, VariableScope::Global | VariableScope::Persist | VariableScope::PersistOnly);
        self.check_settable(id, global, scope)?;
        let globals = self.host.registry.globals();
        let checked = match value {
            Some((value, data_type)) => {
                let previous = if global { globals.get(id) } else { self.state.variables.get(id) };
                definition.check(&value, &data_type, previous, warnings)?
            }
            None if global || definition.scope == Scope::Session => definition.default_value(),
            None => globals.get(id).clone(),
        };
        if DEFAULT_ONLY.contains(&definition.name) && checked != definition.default_value() {
            let shown = checked.show(definition);
            return Err(SqlError::not_supported(&format!("{} = {shown}", definition.name)));
        }
        if id == ids::MANDATORY_ROLES {
            self.check_mandatory_roles(checked.as_str())?;
        }
        Ok(match scope {
            VariableScope::Persist => Assignment::Persist(id, checked, true),
            VariableScope::PersistOnly => Assignment::Persist(id, checked, false),
            VariableScope::Global => Assignment::Global(id, checked),
            VariableScope::Default | VariableScope::Session => Assignment::Session(id, checked),
        })
    }

    fn check_settable(&self, id: VariableId, global: bool, scope: VariableScope) -> SqlResult<()> {
        let definition = id.definition();
        let name = definition.name;
        let error = |code, text: String| Err(SqlError::new(code, text));
        match (definition.access, definition.scope) {
            (Access::ReadOnly, _) if scope != VariableScope::PersistOnly => {
                return error(1238, format!("Variable '{name}' is a read only variable"));
            }
            (_, Scope::Session) if global => {
                return error(
                    1228,
                    format!("Variable '{name}' is a SESSION variable and can't be used with SET GLOBAL"),
                );
            }
            (_, Scope::Global) if !global => {
                return error(
                    1229,
                    format!("Variable '{name}' is a GLOBAL variable and should be set with SET GLOBAL"),
                );
            }
            (Access::GlobalOnly, _) if !global => {
                let text =
                    format!("SESSION variable '{name}' is read-only. Use SET GLOBAL to assign the value");
                return error(1238, text);
            }
            _ => {}
        }
        if global {
            self.need_global("SUPER or SYSTEM_VARIABLES_ADMIN", "SYSTEM_VARIABLES_ADMIN")?;
        }
        let changing = [ids::TRANSACTION_ISOLATION, ids::TRANSACTION_READ_ONLY].contains(&id);
        let explicit = self.state.transaction.as_ref().is_some_and(|open| open.explicit);
        if changing && scope == VariableScope::Default && explicit {
            // SET SESSION is allowed here, and takes effect with the next transaction.
            return Ok(());
        }
        Ok(())
    }

    /// A collation brings its character set along, and the other way round.
    fn add_companions(&self, assignment: &Assignment, assignments: &mut Vec<Assignment>) {
        const PAIRS: [(VariableId, VariableId); 3] = [
            (ids::CHARACTER_SET_CONNECTION, ids::COLLATION_CONNECTION),
            (ids::CHARACTER_SET_DATABASE, ids::COLLATION_DATABASE),
            (ids::CHARACTER_SET_SERVER, ids::COLLATION_SERVER),
        ];
        let (id, value, global) = match assignment {
            Assignment::Session(id, value) => (*id, value, false),
            Assignment::Global(id, value) => (*id, value, true),
            _ => return,
        };
        let companion = PAIRS.iter().find_map(|(set, collation)| {
            if id == *set {
                return Some((*collation, charset::default_collation(value.as_str())));
            }
            let found =
                (id == *collation).then(|| charset::collation_named(value.as_str()).ok()).flatten()?;
            Some((*set, charset::charset_of(found.0).name))
        });
        if let Some((id, name)) = companion {
            let value = VariableValue::text(name);
            assignments.push(if global {
                Assignment::Global(id, value)
            } else {
                Assignment::Session(id, value)
            });
        }
    }

    /// SET CHARACTER SET: the connection takes the character set of the database.
    fn charset_assignments(&self, name: Option<&str>) -> SqlResult<Vec<Assignment>> {
        let name = charset::charset_named(name.unwrap_or("utf8mb4"))?;
        let of_database = |id| self.state.variables.get(id).clone();
        Ok(vec![
            Assignment::Session(ids::CHARACTER_SET_CLIENT, VariableValue::text(name)),
            Assignment::Session(ids::CHARACTER_SET_RESULTS, VariableValue::text(name)),
            Assignment::Session(ids::CHARACTER_SET_CONNECTION, of_database(ids::CHARACTER_SET_DATABASE)),
            Assignment::Session(ids::COLLATION_CONNECTION, of_database(ids::COLLATION_DATABASE)),
        ])
    }

    async fn apply(&mut self, assignments: Vec<Assignment>) -> Result<(), Failure> {
        let mut session = Vec::new();
        for assignment in assignments {
            match assignment {
                Assignment::Session(id, value) => session.push((id, value)),
                Assignment::Global(id, value) => self.set_global(id, value),
                Assignment::Persist(id, value, now) => {
                    let shown = value.show(id.definition());
                    if now {
                        self.set_global(id, value);
                    }
                    self.persist_variable(id.definition().name, &shown).await?;
                }
                Assignment::User(name, value, data_type) => {
                    self.state.user_variables.borrow_mut().set(&name, value, data_type);
                    self.note_state_change();
                }
            }
        }
        if session.is_empty() {
            return Ok(());
        }
        let was_autocommit = self.state.variables.effective().autocommit;
        for (id, value) in &session {
            self.apply_side_effect(*id, value);
        }
        self.track(&session);
        self.state.variables.set_all(session);
        self.apply_idle_limit();
        if !was_autocommit && self.state.variables.effective().autocommit {
            self.commit_open().await?;
        }
        Ok(())
    }

    fn set_global(&self, id: VariableId, value: VariableValue) {
        self.host.registry.change_globals(|globals| globals.set(id, value));
    }

    /// Values that are kept elsewhere too.
    fn apply_side_effect(&self, id: VariableId, value: &VariableValue) {
        if id == ids::LAST_INSERT_ID || id == ids::IDENTITY {
            self.state.facts.last_insert_id.set(value.as_u64());
        }
        if id == ids::INSERT_ID {
            self.state.facts.insert_id.set(value.as_u64());
        }
    }

    /// Tells a tracking client what has changed.
    fn track(&mut self, values: &[(VariableId, VariableValue)]) {
        let list = self.state.variables.get(ids::SESSION_TRACK_SYSTEM_VARIABLES).as_str().to_owned();
        let all = list.trim() == "*";
        for (id, value) in values {
            let name = id.definition().name;
            if all || list.split(',').any(|known| known.trim().eq_ignore_ascii_case(name)) {
                let shown = value.show(id.definition());
                self.state.changes().system_variables.push((name.to_owned(), shown));
            }
        }
        self.note_state_change();
    }

    fn note_state_change(&mut self) {
        if self.state.variables.effective().track_state {
            self.state.changes().state_changed = true;
        }
    }

    /// Error 1227 unless the account has a global privilege; `shown` names it in the message.
    ///
    /// # Errors
    /// 1227.
    pub(crate) fn need_global(&self, shown: &str, privilege: &str) -> SqlResult<()> {
        let needed = crate::access::privilege(privilege);
        let global = self.state.identity.as_ref().map(|identity| identity.rights.global);
        match global {
            Some(global) if global.contains(needed) || global.contains(crate::access::privilege("SUPER")) => {
                Ok(())
            }
            _ => Err(crate::access::need_global(shown)),
        }
    }
}

/// Variables whose other values would change results in ways that are not implemented: better an error
/// than a silent difference.
const DEFAULT_ONLY: [&str; 11] = [
    "default_collation_for_utf8mb4",
    "default_table_encryption",
    "explicit_defaults_for_timestamp",
    "gtid_next",
    "lc_time_names",
    "rand_seed1",
    "rand_seed2",
    "resultset_metadata",
    "session_track_transaction_info",
    "sql_auto_is_null",
    "sql_generate_invisible_primary_key",
];

/// SET NAMES.
fn names_assignments(names: Option<&(String, Option<String>)>) -> SqlResult<Vec<Assignment>> {
    let (set, collation) = match names {
        None => ("utf8mb4", None),
        Some((set, collation)) => (charset::charset_named(set)?, collation.as_deref()),
    };
    let collation = match collation.filter(|name| !name.eq_ignore_ascii_case("default")) {
        None => charset::default_collation(set),
        Some(name) => {
            let (found, name) = charset::collation_named(name)?;
            if charset::charset_of(found).name != set {
                let text = format!("COLLATION '{name}' is not valid for CHARACTER SET '{set}'");
                return Err(SqlError::new(1253, text));
            }
            name
        }
    };
    let set = VariableValue::text(set);
    Ok(vec![
        Assignment::Session(ids::CHARACTER_SET_CLIENT, set.clone()),
        Assignment::Session(ids::CHARACTER_SET_RESULTS, set.clone()),
        Assignment::Session(ids::CHARACTER_SET_CONNECTION, set),
        Assignment::Session(ids::COLLATION_CONNECTION, VariableValue::text(collation)),
    ])
}
