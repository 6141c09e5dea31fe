/** Where a server is, as HAProxy takes it. */
export interface ServerAddress {
  readonly host: string;
  readonly port: string;
  /** Whether it is spoken to over TLS. */
  readonly tls: boolean;
}

export function addressOf(url: string | URL): ServerAddress {
  const { hostname: host, port, protocol } = typeof url === 'string' ? new URL(url) : url;
  const tls = protocol === 'https:';
  return { host, port: port === '' ? (tls ? '443' : '80') : port, tls };
}

export function addressText({ host, port }: Pick<ServerAddress, 'host' | 'port'>): string {
  return `${host}:${port}`;
}

/** Of `host:port`. */
export function parseAddress(text: string): Pick<ServerAddress, 'host' | 'port'> {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at), port: text.slice(at + 1) };
}
