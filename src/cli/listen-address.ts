import { InvalidArgumentError, Option } from 'commander';

/** `127.0.0.1:7400`, `[::1]:7400`, `:7400` (loopback) or `7400` (the same); port 0 takes any free one. */
export function parseListenAddress(text: string): { host: string; port: number } {
  const match = /^(?:(?<host>\[[0-9a-fA-F:.]+\]|[^:[\]]*):)?(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.['port']);
  if (match === null || port > 65_535) {
    throw new InvalidArgumentError('It must be HOST:PORT, such as 127.0.0.1:7400.');
  }
  const host = (match.groups?.['host'] ?? '').replace(/^\[|\]$/g, '');
  return { host: host === '' ? '127.0.0.1' : host, port };
}

/** An option for an address to listen on; help shows the default as one would type it. */
export function listenOption(flags: string, description: string, byDefault: string): Option {
  return new Option(flags, description)
    .argParser(parseListenAddress)
    .default(parseListenAddress(byDefault), byDefault);
}
