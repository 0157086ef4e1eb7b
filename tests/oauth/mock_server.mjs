// oauth2-mock-server for the tests. It believes whoever asks, and signs with one of its keys after the other.
//
//   node mock_server.mjs '{"port": PORT, "algorithms": ["RS256", …]}'
//
// Of itself it takes the audience as the parameter `aud`; its hook takes `audience` and `resource` too. Each start
// makes new keys. It prints "ready" when it listens.
import { OAuth2Server } from 'oauth2-mock-server';

const o = JSON.parse(process.argv[2]);
const server = new OAuth2Server();
server.issuer.url = `http://127.0.0.1:${o.port}`; // it would say localhost
const { keys } = server.issuer;
const rsa = await keys.generate('RS256');
for (const alg of o.algorithms.filter((name) => name !== 'RS256')) {
  if (/^[RP]S/.test(alg)) await keys.add({ ...rsa, alg, kid: `${rsa.kid} ${alg}` });
  else await keys.generate(alg);
}
server.service.on('beforeTokenSigning', (token, request) => {
  token.payload.aud ??= request.body.audience ?? request.body.resource;
});
await server.start(o.port, '127.0.0.1');
console.log('ready');
