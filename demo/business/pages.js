const OFFER = 'Harvest 12: a balanced fund, 3.4 % expected a year, from 1,000.';

const STYLE = `
  body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #f4f5f1; color: #1d2b24; }
  header { background: #1f4d3a; color: #fff; padding: 1rem 2rem; }
  main { max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
  .offer { background: #fff7da; border-left: 4px solid #d9a400; padding: 1rem; }
  .floating { position: fixed; right: 1.5rem; bottom: 1.5rem; max-width: 16rem; box-shadow: 0 4px 16px #0003; }
  footer { color: #66756d; font-size: .8rem; }`;

function page({ title, version, body }) {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title><style>${STYLE}</style></head>
<body>
<header><strong>Meadow Bank</strong> · ${title}</header>
<main>
${body}
<footer>Release ${version}</footer>
</main>
</body>
</html>
`;
}

/** The first page; in mode `static-home` it carries the wealth offer as plain text. */
export function homePage({ version, mode }) {
  const offer = mode === 'static-home' ? `<p class="offer">${OFFER}</p>` : '';
  return page({
    title: 'Your accounts',
    version,
    body: `<h1>Good day</h1>\n${offer}\n<p>Two accounts, one card. <a href="/page/2">Transfers and savings</a></p>`,
  });
}

/** The second page; in mode `floating-second` the offer floats over it. */
export function secondPage({ version, mode }) {
  const offer = mode === 'floating-second' ? `<aside class="offer floating">${OFFER}</aside>` : '';
  return page({
    title: 'Transfers and savings',
    version,
    body: `<h1>Transfers</h1>\n<p>Nothing is due today. <a href="/">Back</a></p>\n${offer}`,
  });
}

export const PRODUCTS = [
  { id: 'harvest-12', name: 'Harvest 12', risk: 'balanced', expectedYield: 0.034, minimum: 1000 },
  { id: 'orchard-3', name: 'Orchard 3', risk: 'low', expectedYield: 0.021, minimum: 500 },
  { id: 'ridge-20', name: 'Ridge 20', risk: 'high', expectedYield: 0.058, minimum: 2500 },
];
