// A session of express-session in connect-redis: node express_session.mjs PORT SECRET prints its Set-Cookie header.
import http from "node:http";
import { RedisStore } from "connect-redis";
import session from "express-session";
import { createClient } from "redis";

const [port, secret] = process.argv.slice(2);
const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect();
const open = session({ store: new RedisStore({ client }), secret, resave: false, saveUninitialized: false });

const server = http.createServer((request, response) => {
  open(request, response, () => {
    Object.assign(request.session, { user: "bob", cart: ["book"] });
    response.end();
  });
});
server.listen(0, "127.0.0.1", async () => {
  const response = await fetch(`http://127.0.0.1:${server.address().port}`);
  console.log(response.headers.get("set-cookie"));
  server.close();
  await client.close();
});
