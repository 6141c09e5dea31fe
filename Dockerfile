# One image for every part: worker, controller, gateway, agent, command line. `docker compose build` makes it.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --include=dev --no-audit --no-fund
COPY . .
RUN node scripts/ensure.mjs && npm prune --omit=dev --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY deploy/healthcheck.mjs ./deploy/healthcheck.mjs
# A named volume takes over the owner of the folder it is mounted on.
RUN install -d -o node -g node /var/lib/changeover /demo
USER node
ENTRYPOINT ["node", "/app/dist/src/cli.js"]
CMD ["--help"]
