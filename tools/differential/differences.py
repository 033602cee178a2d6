"""Where MySQL 8.0 and MariaDB 10.11 answer differently, and the section of the MySQL manual that decides."""

import re


def reason(statement, what, ours, theirs):
    """Why an answer may differ from MariaDB's; `None` when there is no reason."""
    for name, applies in KNOWN:
        if applies(statement, what, ours, theirs):
            return name
    return None


def signedness(_, what, ours, theirs):
    pairs = set(zip(ours.families, theirs.families))
    return what.startswith("types") and all(a == b or (a, b) == ("int", "decimal") for a, b in pairs)


def distinct_constant(statement, what, ours, _):
    return what == "rows" and statement.startswith("SELECT DISTINCT") and not ours.rows and "LIMIT 2, 5" in statement


def unused_column(statement, what, ours, theirs):
    derived = statement.startswith("WITH") or "FROM (SELECT" in statement
    if what == "error 1690 instead of 0":
        return derived
    return derived and what.startswith("warnings") and set(theirs.warnings) <= set(ours.warnings)


def wide_integers(statement, what, ours, theirs):
    pairs = set(zip(ours.families, theirs.families))
    rounds = "FLOOR" in statement or "CEIL" in statement
    return rounds and what.startswith("types") and all(a == b or {a, b} == {"int", "decimal"} for a, b in pairs)


def evaluation_order(_, what, ours, theirs):
    if what == "error 0 instead of 1690":
        return True
    return what.startswith("warnings") and set(ours.warnings) | set(theirs.warnings) <= {1365, 1292}


def cut_division(statement, what, _ours, _theirs):
    return what == "rows" and re.search(r"CAST\(\([^()]* DIV [^()]*\) AS CHAR\)", statement) and "ORDER BY" in statement


def merged_concat_ws(statement, what, _ours, _theirs):
    return what == "rows" and statement.startswith("WITH") and "CONCAT_WS" in statement


def cut_to_type(_, what, ours, theirs):
    nines = re.compile(rb"-?9+(\.9+)?")
    if what != "rows" or len(ours.rows) != len(theirs.rows):
        return False
    here, there = ({value for row in side.rows for value in row} for side in (ours, theirs))
    return all(isinstance(value, bytes) and nines.fullmatch(value) for value in there - here)


def empty_group(statement, what, ours, theirs):
    return what == "rows" and " HAVING MIN(a.id) > 2" in statement and not ours.rows and len(theirs.rows) == 1


def replaced_by_itself(statement, what, _ours, theirs):
    return what == "rows" and re.search(r"REPLACE\((\w+\.\w+), '[^']*', \1\)", statement) and 1301 in theirs.warnings


def nullif_of_integers(statement, what, _ours, theirs):
    return what == "error 1690 instead of 0" and "NULLIF(" in statement and "decimal" in theirs.families


def negated_unsigned(statement, what, _ours, theirs):
    bits = re.search(r"\(- \(-\d+ [|^] \d+\)\)", statement)
    return what == "error 1690 instead of 0" and bits and "decimal" in theirs.families


def unknown_list(statement, what, _ours, theirs):
    return what == "error 1690 instead of 0" and re.search(r"NOT IN \(.*int\d - 1000\)", statement) and not theirs.rows


KNOWN = [
    # 12.4 "Type Conversion in Expression Evaluation": INT and INT UNSIGNED together are BIGINT; MariaDB makes DECIMAL.
    ("signed and unsigned integers together", signedness),
    # 8.2.1.19 "LIMIT Query Optimization": an offset beyond the last row gives no rows; MariaDB forgets the offset when
    # all that is DISTINCT is constant.
    ("offset after DISTINCT of constants", distinct_constant),
    # 12.8 "String Functions": CONCAT_WS puts the separator between all that is not NULL. MariaDB loses parts of it when
    # an argument is a computed column of a merged table.
    ("CONCAT_WS of computed columns", merged_concat_ws),
    # 12.5 "Flow Control Functions": the result is as wide as the widest of the values; MariaDB takes the width of one of
    # them and cuts the others to 9999.9.
    ("decimals cut to a narrow type", cut_to_type),
    # A condition that another one has made irrelevant, or a row that another table has excluded, is evaluated or not:
    # the order is the optimizer's.
    ("warnings of what need not be evaluated", evaluation_order),
    # The same: NOT IN of a list with a NULL cannot be true, so the rest of the list, which is out of range, decides nothing.
    ("elements of NOT IN that need not be evaluated", unknown_list),
    # 12.6.1 "Arithmetic Operators": DIV by a fraction is larger than its dividend. When it is sorted, MariaDB cuts its
    # text to the dividend's digits.
    ("text of DIV cut to the dividend's digits", cut_division),
    # 12.6.2 "Mathematical Functions": FLOOR and CEIL of DECIMAL give an integer if its digits fit into BIGINT; the two
    # count the digits of functions differently.
    ("FLOOR and CEIL of wide numbers", wide_integers),
    # 8.2.2.4 "Optimizing Derived Tables": columns of a merged table that nobody reads are not computed, so they warn of
    # nothing. We compute those of tables that are not merged.
    ("warnings of columns that nobody reads", unused_column),
    # 13.2.10 "SELECT Statement": HAVING is applied to the one group that there is without GROUP BY. MariaDB forgets it when
    # it has found out that no row can satisfy WHERE.
    ("HAVING of a group without rows", empty_group),
    # 12.8 "String Functions": REPLACE() replaces what was there. MariaDB goes on in what it has put in when the
    # replacement is the string itself, a column of a derived table, until the result is too large.
    ("REPLACE of a column by itself", replaced_by_itself),
    # 12.5 "Flow Control Functions": NULLIF() has the type of its first argument, so that arithmetic on it stays BIGINT and
    # can be out of range; MariaDB takes a type for both arguments.
    ("NULLIF of an integer and a decimal", nullif_of_integers),
    # 12.6.1 "Arithmetic Operators": the negation of a BIGINT is a BIGINT; MariaDB makes a DECIMAL of constants.
    ("negation of unsigned constants", negated_unsigned),
]
