// Results of statements: counts, generated keys, several results, errors, named parameters, streams.
const assert = require('node:assert');
const { withDatabase } = require('./common');

withDatabase('statements', { multipleStatements: true, namedPlaceholders: true }, async (connection) => {
  await connection.query('CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20) UNIQUE)');
  const [inserted] = await connection.query("INSERT INTO t (v) VALUES ('a'), ('b'), ('c')");
  assert.deepStrictEqual([inserted.affectedRows, inserted.insertId], [3, 1]);
  assert.match(inserted.info, /Records: 3 {2}Duplicates: 0 {2}Warnings: 0/);
  const [updated] = await connection.execute("UPDATE t SET v = 'b' WHERE id <= :most", { most: 2 }).catch((error) => [error]);
  assert.deepStrictEqual([updated.code, updated.errno, updated.sqlState], ['ER_DUP_ENTRY', 1062, '23000']);
  const [changed] = await connection.execute("UPDATE t SET v = 'b' WHERE id = :id", { id: 2 });
  assert.deepStrictEqual([changed.affectedRows, changed.changedRows], [1, 0]);
  const [several] = await connection.query('SELECT 1 AS one; DO 0; SELECT id FROM t ORDER BY id DESC');
  assert.deepStrictEqual([several[0][0].one, several[1].affectedRows, several[2].map((row) => row.id)], [1, 0, [3, 2, 1]]);
  for (const [sql, code] of [['SELEC 1', 'ER_PARSE_ERROR'], ['SELECT * FROM none', 'ER_NO_SUCH_TABLE'],
    ['SELECT none FROM t', 'ER_BAD_FIELD_ERROR'], ['INSERT INTO t VALUES (1, 2, 3)', 'ER_WRONG_VALUE_COUNT_ON_ROW']]) {
    await assert.rejects(connection.query(sql), { code });
    await assert.rejects(connection.execute(sql), { code });
  }
  const seen = [];
  const stream = connection.connection.query('SELECT id FROM t ORDER BY id').stream();
  for await (const row of stream) seen.push(row.id);
  assert.deepStrictEqual(seen, [1, 2, 3]);
  const statement = await connection.prepare('SELECT v FROM t WHERE id = ?');
  for (const [id, v] of [[1, 'a'], [3, 'c']]) assert.strictEqual((await statement.execute([id]))[0][0].v, v);
  await connection.query('ALTER TABLE t ADD w INT DEFAULT 9');
  assert.strictEqual((await statement.execute([2]))[0][0].v, 'b');
  await statement.close();
});
