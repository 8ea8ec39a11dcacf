// The certified npm oidc-provider with its own login form, as one process per test module.
// Settings come as one JSON object in argv[2]:
//   port, host, issuer (https, where TLS ends before it), clients: [{client_id, client_secret?, redirect_uris, post_logout_redirect_uris, ...}],
//   accounts: {login: claims}, jwks: {keys: [private JWKs]}, rotate: true | false,
//   require_par: true | false
// GET /frame?src=URL shows that URL in a frame, as the sign-out page of a provider with front-channel logout does.
//   ttl: seconds of an access token, resource: where given, access tokens are JWTs for this audience
//   opaque: true: they are opaque; audiences: {resource: audience}; scope: scopes of a resource
//   dpop: true: tokens are bound to keys (RFC 9449), and proofs need a nonce
// GET /test/seen says what became of refreshes; GET /test/hold keeps the token endpoint from answering until /test/release;
// GET /test/short makes codes that expire after a second, until /test/long.
import Provider from 'oidc-provider';

const settings = JSON.parse(process.argv[2]);
const host = settings.host ?? '127.0.0.1';
const issuer = settings.issuer ?? `http://${host}:${settings.port}`;
const accounts = settings.accounts ?? {};

let code = 60; // seconds that a code is good for

const provider = new Provider(issuer, {
  clients: settings.clients,
  jwks: settings.jwks,
  cookies: { keys: ['not a secret: the keys of a test'] },
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'groups'],
    phone: ['phone_number', 'phone_number_verified'],
  },
  conformIdTokenClaims: false, // claims in the ID token too, as most providers do
  enabledJWA: {
    idTokenSigningAlgValues: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'EdDSA', 'Ed25519', 'HS256'],
  },
  features: {
    devInteractions: { enabled: true }, // the login form: any password
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true },
    deviceFlow: { enabled: true },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: settings.require_par ?? false },
    clientCredentials: { enabled: true },
    ...(settings.dpop ? { dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true } } : {}),
    ...(settings.resource ? { resourceIndicators: {
      enabled: true,
      defaultResource: () => settings.resource,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        scope: settings.scope ?? 'openid',
        audience: settings.audiences?.[resource] ?? settings.audience ?? resource,
        accessTokenFormat: settings.opaque ? 'opaque' : 'jwt',
        accessTokenTTL: settings.ttl ?? 3600,
        ...(settings.opaque ? {} : { jwt: { sign: { alg: 'RS256' } } }),
      }),
    } } : {}),
  },
  ...(settings.resource ? { extraTokenClaims: async (_, token) => ({ email: `${token.accountId}@acme.com`, ...accounts[token.accountId] }) } : {}),
  pkce: { required: () => true },
  rotateRefreshToken: settings.rotate ?? true,
  issueRefreshToken: async (_, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  findAccount: async (_, login) => {
    const claims = accounts[login] ?? { email: `${login}@acme.com`, email_verified: true, name: login };
    return { accountId: login, claims: async () => ({ sub: login, ...claims }) };
  },
  // Back-channel logout goes to 127.0.0.1 here, which the provider's own guard would refuse.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  ttl: { AuthorizationCode: () => code, AccessToken: settings.ttl ?? 3600, IdToken: 3600, Session: 86400, Grant: 86400, Interaction: 3600, RefreshToken: 86400 },
});

if (issuer.startsWith('https:')) {
  provider.proxy = true;
  provider.use((ctx, next) => { ctx.req.headers['x-forwarded-proto'] = 'https'; return next(); });
}
provider.on('server_error', (_, error) => console.error('server_error', error));
for (const event of ['authorization.error', 'grant.error', 'userinfo.error', 'end_session.error', 'backchannel.error']) {
  provider.on(event, (ctx, error) => console.error(event, error?.error ?? '', error?.error_description ?? error?.message ?? error));
}
provider.use(async (ctx, next) => {
  if (ctx.path !== '/frame') return next();
  const escaped = String(ctx.query.src).replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  ctx.type = 'html';
  ctx.body = `<!doctype html><title>Signing out</title><p>Signing out</p><iframe src="${escaped}"></iframe>`;
});
const seen = { refreshed: 0, refused: 0, pending: 0, introspected: 0, proofs: {} };
let held = null;
const isRefresh = (ctx) => ctx?.oidc?.params?.grant_type === 'refresh_token';
provider.on('grant.success', (ctx) => { if (isRefresh(ctx)) seen.refreshed += 1; });
provider.on('grant.error', (ctx) => { if (isRefresh(ctx)) seen.refused += 1; });
provider.use(async (ctx, next) => {
  if (ctx.path === '/test/hold') { let open; held = new Promise((resolve) => { open = resolve; }); held.open = open; }
  if (ctx.path === '/test/release') { held?.open(); held = null; }
  if (ctx.path === '/test/short') code = 1;
  if (ctx.path === '/test/long') code = 60;
  if (ctx.path.startsWith('/test/')) { ctx.body = seen; return; }
  if (ctx.path === '/token/introspection') seen.introspected += 1;
  if (ctx.get('dpop')) seen.proofs[ctx.path] = (seen.proofs[ctx.path] ?? 0) + 1;
  if (ctx.path === '/token' && held) { seen.pending += 1; await held; seen.pending -= 1; }
  await next();
});
const server = provider.listen(settings.port, host, () => console.log(`ready ${issuer}`));
process.on('SIGTERM', () => { server.close(); process.exit(0); });
