// ioredis for stores.py. usage: node ioredis.cjs URL; requests and answers are lines of JSON:
// [id, command, argument, …] → [id, answer, null] or [id, null, error].
"use strict";

const Redis = require(require.resolve("ioredis", { paths: [`${__dirname}/../interop`] }));

const [scheme, rest] = process.argv[2].split("://");
const [hosts, name] = rest.split("/");
const nodes = hosts.split(",").map((at) => ({ host: at.split(":")[0], port: Number(at.split(":")[1]) }));
const options = { commandTimeout: 5000 };
const redis =
  scheme === "redis+sentinel"
    ? new Redis({ sentinels: nodes, name, ...options })
    : new Redis.Cluster(nodes, { redisOptions: options });
redis.on("error", () => {}); // the calls fail, too

const answer = (...parts) => process.stdout.write(JSON.stringify(parts) + "\n");

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [id, command, ...parts] = JSON.parse(line);
    redis[command](...parts).then(
      (value) => answer(id, value, null),
      (error) => answer(id, null, `${error.name}: ${error.message}`),
    );
  })
  .on("close", () => process.exit(0));
