import { parse } from './exact';
import { askForToken, currentToken } from './token';

export { entitySegments, path } from './path';
export { subscribe } from './events';

export type QueryValue = string | number | boolean | undefined | readonly string[];
export type Query = Record<string, QueryValue>;

/** A request that was answered with an error, or with nothing (`status` 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }

  /** True if the server lacks the route. A missing object has the same status and another message. */
  get isMissingRoute(): boolean {
    return this.status === 501 || this.status === 405 || (this.status === 404 && /no route/.test(this.message));
  }
}

/** One page of a list. */
export interface Page<T> {
  items: T[];
  /** Token of the next page. */
  next: string | null;
  /** Number of rows that the hub could not read. */
  unreadable: number;
}

/** Body that is sent as it is, because it is JSON text already. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const ROOT = new URL('..', document.baseURI);

/** Returns the URL of a path of the API, for links that open it in the browser. */
export function apiUrl(path: string, query?: Query): string {
  const url = new URL(`.${path}`, ROOT);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === '') continue;
    for (const one of typeof value === 'object' ? value : [value]) url.searchParams.append(name, String(one));
  }
  return url.href;
}

export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  return read<T>(await request('GET', path, query, { signal }));
}

export async function getPage<T>(
  path: string,
  query?: Query,
  token?: string | null,
  signal?: AbortSignal,
): Promise<Page<T>> {
  const headers: Record<string, string> = token ? { 'x-ms-continuation-token': token } : {};
  const response = await request('GET', path, query, { signal, headers });
  return {
    items: await read<T[]>(response),
    next: response.headers.get('x-ms-continuation-token'),
    unreadable: Number(response.headers.get('x-abide-unreadable') ?? 0),
  };
}

export async function getText(path: string, signal?: AbortSignal): Promise<string> {
  return (await request('GET', path, undefined, { signal })).text();
}

/** Sends a change. `idempotencyKey` makes its repetition harmless. */
export async function send<T>(
  method: string,
  path: string,
  body?: unknown,
  query?: Query,
  idempotencyKey?: string,
): Promise<T> {
  const headers: Record<string, string> = idempotencyKey ? { 'idempotency-key': idempotencyKey } : {};
  if (body !== undefined) headers['content-type'] = 'application/json';
  const text = body instanceof JsonText ? body.text : JSON.stringify(body);
  return read<T>(await request(method, path, query, { headers, body: text }));
}

/** Sends a request, and asks for a token if the server wants one. Resolves only for answers without an error. */
export async function request(method: string, path: string, query?: Query, more: RequestInit = {}): Promise<Response> {
  const used = currentToken();
  const headers = new Headers(more.headers);
  if (used) headers.set('authorization', `Bearer ${used}`);
  let response: Response;
  try {
    response = await fetch(apiUrl(path, query), {
      ...more,
      method,
      headers,
      cache: 'no-store',
      credentials: 'same-origin',
      redirect: 'error',
    });
  } catch (error) {
    if (more.signal?.aborted) throw error;
    throw new ApiError(0, 'Unreachable', 'the hub cannot be reached');
  }
  if (response.ok) return response;
  if (response.status === 401 && (await askForToken(used))) return request(method, path, query, more);
  throw await failure(response);
}

async function read<T>(response: Response): Promise<T> {
  const text = await response.text();
  return (text === '' ? undefined : parse(text)) as T;
}

async function failure(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '');
  try {
    const { code, message } = (JSON.parse(text) as { error: { code: string; message: string } }).error;
    return new ApiError(response.status, String(code), String(message));
  } catch {
    // Not from the hub, such as the page of a proxy.
    const summary = `${response.status} ${response.statusText}`.trim();
    return new ApiError(response.status, 'Unknown', `the server answered ${summary}`);
  }
}
