// Every type comes back the same from a text query and from a prepared statement.
const assert = require('node:assert');
const { withDatabase } = require('./common');

const columns = {
  t: ['TINYINT UNSIGNED', 200], s: ['SMALLINT', -3], m: ['MEDIUMINT', 70000], i: ['INT', -5], b: ['BIGINT', '-9007199254740993'],
  u: ['BIGINT UNSIGNED', '18446744073709551615'], f: ['FLOAT', 1.5], d: ['DOUBLE', -2.25e100], n: ['DECIMAL(20,4)', '-12.3400'],
  y: ['YEAR', 1999], da: ['DATE', '2024-02-29'], ti: ['TIME(3)', '-838:59:58.125'], dt: ['DATETIME(6)', '2024-02-29 23:59:59.123456'],
  ts: ['TIMESTAMP(3)', '2024-02-29 23:59:59.125'], c: ['CHAR(5)', 'a b'], v: ['VARCHAR(20)', 'žluť 🐎'], x: ['TEXT', 'x'.repeat(70)],
  vb: ['VARBINARY(9)', Buffer.from([0, 255, 10])], bl: ['BLOB', Buffer.alloc(300, 7)], bi: ['BIT(9)', Buffer.from([1, 1])],
  e: ["ENUM('no','yes')", 'yes'], se: ["SET('a','b')", 'a,b'], l: ['LONGTEXT', ''], z: ['INT', null],
};

withDatabase('types', { dateStrings: true, supportBigNumbers: true, bigNumberStrings: true }, async (connection) => {
  const names = Object.keys(columns);
  await connection.query(`CREATE TABLE t (${names.map((name) => `${name} ${columns[name][0]}`)})`);
  const marks = names.map(() => '?');
  const values = names.map((name) => columns[name][1]);
  await connection.execute(`INSERT INTO t VALUES (${marks})`, values);
  await connection.query(`INSERT INTO t VALUES (${marks})`, values);
  const [text] = await connection.query('SELECT * FROM t');
  const [binary] = await connection.execute('SELECT * FROM t');
  for (const row of [...text, ...binary]) {
    for (const name of names) {
      const wanted = columns[name][1];
      const found = typeof wanted === 'number' ? Number(row[name]) : row[name];
      assert.deepStrictEqual(found, wanted, `${name}: ${row[name]}`);
    }
  }
  const [, fields] = await connection.query('SELECT i, v AS shown, COUNT(*) AS n FROM t GROUP BY i, v');
  assert.deepStrictEqual(fields.map((field) => [field.name, field.orgName, field.orgTable]),
    [['i', 'i', 't'], ['shown', 'v', 't'], ['n', '', '']]);
});
