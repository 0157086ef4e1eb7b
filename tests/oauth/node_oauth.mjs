// @node-oauth/oauth2-server for the tests, with the few clients that they name and a model in memory.
//
//   node node_oauth.mjs '{"port": PORT, "clients": [{"client_id": …, "client_secret": …}, …]}'
//
// A client without a secret need not show one. Tokens are its own, which are opaque. It prints "ready" when it
// listens.
import http from 'node:http';
import OAuth2Server from '@node-oauth/oauth2-server';

const o = JSON.parse(process.argv[2]);
const clients = new Map(o.clients.map((client) => [client.client_id, client.client_secret]));

const model = {
  getClient: (id, secret) => clients.has(id) && clients.get(id) === secret
    && { id, grants: ['client_credentials'] },
  getUserFromClient: (client) => ({ id: client.id }),
  saveToken: (token, client, user) => ({ ...token, client, user }),
  validateScope: (user, client, scope) => scope ?? [],
};
// Whether a client must show a secret is said for all of them: so there are two.
const confidential = new OAuth2Server({ model });
const open = new OAuth2Server({ model, requireClientAuthentication: { client_credentials: false } });

async function serve(request, response) {
  let text = '';
  for await (const part of request) text += part;
  const { headers, method } = request;
  const body = Object.fromEntries(new URLSearchParams(text));
  const answer = new OAuth2Server.Response({});
  const server = body.client_id && clients.has(body.client_id) && clients.get(body.client_id) === undefined
    ? open : confidential;
  try {
    await server.token(new OAuth2Server.Request({ headers, method, query: {}, body }), answer);
  } catch {
    // It has put into the answer what is wrong.
  }
  response.writeHead(answer.status ?? 400, { ...answer.headers, 'content-type': 'application/json' });
  response.end(JSON.stringify(answer.body));
}
http.createServer(serve).listen(o.port, '127.0.0.1', () => console.log('ready'));
