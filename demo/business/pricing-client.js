import { randomUUID } from 'node:crypto';
import { Agent, request as send } from 'node:http';

/**
 * What belongs to a request travels on with the calls that it causes. In a real service the instrumentation of
 * OpenTelemetry does this; here it is done by hand, so that the package needs no library.
 */
const PASSED_ON = ['baggage', 'traceparent', 'tracestate', 'x-account', 'x-visit', 'x-transaction'];

/** Calls of the pricing service, at PRICING_URL; null where this installation has none. */
export function createPricingClient() {
  const origin = process.env.PRICING_URL;
  if (!origin) return null;
  const agent = new Agent({ keepAlive: true });

  function call(method, path, headers) {
    return new Promise((resolve, reject) => {
      const outgoing = send(new URL(path, origin), { method, agent, headers }, (answer) => {
        answer.resume();
        answer.once('error', reject);
        answer.once('end', () => resolve({ status: answer.statusCode, headers: answer.headers }));
      });
      outgoing.once('error', reject);
      outgoing.end();
    });
  }

  /** The calls of one request; which releases answered them is told in a header of its own answer. */
  return (request, response) => {
    const headers = { 'x-business': request.headers['x-transaction'] ?? randomUUID() };
    for (const name of PASSED_ON)
      if (request.headers[name] !== undefined) headers[name] = request.headers[name];
    const versions = new Set();
    return async (method, path) => {
      const answer = await call(method, path, headers);
      versions.add(answer.headers['x-version'] ?? 'none');
      response.setHeader('x-pricing-version', [...versions].join(','));
      return answer;
    };
  };
}
