// A Model Context Protocol server with one tool, which says who the filter told it is there. argv[2]: its port.
import { createServer } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

createServer(async (request, response) => {
  const server = new McpServer({ name: 'reports', version: '1.0.0' });
  server.registerTool('whoami', { description: 'Who is there' }, () => ({
    content: [{ type: 'text', text: `${request.headers['x-sso-user']} by ${request.headers['x-sso-method']}` }],
  }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  response.on('close', () => { transport.close(); server.close(); });
  await server.connect(transport);
  await transport.handleRequest(request, response);
}).listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
