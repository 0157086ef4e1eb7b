// A contender on Node: reads jobs from stdin, one a line, answers "ok" when a job is done.
//
// usage: node.mjs redis-tokens|tokenstore|redis-jwt PORT [DATABASE]
//
// A job is a name and a count. "ready_X" makes what X is to work on; whoever asks takes the time of X alone. The
// packages are those that tests/interop installs.
import { createRequire } from 'node:module';
import readline from 'node:readline';

const require = createRequire(new URL('../tests/interop/package.json', import.meta.url));
const [kind, port, database] = process.argv.slice(2);
const PER_OWNER = 4;
const DATA = { name: 'n123', role: 'admin' };

const pick = (list) => list[Math.floor(Math.random() * list.length)];

async function repeat(count, one) {
  for (let n = 0; n < count; n++) await one(n);
}

function redisTokens() {
  const { RedisTokens } = require('redis-tokens');
  const tokens = new RedisTokens(`redis://127.0.0.1:${port}/${database}`);
  const where = { app: 'web', type: 'login' };
  const create = (owner) => tokens.create({ ...where, owner, data: DATA, duration: 36000 });
  let known;
  let spare;
  const jobs = {
    fill: async (count) => {
      known = [];
      await repeat(count, async (n) => known.push((await create(`user${Math.floor(n / PER_OWNER)}`)).token));
    },
    create: (count) => repeat(count, (n) => create(`new${n}`)),
    get: (count) => repeat(count, async () => {
      if (!await tokens.get({ ...where, token: pick(known) })) throw new Error('not found');
    }),
    refresh: (count) => repeat(count, () => tokens.refresh({ ...where, token: pick(known), duration: 36000 })),
    update: (count) => repeat(count, (n) => tokens.update({ ...where, token: pick(known), data: { name: `u${n}` } })),
    ready_delete: async (count) => {
      spare = [];
      await repeat(count, async (n) => spare.push((await create(`spare${n}`)).token));
    },
    delete: () => repeat(spare.length, (n) => tokens.delete({ ...where, token: spare[n] })),
    ready_delete_all: (count) => repeat(count * PER_OWNER, (n) => create(`all${Math.floor(n / PER_OWNER)}-`)),
    delete_all: (count) => repeat(count, (n) => tokens.deleteAll({ ...where, owner: `all${n}-` })),
  };
  return jobs;
}

function tokenstore() {
  const api = require('tokenstore').api({ redis: { host: '127.0.0.1', port: Number(port) }, prefix: 'node' });
  const call = (method, ...args) => new Promise((resolve, reject) => {
    api[method](...args, (error, result) => (error ? reject(error) : resolve(result)));
  });
  const add = (owner) => call('add', { owner_id: owner, attrs: DATA });
  let known;
  let spare;
  const readyTokens = async (count) => {
    spare = [];
    await repeat(count, async (n) => spare.push(await add(`spare${n}`)));
  };
  const readyHashes = async (count) => {
    spare = [];
    await repeat(count, async () => spare.push(await call('makeHash', 'bob@example.org', 3600)));
  };
  const ofSpare = (method, field) => () => repeat(spare.length, (n) => call(method, field ? spare[n][field] : spare[n]));
  return {
    fill: async (count) => {
      known = [];
      await repeat(count, async (n) => known.push(await add(`user${Math.floor(n / PER_OWNER)}`)));
    },
    add: (count) => repeat(count, (n) => add(`new${n}`)),
    get: (count) => repeat(count, () => call('get', pick(known).id)),
    get_key: (count) => repeat(count, () => call('getKey', pick(known).key)),
    set: (count) => repeat(count, (n) => call('setAttrs', pick(known).id, { name: `u${n}` })),
    list: (count) => repeat(count, () => call('list', pick(known).owner_id)),
    ready_delete: readyTokens,
    delete: ofSpare('del', 'id'),
    ready_delete_key: readyTokens,
    delete_key: ofSpare('delKey', 'key'),
    make_hash: (count) => repeat(count, () => call('makeHash', 'bob@example.org', 3600)),
    ready_get_hash: readyHashes,
    get_hash: ofSpare('getHash'),
    ready_del_hash: readyHashes,
    del_hash: ofSpare('delHash'),
    ready_reset: async (count) => repeat(count, (n) => add(`reset${n}`)),
    reset: () => call('reset'),
  };
}

async function redisJwt() {
  const RedisJwt = require('redis-jwt');
  const config = { host: '127.0.0.1', port: Number(port), db: Number(database), secret: 's'.repeat(32) };
  const connected = async (multiple) => {
    const sessions = new RedisJwt({ ...config, multiple });
    await new Promise((resolve) => { sessions.on('ready', resolve); });
    // Its sign gives the token before the session is stored. To measure the same, it is made to wait for that.
    const connection = sessions.exec();
    const raw = connection.rawCall.bind(connection);
    connection.rawCall = (command, callback) => callback ? raw(command, callback)
      : new Promise((resolve, reject) => {
        raw(command, (error, reply) => (error ? reject(error) : resolve(reply)));
      });
    return sessions;
  };
  const one = await connected(false);
  const many = await connected(true);
  const options = { ttl: '10 hours', dataSession: DATA };
  const rjwt = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).rjwt;
  let known;
  let spare;
  const readyUsers = async (count) => {
    spare = [];
    await repeat(count, async (n) => spare.push(rjwt(await many.sign(`spare${n}`, options))));
  };
  return {
    fill: async (count) => {
      known = [];
      await repeat(count, async (n) => known.push(await many.sign(`user${n}`, options)));
    },
    sign: (count) => repeat(count, (n) => one.sign(`new${n % 50}`, options)),
    sign_multiple: (count) => repeat(count, (n) => many.sign(`many${n}`, options)),
    verify: (count) => repeat(count, () => many.verify(pick(known))),
    verify_value: (count) => repeat(count, () => many.verify(pick(known), true)),
    exists: (count) => repeat(count, () => many.call().exists(rjwt(pick(known)))),
    ttl: (count) => repeat(count, () => many.call().ttl(rjwt(pick(known)))),
    get_value_by_key: (count) => repeat(count, () => many.call().getValueByKey(rjwt(pick(known)))),
    get_values_by_pattern: (count) => repeat(count, (n) => many.call().getValuesByPattern(`user${n}`)),
    get_count_by_pattern: (count) => repeat(count, (n) => many.call().getCountByPattern(`user${n}`)),
    ready_destroy: readyUsers,
    destroy: () => repeat(spare.length, (n) => many.call().destroy(spare[n])),
    ready_destroy_multiple: readyUsers,
    destroy_multiple: () => repeat(spare.length, (n) => many.call().destroyMultiple(`spare${n}`)),
  };
}

const jobs = await { 'redis-tokens': redisTokens, tokenstore, 'redis-jwt': redisJwt }[kind]();

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [name, count] = line.split(' ');
  await jobs[name](Number(count));
  process.stdout.write('ok\n');
}
process.exit(0);
