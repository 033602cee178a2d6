// LOAD DATA LOCAL from a stream, JSON columns, dates as objects, large packets, rows as arrays.
const assert = require('node:assert');
const { Readable } = require('node:stream');
const { withDatabase } = require('./common');

withDatabase('files', { timezone: 'Z' }, async (connection) => {
  await connection.query('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))');
  await connection.query({
    sql: "LOAD DATA LOCAL INFILE 'ignored' INTO TABLE t FIELDS TERMINATED BY ','",
    infileStreamFactory: () => Readable.from([Buffer.from('1,one\n2,two\n')]),
  });
  const [rows] = await connection.query({ sql: 'SELECT * FROM t ORDER BY id', rowsAsArray: true });
  assert.deepStrictEqual(rows, [[1, 'one'], [2, 'two']]);
  await connection.query('CREATE TABLE j (at DATETIME(3), doc JSON, big LONGBLOB)');
  const at = new Date('2024-02-29T12:34:56.789Z');
  const big = Buffer.alloc(5 << 20, 'q');
  await connection.execute('INSERT INTO j VALUES (?, ?, ?)', [at, JSON.stringify({ a: [1, null] }), big]);
  const [[row]] = await connection.execute('SELECT at, CAST(doc AS CHAR) AS doc, big FROM j');
  assert.deepStrictEqual([row.at, JSON.parse(row.doc), row.big.equals(big)], [at, { a: [1, null] }, true]);
});
