// Development server: serves dist/ as the hub does, and passes everything else on to a hub. What that hub does not
// answer yet comes from fixtures.
//
//   node dev/server.mjs [--api http://127.0.0.1:7071] [--port 7080] [--rows 1000000] [--token SECRET] [--read-only]
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { parseArgs } from 'node:util';
import { fixture } from './fixtures/index.mjs';

const { values: options } = parseArgs({
  options: {
    api: { type: 'string', default: 'http://127.0.0.1:7071' },
    port: { type: 'string', default: '7080' },
    // Number of invented instances that replace those of the hub, to try long lists.
    rows: { type: 'string' },
    token: { type: 'string' },
    'read-only': { type: 'boolean', default: false },
    // Answers from fixtures first, also where the hub has the route.
    fixtures: { type: 'boolean', default: false },
  },
});

const BASE = '/runtime/webhooks/durabletask';
const TYPES = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const server = http.createServer((request, response) => {
  answer(request, response).catch((error) => {
    response.writeHead(502, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { code: 'BadGateway', message: String(error.message) } }));
  });
});

server.listen(Number(options.port), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}${BASE}/ui/`);
});

async function answer(request, response) {
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/' || url.pathname === `${BASE}/ui`) {
    response.writeHead(302, { location: `${BASE}/ui/` }).end();
  } else if (url.pathname.startsWith(`${BASE}/ui/`)) {
    await asset(url.pathname.slice(BASE.length + 4) || 'index.html', response);
  } else if (options.token && request.headers.authorization !== `Bearer ${options.token}`) {
    send(response, 401, { error: { code: 'Unauthorized', message: 'the token is missing or wrong' } });
  } else {
    await api(request, url, response);
  }
}

async function asset(name, response) {
  const type = TYPES[name.split('.').at(-1)];
  const text =
    type && /^\w+\.\w+$/.test(name) && (await readFile(new URL(`../dist/${name}`, import.meta.url)).catch(() => null));
  if (!text) return send(response, 404, { error: { code: 'NotFound', message: 'no such file' } });
  response.writeHead(200, {
    'content-type': type,
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  });
  response.end(text);
}

async function api(request, url, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const known = () =>
    fixture({
      method: request.method,
      path: url.pathname.slice(BASE.length),
      query: url.searchParams,
      token: request.headers['x-ms-continuation-token'],
      body: body.length > 0 ? JSON.parse(body.toString()) : undefined,
      rows: options.rows ? Number(options.rows) : 0,
      readOnly: options['read-only'],
    });
  const first = options.fixtures || options.rows || options['read-only'] ? known() : null;
  if (first) return reply(response, first);
  const passed = await pass(request, url, body);
  const isStream = passed.headers['content-type']?.startsWith('text/event-stream');
  if (passed.statusCode === 404 || passed.statusCode === 501) {
    const text = await read(passed);
    const invented = /no route/.test(text) || passed.statusCode === 501 ? known() : null;
    if (invented) return reply(response, invented);
    response.writeHead(passed.statusCode, passed.headers).end(text);
    return;
  }
  response.writeHead(passed.statusCode, passed.headers);
  passed.pipe(response);
  if (isStream) response.on('close', () => passed.destroy());
}

/** Sends a request to the hub, which checks `Host` and `Origin`. */
function pass(request, url, body) {
  const target = new URL(options.api);
  const headers = { ...request.headers, host: target.host, 'content-length': String(body.length) };
  delete headers.origin;
  delete headers.referer;
  delete headers['accept-encoding'];
  return new Promise((resolve, reject) => {
    http
      .request(
        { host: target.hostname, port: target.port, path: url.pathname + url.search, method: request.method, headers },
        resolve,
      )
      .on('error', reject)
      .end(body);
  });
}

async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function reply(response, { status = 200, body, headers = {}, stream }) {
  if (!stream) return send(response, status, body, headers);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const stop = stream((text) => response.write(text));
  response.on('close', stop);
}

function send(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(body === undefined ? '' : JSON.stringify(body));
}
