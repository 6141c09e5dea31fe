import { expect, test } from 'vitest';
import { parseListenAddress } from '../../src/cli/listen-address.ts';

test.each([
  ['127.0.0.1:7400', '127.0.0.1', 7400],
  ['0.0.0.0:0', '0.0.0.0', 0],
  ['[::1]:7400', '::1', 7400],
  ['gateway.bank.example:80', 'gateway.bank.example', 80],
  [':7400', '127.0.0.1', 7400],
  ['7400', '127.0.0.1', 7400],
])('%s listens on %s, port %d', (text, host, port) => {
  expect(parseListenAddress(text)).toEqual({ host, port });
});

test.each(['', 'host', 'host:', 'host:x', 'host:65536', '::1:80', 'a:b:1'])('%j is no address', (text) => {
  expect(() => parseListenAddress(text)).toThrow(/HOST:PORT/);
});
