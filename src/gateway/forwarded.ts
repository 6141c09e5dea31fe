/** A peer's address as fields show it: an IPv4 address mapped into IPv6 is shown as what it is. */
export function peerAddress(remoteAddress: string | undefined): string {
  if (remoteAddress === undefined) return 'unknown';
  return remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress;
}

/** One element of `Forwarded` (RFC 7239 section 4): IPv6 addresses and ports need quoting. */
export function forwardedElement(peer: string, host: string | undefined): string {
  const from = peer.includes(':') ? `"[${peer}]"` : peer;
  if (host === undefined) return `for=${from};proto=http`;
  return /^[A-Za-z0-9.-]+$/.test(host)
    ? `for=${from};host=${host};proto=http`
    : `for=${from};host="${host}";proto=http`;
}
