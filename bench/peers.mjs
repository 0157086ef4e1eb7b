// The packages for Node of peers.py: node peers.mjs NAME PORT. A line of JSON for each request, one for its answer. The packages
// are those that tests/interop installs.
import { createRequire } from "node:module";
import http from "node:http";
import readline from "node:readline";

const require = createRequire(new URL("../tests/interop/package.json", import.meta.url));
const [name, port] = process.argv.slice(2);

async function connectRedis() {
  const session = require("express-session");
  const { RedisStore } = require("connect-redis");
  const { createClient } = require("redis");
  const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect();
  const open = session({ store: new RedisStore({ client }), secret: "a secret", resave: false, saveUninitialized: false });
  const ask = async (path, cookie) => {
    const headers = cookie ? { cookie: `connect.sid=${cookie}` } : {};
    const answer = await fetch(`http://127.0.0.1:${server.address().port}${path}`, { headers });
    const set = /connect\.sid=([^;]*)/.exec(answer.headers.get("set-cookie") ?? "");
    return { body: await answer.json(), cookie: set ? set[1] : cookie };
  };
  const server = http.createServer((request, response) => {
    open(request, response, async () => {
      const url = new URL(request.url, "http://here");
      const [, page, field] = url.pathname.split("/");
      const first = url.searchParams.get("first");
      if (page === "login") request.session.user = "bob";
      if (first) await ask(first, /connect\.sid=([^;]*)/.exec(request.headers.cookie)[1]);
      if (page === "set") request.session[field] = 1;
      if (page === "logout") await new Promise((done) => request.session.destroy(done));
      response.setHeader("content-type", "application/json");
      const { cookie, ...data } = page === "logout" ? {} : request.session;
      response.end(JSON.stringify(page === "me" ? data : {}));
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { ask, close: () => { server.close(); client.destroy(); } };
}

// Without pages: login and me alone. `set` answers null: it is not asked.
function tokensOnly(create, look) {
  return async (path, cookie) => {
    if (path === "/login") return { body: {}, cookie: await create() };
    return { body: path === "/me" ? await look(cookie) : null, cookie };
  };
}

function redisTokens() {
  const tokens = new (require("redis-tokens").RedisTokens)(`redis://127.0.0.1:${port}`);
  const ask = tokensOnly(
    async () => (await tokens.create({ app: "web", type: "login", owner: "bob", duration: 3600 })).token,
    (token) => tokens.get({ app: "web", type: "login", token }),
  );
  return { ask, close: () => process.exit(0) };
}

async function redisJwt() {
  const RedisJwt = require("redis-jwt");
  const jwt = new RedisJwt({ host: "127.0.0.1", port: Number(port), secret: "a secret of thirty-two bytes, no less" });
  await new Promise((resolve) => { jwt.on("ready", resolve); });
  const create = async () => {
    const token = await jwt.sign("bob", { ttl: "10 hours" });
    const { rjwt } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
    while (!await jwt.call().exists(rjwt)); // sign returns before the session is stored
    return token;
  };
  return { ask: tokensOnly(create, (token) => jwt.verify(token)), close: () => process.exit(0) };
}

const peer = await { "connect-redis": connectRedis, "redis-tokens": redisTokens, "redis-jwt": redisJwt }[name]();
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { path, cookie } = JSON.parse(line);
  console.log(JSON.stringify(await peer.ask(path, cookie)));
}
peer.close();
