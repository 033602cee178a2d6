// Transactions of two connections of a pool, a change of the user, and a connection that is killed.
const assert = require('node:assert');
const { address, mysql, withDatabase } = require('./common');

withDatabase('transactions', {}, async (connection) => {
  await connection.query('CREATE TABLE t (id INT PRIMARY KEY, v INT)');
  await connection.query('INSERT INTO t VALUES (1, 10), (2, 20)');
  const pool = mysql.createPool({ ...address, database: 'transactions', connectionLimit: 2 });
  const [first, second] = [await pool.getConnection(), await pool.getConnection()];
  await first.beginTransaction();
  await first.query('UPDATE t SET v = v + 1 WHERE id = 1');
  assert.strictEqual((await second.query('SELECT v FROM t WHERE id = 1'))[0][0].v, 10);
  await second.query('SET innodb_lock_wait_timeout = 1');
  await assert.rejects(second.query('UPDATE t SET v = 0 WHERE id = 1'), { code: 'ER_LOCK_WAIT_TIMEOUT', errno: 1205 });
  await assert.rejects(second.query('SELECT * FROM t FOR UPDATE NOWAIT'));
  await first.commit();
  assert.strictEqual((await second.query('SELECT v FROM t WHERE id = 1'))[0][0].v, 11);
  await first.beginTransaction();
  await first.query('DELETE FROM t');
  await first.rollback();
  assert.strictEqual((await second.query('SELECT COUNT(*) AS n FROM t'))[0][0].n, 2);
  first.release();
  second.release();
  const together = await Promise.all(Array.from({ length: 20 }, (_, n) => pool.execute('SELECT ? + 1 AS n', [n])));
  assert.deepStrictEqual(together.map(([rows]) => Number(rows[0].n)), Array.from({ length: 20 }, (_, n) => n + 1));
  await pool.end();

  await connection.query("CREATE USER other IDENTIFIED BY 'secret'");
  await connection.query('GRANT SELECT ON transactions.t TO other');
  const other = await mysql.createConnection({ ...address, user: 'other', password: 'secret', database: 'transactions' });
  await assert.rejects(other.query('DELETE FROM t'), { code: 'ER_TABLEACCESS_DENIED_ERROR' });
  await other.ping();
  await connection.query(`KILL ${other.threadId}`);
  await assert.rejects(other.query('SELECT 1'));
  await assert.rejects(mysql.createConnection({ ...address, user: 'other', password: 'wrong' }), { code: 'ER_ACCESS_DENIED_ERROR' });
  await connection.changeUser({ user: 'other', password: 'secret', database: 'transactions' });
  assert.match((await connection.query('SELECT CURRENT_USER() AS who'))[0][0].who, /^other@/);
});
