import { json, offer, slow, transactionRoutes } from './answers.js';
import { createCallsRecord } from './calls-record.js';

const RATES = [
  { product: 'harvest-12', rate: 0.034 },
  { product: 'orchard-3', rate: 0.021 },
  { product: 'ridge-20', rate: 0.058 },
];

/** The inner service: prices for the wealth pages, which call it several times for one page or sale. */
export function createRoutes({ release, transactions }) {
  const record = createCallsRecord(release);
  const routes = {
    'GET /rates': (request, response) => json(response, 200, { mode: release.mode, rates: RATES }),
    'GET /terms': (request, response) => json(response, 200, { mode: release.mode, minimum: 500 }),
    'GET /slow': slow,
    'POST /quote': (request, response) => offer(release, request, response),
    ...transactionRoutes('/hold', transactions),
  };
  return (request, response, url) => {
    const route = routes[`${request.method} ${url.pathname}`];
    record(request, url.pathname);
    if (route === undefined) json(response, 404, { error: `nothing at ${request.method} ${url.pathname}` });
    else route(request, response, url);
  };
}
