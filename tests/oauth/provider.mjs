// oidc-provider for the tests.
//
//   node provider.mjs '{"issuer": "http://127.0.0.1:PORT", "port": PORT, "jwks": {"keys": [private keys]},
//                       "clients": [{"client_id": …, "token_endpoint_auth_method": …, …}], "ttl": 60,
//                       "tls": {"key": path, "cert": path, "ca": path}}'   clients may show certificates
//
// client_credentials only. The audience is asked for as RFC 8707's `resource`, or as the `audience`
// parameter that OSpike takes; a resource that ends in /opaque gets opaque tokens, all others JWTs, signed as the
// end says (/ES256 …), else with RS256. It prints "ready" when it listens and a line for each token that it
// issues, before the answer goes out; and "synced" when /sync is asked for, so that a test knows that it has read
// all lines before.
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import Provider from 'oidc-provider';

const o = JSON.parse(process.argv[2]);

const provider = new Provider(o.issuer, {
  clients: o.clients.map((client) => ({
    grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...client,
  })),
  enabledJWA: { clientAuthSigningAlgValues: ['HS256', 'RS256', 'PS256', 'ES256', 'EdDSA'] },
  clientAuthMethods: [
    'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none',
    ...(o.tls ? ['tls_client_auth', 'self_signed_tls_client_auth'] : []),
  ],
  jwks: o.jwks,
  routes: { token: '/oauth2/token', jwks: '/.well-known/jwks.json' },
  ttl: { ClientCredentials: o.ttl ?? 60 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    mTLS: {
      enabled: Boolean(o.tls),
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      getCertificate: (ctx) => new X509Certificate(ctx.socket.getPeerCertificate().raw).toString(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_subject_dn'
        && expected === `CN=${ctx.socket.getPeerCertificate().subject.CN}`,
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx) => ctx.oidc.body?.audience,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'read write',
        audience: resource,
        accessTokenTTL: o.ttl ?? 60,
        accessTokenFormat: resource.endsWith('/opaque') ? 'opaque' : 'jwt',
        jwt: { sign: { alg: /\/((RS|PS|ES)\d+|EdDSA)$/.exec(resource)?.[1] ?? 'RS256' } },
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
const read = (path) => fs.readFileSync(path);
const server = o.tls
  ? https.createServer({
    key: read(o.tls.key), cert: read(o.tls.cert), ca: read(o.tls.ca), requestCert: true, rejectUnauthorized: false,
  }, serve)
  : http.createServer(serve);
server.listen(o.port, '127.0.0.1', () => console.log('ready'));
process.on('disconnect', () => process.exit());
