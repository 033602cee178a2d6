"""Schemas, data and statements, made from a seed.

Everything that is generated has one right answer: where SQL leaves a choice (which of equal strings represents a
group, which rows a LIMIT without order gives), the grammar does not go there. Strings are lower case and without
trailing spaces for that reason. It also keeps away from what MariaDB 10.11 gets wrong, as its own SELECT list shows:

* `x NOT BETWEEN column AND column` in WHERE loses rows when x is constant for the optimizer;
* `NOT (NOT (x < ALL (...)))` and its relatives count NULL as true;
* a remainder of zero keeps the sign of the dividend and is then less than zero;
* a decimal constant that is compared with a column is rounded to the column's type first;
* what is computed of a merged table is not NULL where an outer join has no row of it, unless its arguments make it so;
* an outer join whose WHERE calls FIELD or ELT with the outer column is made an inner one;
* sums of quotients are rounded row by row, or not, by the kind of grouping; a quotient that is DISTINCT is cut to the
  width of its type.
"""

import random

WORDS = ["", "a", "ab", "abc", "b", "ba", "zwei", "drei", "10", "7x", "-3", "1.5", "x y", "%", "a_b", "жю", "2024-02-29",
         "long word with spaces", "0"]
DATES = ["2024-02-29", "2023-12-31", "2000-01-01", "1999-11-30", "2024-07-15", "1970-01-02"]
TIMES = ["00:00:00", "23:59:59", "12:30:45", "06:07:08"]
INTEGERS = [0, 1, -1, 2, 3, 7, 10, 42, 100, 127, 255, 1000, 65535, -128]
DECIMALS = ["0.00", "1.50", "-2.25", "10.10", "99.99", "0.01", "12345.67"]

KINDS = {
    "int": ["INT", "SMALLINT", "BIGINT", "TINYINT", "INT UNSIGNED"],
    "dec": ["DECIMAL(10,2)", "DECIMAL(20,6)", "DECIMAL(5,1)"],
    "str": ["VARCHAR(30)", "CHAR(30)", "TEXT"],
    "date": ["DATE"],
    "dt": ["DATETIME"],
}


class Column:
    def __init__(self, name, kind, declared):
        self.name, self.kind, self.declared = name, kind, declared


class Table:
    def __init__(self, name, columns, keys):
        self.name, self.columns, self.keys = name, columns, keys

    def create(self):
        parts = ["id INT NOT NULL PRIMARY KEY"]
        parts += [f"{column.name} {column.declared}" for column in self.columns]
        parts += self.keys
        return f"CREATE TABLE {self.name} ({', '.join(parts)})"


class View(Table):
    """A view; `base` is the table that is changed through it, if it can be."""

    def __init__(self, name, columns, definition, base=None):
        super().__init__(name, columns, [])
        self.definition, self.base = definition, base

    def create(self):
        return f"CREATE VIEW {self.name} AS {self.definition}"


class Grammar:
    """Statements over tables and views of its own."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.tables = [self.table(f"t{number}") for number in (1, 2, 3)]
        self.next_id = 100
        self.views = [self.filtering_view("v1"), self.computing_view("v2"), self.joining_view("v3")]

    def pick(self, *options):
        return self.random.choice(options)

    def chance(self, percent):
        return self.random.randrange(100) < percent

    # ---- tables and data ---------------------------------------------------------------------------

    def table(self, name):
        kinds = ["int", "str", "dec", "date", "dt"] + [self.pick(*KINDS) for _ in range(self.random.randrange(3))]
        columns = []
        for number, kind in enumerate(kinds):
            declared = self.pick(*KINDS[kind])
            if self.chance(15) and declared != "TEXT":
                declared += " NOT NULL DEFAULT " + self.value(kind).lstrip("-")
            columns.append(Column(f"{kind}{number}", kind, declared))
        keys = []
        for column in columns:
            if self.chance(40):
                prefix = "(10)" if column.declared.startswith("TEXT") else ""
                keys.append(f"KEY k_{column.name} ({column.name}{prefix})")
        return Table(name, columns, keys)

    def value(self, kind):
        value = {
            "int": lambda: str(self.pick(*INTEGERS[:10])), "dec": lambda: self.pick(*DECIMALS[:-1]),
            "str": lambda: f"'{self.pick(*WORDS)}'", "date": lambda: f"'{self.pick(*DATES)}'",
            "dt": lambda: f"'{self.pick(*DATES)} {self.pick(*TIMES)}'",
        }
        return value[kind]()

    def row(self, table, number):
        values = [str(number)]
        for column in table.columns:
            null = self.chance(20) and "NOT NULL" not in column.declared
            value = self.value(column.kind)
            if column.kind == "int" and "UNSIGNED" in column.declared:
                value = value.lstrip("-")
            values.append("NULL" if null else value)
        return f"({', '.join(values)})"

    def filtering_view(self, name):
        """All columns of some rows of a table; changes go through it."""
        base = self.random.choice(self.tables)
        items = ", ".join(["id", *(column.name for column in base.columns)])
        check = " WITH CHECK OPTION" if self.chance(60) else ""
        where = self.condition(self.scope_of(base, base.name), 1)
        return View(name, base.columns, f"SELECT {items} FROM {base.name} WHERE {where}{check}", base)

    def computing_view(self, name):
        table = self.random.choice(self.tables)
        scope = self.scope_of(table, "i")
        columns = [Column("int0", "int", "BIGINT"), Column("str1", "str", "TEXT"), Column("date2", "date", "DATE"),
                   Column("dec3", "dec", "DECIMAL(20,6)"), Column("dt4", "dt", "DATETIME")]
        items = (f"i.id, ({self.column(scope, 'int')} + 7) AS int0, "
                 f"CONCAT({self.column(scope, 'str')}, 'x') AS str1, {self.column(scope, 'date')} AS date2, "
                 f"{self.column(scope, 'dec')} AS dec3, {self.column(scope, 'dt')} AS dt4")
        return View(name, columns, f"SELECT {items} FROM {table.name} i WHERE {self.condition(scope, 1)}")

    def joining_view(self, name):
        left, right = self.random.choice(self.tables), self.random.choice(self.tables)
        own, more = self.scope_of(left, "i"), self.scope_of(right, "j")
        columns = [Column("int0", "int", "BIGINT"), Column("str1", "str", "TEXT"), Column("dt2", "dt", "DATETIME"),
                   Column("dec3", "dec", "DECIMAL(20,6)"), Column("date4", "date", "DATE")]
        items = (f"i.id, {self.column(more, 'int')} AS int0, {self.column(own, 'str')} AS str1, "
                 f"{self.column(more, 'dt')} AS dt2, {self.column(more, 'dec')} AS dec3, {self.column(own, 'date')} AS date4")
        join = f"{left.name} i {self.pick('JOIN', 'LEFT JOIN')} {right.name} j ON j.id = {self.column(own, 'int')}"
        return View(name, columns, f"SELECT {items} FROM {join}")

    def readable(self):
        """A table, or now and then a view."""
        return self.random.choice(self.views if self.chance(20) else self.tables)

    def setup(self):
        for view in self.views:
            yield f"DROP VIEW IF EXISTS {view.name}"
        for table in self.tables:
            yield f"DROP TABLE IF EXISTS {table.name}"
            yield table.create()
            rows = [self.row(table, number) for number in range(1, self.random.randrange(5, 30))]
            yield f"INSERT INTO {table.name} VALUES {', '.join(rows)}"
        for view in self.views:
            yield view.create()

    # ---- expressions -------------------------------------------------------------------------------

    def column(self, scope, kind):
        fitting = [name for name, known in scope if known == kind]
        return self.random.choice(fitting) if fitting else self.value(kind)

    def number(self, scope, depth):
        if depth <= 0 or self.chance(25):
            return self.pick(lambda: self.column(scope, "int"), lambda: self.column(scope, "dec"),
                             lambda: str(self.pick(*INTEGERS)),
                             lambda: f"({self.column(scope, 'int')} + {self.pick(*DECIMALS)})")()
        number, text = (lambda: self.number(scope, depth - 1)), (lambda: self.text(scope, depth - 1))
        day = lambda: self.temporal(scope, depth - 1)
        return self.pick(
            lambda: f"({number()} {self.pick('+', '-', '*')} {number()})",
            lambda: f"({self.column(scope, 'dec')} / {self.column(scope, 'int')})",
            lambda: f"({number()} DIV {number()})",
            lambda: f"(ABS({number()}) % {number()})",
            lambda: f"(- {number()})",
            lambda: f"{self.pick('ABS', 'SIGN', 'FLOOR', 'CEIL', 'ROUND')}({number()})",
            lambda: f"{self.pick('ROUND', 'TRUNCATE')}({number()}, 0)",
            lambda: f"MOD(ABS({number()}), {number()})",
            lambda: f"{self.pick('LENGTH', 'CHAR_LENGTH', 'ASCII', 'ORD', 'BIT_LENGTH')}({text()})",
            lambda: f"{self.pick('LOCATE', 'INSTR', 'STRCMP')}({text()}, {text()})",
            lambda: f"FIELD('{self.pick(*WORDS)}', COALESCE({text()}, ''), COALESCE({text()}, ''))",
            lambda: f"{self.pick('YEAR', 'MONTH', 'DAY', 'DAYOFWEEK', 'DAYOFYEAR', 'WEEK', 'QUARTER', 'HOUR')}({day()})",
            lambda: f"DATEDIFF({day()}, {day()})",
            lambda: f"TIMESTAMPDIFF({self.pick('DAY', 'MONTH', 'HOUR')}, {day()}, {day()})",
            lambda: f"IF({self.condition(scope, depth - 1)}, {number()}, {number()})",
            lambda: f"{self.pick('COALESCE', 'IFNULL', 'NULLIF')}({number()}, {number()})",
            lambda: f"{self.pick('GREATEST', 'LEAST')}({number()}, {number()})",
            lambda: f"CASE WHEN {self.condition(scope, depth - 1)} THEN {number()} ELSE {number()} END",
            lambda: f"CAST({number()} AS {self.pick('SIGNED', 'DECIMAL(12,3)', 'DECIMAL(20,0)')})",
            lambda: f"({number()} {self.pick('&', '|', '^')} {self.pick(1, 3, 255)})",
            lambda: f"({self.condition(scope, depth - 1)})",
        )()

    def text(self, scope, depth):
        if depth <= 0 or self.chance(25):
            return self.column(scope, "str") if self.chance(60) else f"'{self.pick(*WORDS)}'"
        text, number = (lambda: self.text(scope, depth - 1)), (lambda: str(self.pick(0, 1, 2, 3, 5, -1)))
        return self.pick(
            lambda: f"CONCAT({text()}, {text()})",
            lambda: f"CONCAT_WS('-', {text()}, {text()}, {text()})",
            lambda: f"{self.pick('LOWER', 'TRIM', 'LTRIM', 'RTRIM', 'REVERSE', 'MD5')}({text()})",
            lambda: f"LOWER(HEX({text()}))",
            lambda: f"SUBSTRING({text()}, {number()}, {number()})",
            lambda: f"SUBSTRING({text()}, {number()})",
            lambda: f"{self.pick('LEFT', 'RIGHT', 'REPEAT')}({text()}, {number()})",
            lambda: f"{self.pick('LPAD', 'RPAD')}({text()}, {self.pick(2, 5, 8)}, {self.pick(repr('*'), repr('ab'))})",
            lambda: f"REPLACE({text()}, 'a', {text()})",
            lambda: f"INSERT({text()}, {number()}, {number()}, {text()})",
            lambda: f"SUBSTRING_INDEX({text()}, {self.pick(repr(' '), repr('a'))}, {number()})",
            lambda: f"IF({self.condition(scope, depth - 1)}, {text()}, {text()})",
            lambda: f"{self.pick('COALESCE', 'IFNULL', 'NULLIF')}({text()}, {text()})",
            lambda: f"ELT({number()}, COALESCE({text()}, 'n'), COALESCE({text()}, 'n'))",
            lambda: f"CAST({self.number(scope, depth - 1)} AS CHAR)",
            lambda: f"DATE_FORMAT({self.temporal(scope, depth - 1)}, '{self.pick('%Y-%m', '%d.%m.%y', '%W %j', '%H:%i')}')",
            lambda: f"CASE {self.number(scope, 0)} WHEN {self.number(scope, 0)} THEN {text()} ELSE {text()} END",
            lambda: f"{self.pick('BIN', 'OCT')}({self.column(scope, 'int')})",
        )()

    def temporal(self, scope, depth):
        if depth <= 0 or self.chance(40):
            return self.column(scope, self.pick("date", "dt"))
        day = lambda: self.temporal(scope, depth - 1)
        unit = self.pick("DAY", "MONTH", "YEAR", "HOUR", "MINUTE", "WEEK", "QUARTER")
        return self.pick(
            lambda: f"{self.pick('DATE_ADD', 'DATE_SUB')}({day()}, INTERVAL {self.pick(1, 2, -3, 30, 100)} {unit})",
            lambda: f"DATE({day()})",
            lambda: f"LAST_DAY({day()})",
            lambda: f"CAST({day()} AS {self.pick('DATE', 'DATETIME')})",
            lambda: f"COALESCE({self.column(scope, 'dt')}, {self.column(scope, 'dt')})",
        )()

    def condition(self, scope, depth, subqueries=False):
        if depth > 0 and self.chance(35):
            left, right = self.condition(scope, depth - 1, subqueries), self.condition(scope, depth - 1, subqueries)
            negated = f"(NOT {self.condition(scope, depth - 1)})"
            return self.pick(f"({left} {self.pick('AND', 'OR', 'XOR')} {right})", negated)
        depth -= 1
        number, text = (lambda: self.number(scope, depth)), (lambda: self.text(scope, depth))
        day = lambda: self.temporal(scope, depth)
        compare = lambda: self.pick("=", "<>", "<", "<=", ">", ">=", "<=>")
        options = [
            lambda: f"({number()} {compare()} {number()})",
            lambda: f"({text()} {compare()} {text()})",
            lambda: f"({day()} {compare()} {day()})",
            lambda: f"({self.column(scope, 'int')} {self.pick('', 'NOT ')}BETWEEN {self.pick(*INTEGERS)} AND {self.pick(*INTEGERS)})",
            lambda: f"({number()} {self.pick('', 'NOT ')}IN ({number()}, {number()}, {number()}))",
            lambda: f"({text()} {self.pick('', 'NOT ')}IN ({text()}, {text()}))",
            lambda: f"({self.pick(number, text, day)()} IS {self.pick('', 'NOT ')}NULL)",
            lambda: f"({text()} {self.pick('', 'NOT ')}LIKE '{self.pick('a%', '%b%', '_', '%', '%ei', 'a!_%')}')",
        ]
        if subqueries:
            options += [lambda: self.subquery_condition(scope)] * 2
        return self.random.choice(options)()

    # ---- queries -----------------------------------------------------------------------------------

    def scope_of(self, table, alias):
        return [(f"{alias}.id", "int")] + [(f"{alias}.{column.name}", column.kind) for column in table.columns]

    def correlation(self, inner, scope):
        """A condition of a subquery: an equality with the row around it, one that depends on nothing, or anything."""
        if self.chance(40):
            kind = self.pick("int", "int", "str", "dec", "date")
            equal = f"{self.column(inner, kind)} = {self.column(scope, kind)}"
            return f"({equal} AND {self.condition(inner, 1)})" if self.chance(50) else equal
        return self.condition(inner if self.chance(50) else inner + scope, 1)

    def subquery_value(self, scope):
        table = self.random.choice(self.tables)
        inner = self.scope_of(table, "v")
        exact = self.column(inner, self.pick("int", "dec"))
        value = self.pick("COUNT(*)", f"COUNT({exact}) + 1", f"MIN({exact})", f"COALESCE(MAX({exact}), -1)", f"2 * SUM({exact})")
        return f"(SELECT {value} FROM {table.name} v WHERE {self.correlation(inner, scope)})"

    def subquery_condition(self, scope, alias="s"):
        table = self.random.choice(self.tables)
        inner = self.scope_of(table, alias)
        condition = self.correlation(inner, scope)
        if alias == "s" and self.chance(15):
            condition = f"({condition} AND {self.subquery_condition(inner, 't')})"
        number = self.column(scope, "int")
        kind = self.pick("int", "str", "dec", "date")
        member = self.column(inner, kind)
        # MariaDB cuts the operand to the type of a narrow column.
        member = {"int": f"CAST({member} AS SIGNED)", "dec": f"CAST({member} AS DECIMAL(30,6))"}.get(kind, member)
        return self.pick(
            f"({self.column(scope, kind)} {self.pick('', '', 'NOT ')}IN (SELECT {member} FROM {table.name} {alias}"
            f" WHERE {condition}))",
            f"(({number}, {self.column(scope, kind)}) IN (SELECT {alias}.id, {member} FROM {table.name} {alias}"
            f" WHERE {condition}))",
            f"({number} < {self.subquery_value(scope)})",
            f"({self.pick('', 'NOT ')}EXISTS (SELECT 1 FROM {table.name} {alias} WHERE {condition}))",
            f"({number} {self.pick('', 'NOT ')}IN (SELECT {alias}.id FROM {table.name} {alias} WHERE {condition}))",
            f"({number} {self.pick('<', '>=')} {self.pick('ANY', 'ALL')} (SELECT {alias}.id FROM {table.name} {alias} WHERE {condition}))",
            f"({number} > (SELECT {self.pick('COUNT(*)', 'MIN(id)', 'MAX(id)')} FROM {table.name} {alias} WHERE {condition}))",
        )

    def source(self):
        """FROM, and the columns that it gives."""
        first = self.readable()
        text, scope = f"{first.name} a", self.scope_of(first, "a")
        if self.chance(15):
            inner = self.scope_of(first, "i")
            text = f"(SELECT * FROM {first.name} i WHERE {self.condition(inner, 1)}) a"
        for alias in ("b", "c"):
            if not self.chance(45):
                break
            table = self.readable()
            more = self.scope_of(table, alias)
            on = self.pick(f"{alias}.id = {self.column(scope, 'int')}",
                           f"{self.column(more, 'int')} = {self.column(scope, 'int')}",
                           f"{self.column(more, 'str')} = {self.column(scope, 'str')}",
                           self.condition(scope + more, 1))
            text += f" {self.pick('JOIN', 'LEFT JOIN', 'RIGHT JOIN')} {table.name} {alias} ON {on}"
            scope = scope + more
        return text, scope

    def any_value(self, scope, depth):
        return self.pick(self.number, self.text, self.temporal, self.number)(scope, depth)

    def select(self):
        text, scope = self.source()
        where = f" WHERE {self.condition(scope, 2, subqueries=True)}" if self.chance(70) else ""
        if self.chance(35):
            return self.grouped(text, scope, where)
        items = [self.any_value(scope, 2) for _ in range(self.random.randrange(1, 4))]
        if self.chance(10):
            items.append(self.subquery_value(scope))
        distinct = "DISTINCT " if self.chance(15) else ""
        order = ""
        if self.chance(50):
            keys = [f"{number + 1}{self.pick('', ' DESC')}" for number in range(len(items))]
            self.random.shuffle(keys)
            order = f" ORDER BY {', '.join(keys)}"
            if self.chance(40):
                order += f" LIMIT {self.pick('3', '10', '2, 5', '0')}"
        return f"SELECT {distinct}{', '.join(items)} FROM {text}{where}{order}"

    def aggregate(self, scope):
        number, text = self.number(scope, 1), self.text(scope, 1)
        exact = self.column(scope, self.pick("int", "dec"))
        return self.pick(
            "COUNT(*)", f"COUNT({self.any_value(scope, 1)})", f"COUNT(DISTINCT {self.column(scope, 'int')})",
            f"SUM({exact})", f"SUM({exact} * {exact})", f"AVG({exact})", f"MIN({number})", f"MAX({number})",
            f"MIN({self.temporal(scope, 1)})", f"MAX({self.column(scope, 'str')})",
            f"GROUP_CONCAT(DISTINCT {text} ORDER BY 1 SEPARATOR '|')", f"SUM(DISTINCT {exact})",
            f"BIT_OR({self.column(scope, 'int')})", f"BIT_XOR({self.column(scope, 'int')})",
        )

    def grouped(self, text, scope, where):
        keys = [self.random.choice(scope)[0] for _ in range(self.random.randrange(0, 3))]
        keys = list(dict.fromkeys(keys))
        items = keys + [self.aggregate(scope) for _ in range(self.random.randrange(1, 3))]
        group = f" GROUP BY {', '.join(keys)}" if keys else ""
        having = f" HAVING {self.pick('COUNT(*) > 1', 'COUNT(*) < 3', 'MIN(a.id) > 2')}" if self.chance(25) else ""
        order = f" ORDER BY {', '.join(str(n + 1) for n in range(len(items)))}" if self.chance(50) else ""
        return f"SELECT {', '.join(items)} FROM {text}{where}{group}{having}{order}"

    def union(self):
        kinds = [self.pick("int", "str", "dec") for _ in range(self.random.randrange(1, 3))]
        parts = []
        for _ in range(2):
            table = self.random.choice(self.tables)
            scope = self.scope_of(table, "u")
            items = ", ".join(self.column(scope, kind) for kind in kinds)
            parts.append(f"SELECT {items} FROM {table.name} u WHERE {self.condition(scope, 1)}")
        return f"{parts[0]} {self.pick('UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT')} {parts[1]}"

    def common(self):
        table = self.readable()
        inner = self.scope_of(table, "i")
        scope = [("w.x", "int"), ("w.y", "str")]
        return (f"WITH w (x, y) AS (SELECT {self.number(inner, 1)}, {self.text(inner, 1)} FROM {table.name} i) "
                f"SELECT {self.any_value(scope, 1)}, COUNT(*) FROM w WHERE {self.condition(scope, 1)} GROUP BY 1")

    # ---- changes -----------------------------------------------------------------------------------

    def joined_change(self):
        """A change of one table of a join; which of several joined rows gives a new value must not matter."""
        table, other = self.random.choice(self.tables), self.random.choice(self.tables)
        own, more = self.scope_of(table, "a"), self.scope_of(other, "b")
        where = f" WHERE {self.condition(own + more, 1)}"
        join = self.pick("JOIN", "LEFT JOIN")
        if self.chance(40):
            on = self.pick(f"b.id = {self.column(own, 'int')}", f"{self.column(more, 'int')} = {self.column(own, 'int')}",
                           self.condition(own + more, 1))
            using = self.pick(f"DELETE a FROM {table.name} a", f"DELETE FROM a USING {table.name} a")
            return table, f"{using} {join} {other.name} b ON {on}{where}"
        column = self.random.choice(table.columns)
        value = {"int": self.number, "dec": self.number, "str": self.text, "date": self.temporal, "dt": self.temporal}
        value = value[column.kind](own + more, 1)
        join = f"{table.name} a {join} {other.name} b ON b.id = {self.column(own, 'int')}"
        return table, f"UPDATE {join} SET a.{column.name} = {value}{where}"

    def condition_on_others(self, table, scope):
        """A subquery of a change, which may not read the table that is changed."""
        changed = getattr(table, "base", table)
        tables, self.tables = self.tables, [other for other in self.tables if other is not changed]
        condition = self.subquery_condition(scope)
        self.tables = tables
        return condition

    def change(self):
        if self.chance(25):
            return self.joined_change()
        table = self.views[0] if self.chance(25) else self.random.choice(self.tables)
        scope = self.scope_of(table, table.name)
        where = f" WHERE {self.condition(scope, 1)}"
        if self.chance(25):
            where += f" AND {self.condition_on_others(table, scope)}"
        column = self.random.choice(table.columns)
        value = {"int": self.number, "dec": self.number, "str": self.text, "date": self.temporal, "dt": self.temporal}
        value = value[column.kind](scope, 1)
        self.next_id += 5
        rows = ", ".join(self.row(table, self.pick(self.next_id + n, self.next_id + n, 3)) for n in range(2))
        order = f" ORDER BY id{self.pick('', ' DESC')} LIMIT {self.pick(1, 3)}"
        return table, self.pick(
            f"UPDATE {table.name} SET {column.name} = {value}{where}",
            f"UPDATE {table.name} SET {column.name} = {value}{where}{order}",
            f"DELETE FROM {table.name}{where}{order}",
            f"INSERT INTO {table.name} VALUES {rows}",
            f"INSERT IGNORE INTO {table.name} VALUES {rows}",
            f"REPLACE INTO {table.name} VALUES {rows}",
            f"INSERT INTO {table.name} VALUES {rows} ON DUPLICATE KEY UPDATE {column.name} = VALUES({column.name})",
            f"INSERT INTO {table.name} (id, {column.name}) SELECT id + {self.next_id}, {column.name} FROM {table.name}"
            f"{where} ORDER BY id LIMIT 2",
        )

    def statement(self):
        """A query, or a change with the query that shows what it did."""
        kind = self.random.randrange(100)
        if kind < 70:
            return self.select(), None
        if kind < 78:
            return self.union(), None
        if kind < 85:
            return self.common(), None
        table, change = self.change()
        return change, f"SELECT * FROM {getattr(table, 'base', table).name} ORDER BY id"
