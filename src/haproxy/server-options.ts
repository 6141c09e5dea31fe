import { isIP } from 'node:net';

/** Looks at servers that HAProxy takes at most. */
const CHECKS_PER_SECOND = 1_000;

/**
 * Each server is looked at once a second; thousands of them less often, since each look is a connection: a machine that has
 * no time for so many would take healthy servers for dead ones. What fails once, in a look or a request, is looked at
 * again after a second.
 */
export function checkOf(servers: number): string {
  const seconds = Math.ceil(servers / CHECKS_PER_SECOND);
  if (seconds <= 1) return 'check inter 1s fall 2 rise 1';
  return `check inter ${seconds}s fastinter 1s fall 2 rise 1 observe layer4 error-limit 1`;
}

/**
 * Checks ask for the name that requests ask for: a server with the certificate of another one is down, not up with nothing
 * but failures. An address is no name (RFC 6066, 3), and HAProxy compares the names of certificates alone: of a server
 * that is given by address it verifies who issued the certificate, and no more.
 */
export function tlsTo(url: URL): string {
  if (url.protocol !== 'https:') return '';
  const verified = ' ssl verify required ca-file @system-ca';
  const name = url.hostname;
  return isIP(name.replace(/^\[(.*)\]$/, '$1')) === 0
    ? `${verified} sni str(${name}) check-sni ${name}`
    : verified;
}
