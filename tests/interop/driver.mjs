// One of the Node packages, told what to do by a test: JSON lines on stdin and stdout.
//
//   node driver.mjs redis-tokens|tokenstore|redis-jwt|spike-get-token|spike-token-manager|ioredis
//                   '{"host": "127.0.0.1", "port": PORT, …}'
//
//   {"call": "create", "args": [{…}]}   →   {"result": …} or {"error": "…"}, in the order asked
//
// A call with a dot is of what the first word gives: "call.ttl" of redis-jwt is redisJwt.call().ttl. Besides,
// "fill" (redis-tokens) creates many, "updateReads" and "updateWrites" are the halves of an update, and "raw"
// (redis-tokens, ioredis) sends a command, and "token" (spike-get-token, spike-token-manager) gets a token by a new
// getTokenCreator with the options given. It ends with its stdin.
import { createRequire } from 'node:module';
import readline from 'node:readline';

const require = createRequire(import.meta.url);
const [kind, config] = [process.argv[2], JSON.parse(process.argv[3])];

// The packages print: that must not be taken for an answer.
console.log = console.info = console.debug = console.error;

function promised(object, method) {
  return (...args) => new Promise((resolve, reject) => {
    object[method](...args, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

async function redisTokens() {
  const { RedisTokens } = require('redis-tokens');
  const tokens = new RedisTokens(`redis://${config.host}:${config.port}`);
  const held = {};
  return {
    call: (method, args) => tokens[method](...args),
    raw: (args) => tokens.client.call(...args),
    // An update, held between its two commands: the first call gives true when it has read the key, the second
    // lets it write.
    updateReads: ([args]) => new Promise((done) => {
      const get = tokens.client.get;
      tokens.client.get = async (key) => {
        tokens.client.get = get;
        const value = await tokens.client.get(key);
        await new Promise((go) => { held.go = go; done(value !== null); });
        return value;
      };
      held.update = tokens.update(args);
    }),
    updateWrites: async () => { held.go(); return (await held.update).data; },
    // {count, owners, app, type, duration}: token n is of owner n % owners, with data {n}
    fill: async ([{ count, owners, app, type, duration }]) => {
      const made = [];
      for (let n = 0; n < count;) {
        const some = [];
        for (; n < count && some.length < 500; n++) {
          some.push(tokens.create({ app, type, owner: `owner${n % owners}`, data: { n, list: [] }, duration }));
        }
        made.push(...(await Promise.all(some)).map((token) => token.token));
      }
      return made;
    },
  };
}

async function tokenstore() {
  const api = require('tokenstore').api({ redis: config, prefix: config.prefix });
  return { call: (method, args) => promised(api, method)(...args) };
}

async function redisJwt() {
  const RedisJwt = require('redis-jwt');
  const sessions = new RedisJwt(config);
  await new Promise((resolve) => { sessions.on('ready', resolve); });
  return {
    call: (method, args) => {
      const [first, second] = method.split('.');
      return second === undefined ? sessions[first](...args) : sessions[first]()[second](...args);
    },
  };
}

async function spike(create) {
  return { token: ([options]) => create(options)() };
}

async function ioredis() {
  const Redis = require('ioredis');
  const redis = new Redis(config);
  return { call: (method, args) => redis[method](...args), raw: (args) => redis.call(...args) };
}

const subject = await {
  'redis-tokens': redisTokens,
  tokenstore,
  'redis-jwt': redisJwt,
  'spike-get-token': () => spike(require('spike-get-token')),
  'spike-token-manager': () => spike(require(process.env.SPIKE_TOKEN_MANAGER)),
  ioredis,
}[kind]();

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { call, args } = JSON.parse(line);
  let answer;
  try {
    const result = await (subject[call] === undefined || call === 'call'
      ? subject.call(call, args) : subject[call](args));
    answer = { result: result === undefined ? null : result };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
