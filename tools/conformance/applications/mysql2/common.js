// A connection of mysql2 to the server under test, in a database of its own.
const mysql = require('mysql2/promise');

const address = { host: '127.0.0.1', port: Number(process.env.MYSQL_PORT), user: 'root' };

async function withDatabase(name, options, body) {
  const admin = await mysql.createConnection(address);
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const connection = await mysql.createConnection({ ...address, database: name, ...options });
  try {
    await body(connection);
  } finally {
    await connection.end();
  }
}

module.exports = { address, mysql, withDatabase };
