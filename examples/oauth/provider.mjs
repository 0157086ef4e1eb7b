// An authorization server for run.py: oidc-provider with two clients. It prints one line of JSON when it listens:
// where, and what the clients need. It ends with its standard input, so that it never outlives who started it.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import http from 'node:http';
import Provider from 'oidc-provider';

const secret = randomBytes(32).toString('base64url');
const jwk = (pair, kid, alg) => ({ ...pair.privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' });
const serverKey = jwk(generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'server', 'ES256');
const clientKey = jwk(generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'client', 'ES256');
const { d: _, ...clientPublic } = clientKey;

const server = http.createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'by-secret', client_secret: secret, redirect_uris: [],
        token_endpoint_auth_method: 'client_secret_post',
      },
      {
        client_id: 'by-key', jwks: { keys: [clientPublic] }, redirect_uris: [],
        token_endpoint_auth_method: 'private_key_jwt',
      },
    ],
    clientDefaults: {
      grant_types: ['client_credentials'], response_types: [], id_token_signed_response_alg: 'ES256',
    },
    clientAuthMethods: ['client_secret_post', 'private_key_jwt'],
    enabledJWA: { clientAuthSigningAlgValues: ['ES256'] },
    jwks: { keys: [serverKey] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: { // RFC 8707
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'read write', audience: resource, accessTokenTTL: 600, accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  server.on('request', provider.callback());
  console.log(JSON.stringify({ issuer, secret, clientKey }));
});
process.stdin.on('end', () => process.exit()).resume();
