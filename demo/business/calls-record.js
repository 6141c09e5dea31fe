import { createWriteStream } from 'node:fs';

/** To CALLS_FILE a line for each call: whose business it belongs to, and which release answered. */
export function createCallsRecord(release) {
  const file = process.env.CALLS_FILE;
  if (!file) return () => undefined;
  const stream = createWriteStream(file, { flags: 'a' });
  return (request, path) => {
    const business = request.headers['x-business'] ?? null;
    const { SERVER_NAME: server } = process.env;
    stream.write(`${JSON.stringify({ business, path, server, version: release.version })}\n`);
  };
}
