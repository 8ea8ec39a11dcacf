// The demo's identity provider: the certified `oidc-provider`, with a login form of its own.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import Provider from 'oidc-provider';

const { ISSUER, PORT, APP, CLIENT_SECRET, BIND = '127.0.0.1' } = process.env;
// The application's addresses; the provider's own messages go to the first.
const apps = APP.split(' ');
const PASSWORD = 'idp';
const people = JSON.parse(fs.readFileSync(new URL('users.json', import.meta.url))).idp;
const person = (login) => people.find((p) => p.login === login);

const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });

const provider = new Provider(ISSUER, {
  clients: [{
    client_id: 'reports',
    client_secret: CLIENT_SECRET,
    redirect_uris: apps.map((app) => `${app}/sso/oidc/consume?u=acme`),
    post_logout_redirect_uris: apps.map((app) => `${app}/sso/logout-complete`),
    backchannel_logout_uri: `${apps[0]}/sso/backchannel-logout?u=acme`,
    backchannel_logout_session_required: true,
    grant_types: ['authorization_code', 'refresh_token'],
  }],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'demo', alg: 'RS256', use: 'sig' }] },
  claims: {
    openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'],
    phone: ['phone_number'],
  },
  conformIdTokenClaims: false, // claims in the ID token, as most company providers do
  async findAccount(_, login) {
    const p = person(login);
    return p && {
      accountId: login,
      claims: () => ({
        sub: `acme-${login}`, name: p.name, preferred_username: login, email: p.email, email_verified: true,
        ...(p.phone ? { phone_number: p.phone } : {}),
      }),
    };
  },
  // The company's own application: no user is asked for consent.
  async loadExistingGrant(ctx) {
    const { client, session } = ctx.oidc;
    const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope('openid email profile phone offline_access');
    await grant.save();
    return grant;
  },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource(ctx, form) {
        ctx.body = page('Sign out', `<p>Sign out of Acme's identity provider too?</p>${form}
          <button autofocus form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>
          <button class="quiet" form="op.logoutForm">No, stay signed in</button>`);
      },
    },
  },
  pkce: { required: () => true },
  interactions: { url: (_, interaction) => `/login/${interaction.uid}` },
  cookies: { keys: [crypto.randomBytes(24).toString('hex')] },
  // The demo runs on loopback addresses, which the provider refuses to call by default.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  ttl: { Session: 86400, Interaction: 600, Grant: 86400, IdToken: 600, AccessToken: 600, RefreshToken: 86400 },
});

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

function page(title, body) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(title)} - Acme identity provider</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><style>
:root{color-scheme:light dark}*{box-sizing:border-box}body{overflow-wrap:anywhere;font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;background:light-dark(#f3f0fa,#1d1a26)}
main{width:min(24rem,90vw);padding:2rem;border-radius:1rem;background:light-dark(#fff,#2a2636);box-shadow:0 2px 24px #0002}
h1{font-size:1.25rem;margin:0 0 1rem}h1 span{color:#7a3ff2}label{display:block;margin:.75rem 0 .25rem}
input{font:inherit;width:100%;padding:.5rem;border:1px solid #8888;border-radius:.4rem}
button{font:inherit;margin-top:1rem;padding:.5rem 1rem;border:0;border-radius:.4rem;background:#7a3ff2;color:#fff;cursor:pointer}
.quiet{background:none;color:inherit;text-decoration:underline}.error{color:light-dark(#c01c28,#ff7b82)}small{opacity:.7}table{width:100%;font-size:.85rem}
</style><main><h1><span>&#9679;</span> Acme identity provider</h1>${body}</main></html>`;
}

function form(hint, error) {
  const rows = people.map((p) => `<tr><td>${p.login}<td>${escape(p.note)}`).join('');
  return page('Sign in', `${error ? `<p class="error" role="alert">${escape(error)}</p>` : ''}
    <form method="post"><label for="login">Name</label><input id="login" name="login" value="${escape(hint ?? '')}" autofocus autocomplete="username">
    <label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password">
    <button>Sign in</button> <button class="quiet" name="cancel" value="1">Cancel</button></form>
    <p><small>The password of everybody here is <b>${PASSWORD}</b>:</small><table>${rows}</table>`);
}

async function body(req) {
  let text = '';
  for await (const chunk of req) {
    text += chunk;
    if (text.length > 10_000) throw new Error('too long');
  }
  return new URLSearchParams(text);
}

async function login(req, res) {
  const { params } = await provider.interactionDetails(req, res);
  const hint = params.login_hint?.split('@')[0];
  res.setHeader('content-type', 'text/html; charset=utf-8');
  res.setHeader('cache-control', 'no-store');
  if (req.method !== 'POST') return res.end(form(hint));
  const fields = await body(req);
  if (fields.get('cancel')) {
    return provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'cancelled' });
  }
  const name = fields.get('login')?.trim().split('@')[0];
  if (!person(name) || fields.get('password') !== PASSWORD) {
    return res.writeHead(401).end(form(name, 'That name and password do not belong together.'));
  }
  return provider.interactionFinished(req, res, { login: { accountId: name } }, { mergeWithLastSubmission: false });
}

const callback = provider.callback();
http.createServer((req, res) => {
  if (!/^\/login\/[\w-]+$/.test(new URL(req.url, ISSUER).pathname)) return callback(req, res);
  return login(req, res).catch(() => {
    if (!res.headersSent) res.writeHead(400, { 'content-type': 'text/html; charset=utf-8' });
    res.end(page('Too late', '<p>This sign-in is over. Go back to the application and start again.</p>'));
  });
}).listen(Number(PORT), BIND, () => console.log('ready'));
