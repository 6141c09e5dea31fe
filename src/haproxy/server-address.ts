/** Where a server is, as HAProxy takes it. */
export interface ServerAddress {
  readonly host: string;
  readonly port: string;
}

export function addressOf(url: string | URL): ServerAddress {
  const { hostname: host, port, protocol } = typeof url === 'string' ? new URL(url) : url;
  return { host, port: port === '' ? (protocol === 'https:' ? '443' : '80') : port };
}

export function addressText({ host, port }: ServerAddress): string {
  return `${host}:${port}`;
}

/** Of `host:port`. */
export function parseAddress(text: string): ServerAddress {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at), port: text.slice(at + 1) };
}
