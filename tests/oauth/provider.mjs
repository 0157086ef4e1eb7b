// A real authorization server for the tests: oidc-provider with one confidential client.
//
//   node provider.mjs '{"issuer": "http://127.0.0.1:PORT", "port": PORT, "client_id": …, "client_secret": …,
//                       "jwks": {"keys": [private keys]}, "ttl": 60, "tls": {"key": path, "cert": path},
//                       "clients": [{"client_id": …, "token_endpoint_auth_method": …, …}]}'   further ones
//
// client_credentials only. The audience is asked for as RFC 8707's `resource`, or as the `audience`
// parameter that OSpike takes; a resource that ends in /opaque gets opaque tokens, all others JWTs. It prints
// "ready" when it listens and a line for each token that it issues, before the answer goes out; and "synced"
// when /sync is asked for, so that a test knows that it has read all lines before.
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import Provider from 'oidc-provider';

const o = JSON.parse(process.argv[2]);

const provider = new Provider(o.issuer, {
  clients: [{
    client_id: o.client_id,
    client_secret: o.client_secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_basic',
  }, ...(o.clients ?? []).map((client) => ({
    grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...client,
  }))],
  enabledJWA: { clientAuthSigningAlgValues: ['HS256', 'RS256', 'PS256', 'ES256', 'EdDSA'] },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none'],
  jwks: o.jwks,
  routes: { token: '/oauth2/token', jwks: '/.well-known/jwks.json' },
  ttl: { ClientCredentials: o.ttl ?? 60 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx) => ctx.oidc.body?.audience,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'read write',
        audience: resource,
        accessTokenTTL: o.ttl ?? 60,
        accessTokenFormat: resource.endsWith('/opaque') ? 'opaque' : 'jwt',
        jwt: { sign: { alg: o.alg ?? 'RS256' } },
      }),
    },
  },
});
provider.on('client_credentials.issued', () => {});
provider.on('grant.success', (ctx) => console.log('issued', ctx.oidc.params.resource ?? ctx.oidc.body?.audience));
provider.on('grant.error', (ctx, error) => console.log('refused', error.error));
provider.on('server_error', (ctx, error) => console.log('server_error', error.stack));

const callback = provider.callback();
const serve = (request, response) => {
  if (request.url !== '/sync') return callback(request, response);
  console.log('synced');
  return response.end();
};
const server = o.tls
  ? https.createServer({ key: fs.readFileSync(o.tls.key), cert: fs.readFileSync(o.tls.cert) }, serve)
  : http.createServer(serve);
server.listen(o.port, '127.0.0.1', () => console.log('ready'));
process.on('disconnect', () => process.exit());
