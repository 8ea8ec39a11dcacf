// A Model Context Protocol client that knows the server's URL (argv[2]) and a client id (argv[3]) alone. It prints the URL
// where a person signs in, reads the code from standard input, calls the tool and prints what it said.
import { createInterface } from 'node:readline/promises';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url, clientId] = process.argv.slice(2);
const redirect = 'http://127.0.0.1:7999/callback';
const lines = createInterface({ input: process.stdin });
let tokens;
let verifier;
const authProvider = {
  redirectUrl: redirect,
  clientMetadata: { redirect_uris: [redirect], token_endpoint_auth_method: 'none' },
  clientInformation: () => ({ client_id: clientId }),
  tokens: () => tokens,
  saveTokens: (given) => { tokens = given; },
  redirectToAuthorization: (where) => console.log(String(where)),
  saveCodeVerifier: (given) => { verifier = given; },
  codeVerifier: () => verifier,
};
const transport = () => new StreamableHTTPClientTransport(new URL(url), { authProvider });
const client = () => new Client({ name: 'agent', version: '1.0.0' });
const first = transport();
try {
  await client().connect(first);
  throw new Error('it let a client without a token in');
} catch (error) {
  if (!(error instanceof UnauthorizedError)) throw error;
}
const [code] = await new Promise((resolve) => { lines.once('line', (line) => resolve([line])); });
await first.finishAuth(code);
const connected = client();
await connected.connect(transport());
const answer = await connected.callTool({ name: 'whoami' });
console.log(answer.content[0].text);
await connected.close();
lines.close();
