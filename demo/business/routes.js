import { existsSync } from 'node:fs';
import { draw, json, offer, slow, transactionRoutes } from './answers.js';
import { homePage, PRODUCTS, secondPage } from './pages.js';
import { createPricingClient } from './pricing-client.js';

/** What pricing is asked before a page is shown: `METHOD path` of the page → of the calls. */
const ASKED_BEFORE = {
  'GET /': ['GET /rates'],
  'GET /page/2': ['GET /rates'],
  'GET /products': ['GET /rates'],
  'GET /slow': ['GET /rates', 'GET /slow', 'GET /terms'],
  'POST /visit': ['GET /rates', 'GET /terms', 'POST /quote'],
  'POST /tx': ['POST /hold'],
  'POST /tx/step': ['GET /rates', 'POST /hold/step'],
  'POST /tx/finish': ['POST /hold/finish'],
};

/** Business by `METHOD path`: each takes the request (its body already read), the response and the URL. */
export function createRoutes({ release, transactions }) {
  const html = (text) => {
    const bytes = Buffer.from(text);
    return (request, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': bytes.length });
      response.end(bytes);
    };
  };

  const routes = {
    'GET /': html(homePage(release)),
    'GET /page/2': html(secondPage(release)),
    'GET /products': (request, response) => json(response, 200, PRODUCTS),
    'GET /slow': slow,
    'POST /visit': (request, response) => offer(release, request, response),
    ...transactionRoutes('/tx', transactions),
  };
  const pricing = createPricingClient();
  let served = 0;

  /** With the prices of another service: whether the customer buys is up to those, and so is how long it takes. */
  async function serveWithPrices(name, request, response, url) {
    const ask = pricing(request, response);
    let last;
    for (const call of ASKED_BEFORE[name] ?? []) {
      const [method, path] = call.split(' ');
      last = await ask(method, `${path}${path === '/slow' ? url.search : ''}`);
      if (last.status >= 400) {
        json(response, last.status, { error: `pricing answered ${last.status} to ${call}` });
        return;
      }
    }
    if (name === 'POST /visit') {
      const { 'x-outcome': outcome, 'x-amount': amount } = last.headers;
      json(
        response,
        last.status,
        { outcome },
        { 'x-outcome': outcome, ...(amount ? { 'x-amount': amount } : {}) },
      );
    } else if (name === 'GET /slow') json(response, 200, { priced: true });
    else routes[name](request, response, url);
  }

  return (request, response, url) => {
    served += 1;
    if (release.failsWithFile !== undefined && existsSync(release.failsWithFile)) {
      json(response, 500, { error: `release ${release.version} fails by now` });
      return;
    }
    if (release.errorRate > 0 && draw(`${release.version}:${served}`).chance < release.errorRate) {
      json(response, 500, { error: `release ${release.version} fails now and then` });
      return;
    }
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const name = `${method} ${url.pathname}`;
    const route = routes[name];
    if (route === undefined) json(response, 404, { error: `nothing at ${request.method} ${url.pathname}` });
    else if (pricing === null) route(request, response, url);
    else {
      serveWithPrices(name, request, response, url).catch((error) =>
        json(response, 503, { error: `pricing cannot be asked: ${error.message}` }),
      );
    }
  };
}
