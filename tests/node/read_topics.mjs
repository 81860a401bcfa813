// Read topics from their beginning to their end as an outsider would, and hold every message against the contract:
//   node read_topics.mjs BOOTSTRAP TOPIC…
// Prints {topic: {count, invalid: [{partition, offset, why}]}}; the exit code is 1 where a message is invalid,
// 2 where the topics could not be read to the end.
//
// Environment, all optional: ASYNCAPI (the document), SECONDS (patience, 60), KAFKA_GROUP (the consumer group),
// KAFKA_CA_FILE (PEM, turns TLS on), KAFKA_USERNAME and KAFKA_PASSWORD or KAFKA_PASSWORD_FILE (turn SASL on),
// KAFKA_MECHANISM (scram-sha-512).
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import kafkajs from "kafkajs";
import { contractOf } from "./contract.mjs";

const MOST_TOLD = 100;
const { env } = process;
const [bootstrap, ...topics] = process.argv.slice(2);

function security() {
  const found = {};
  if (env.KAFKA_CA_FILE) found.ssl = { ca: [readFileSync(env.KAFKA_CA_FILE, "utf-8")] };
  if (env.KAFKA_USERNAME) {
    const password = env.KAFKA_PASSWORD ?? readFileSync(env.KAFKA_PASSWORD_FILE, "utf-8").trim();
    found.sasl = { mechanism: env.KAFKA_MECHANISM ?? "scram-sha-512", username: env.KAFKA_USERNAME, password };
  }
  return found;
}

/** Return where each partition that holds anything ends: {topic/partition: offset of the next message}. */
async function ends(kafka) {
  const admin = kafka.admin();
  await admin.connect();
  const found = new Map();
  for (const topic of topics) {
    for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
      if (BigInt(high) > BigInt(low)) found.set(`${topic}/${partition}`, BigInt(high));
    }
  }
  await admin.disconnect();
  return found;
}

async function read(kafka, contract, left) {
  const summary = Object.fromEntries(topics.map((topic) => [topic, { count: 0, invalid: [] }]));
  if (left.size === 0) return summary;
  const consumer = kafka.consumer({
    groupId: env.KAFKA_GROUP ?? `outsider-${randomUUID()}`,
    maxWaitTimeInMs: 200,
    sessionTimeout: 10_000,
  });
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await new Promise((resolve, reject) => {
    const patience = setTimeout(
      () => reject(new Error(`not read to the end: ${[...left.keys()].join(", ")}`)),
      1000 * Number(env.SECONDS ?? 60),
    );
    const eachBatch = async ({ batch }) => {
      const { topic, partition } = batch;
      const end = left.get(`${topic}/${partition}`);
      for (const message of batch.messages) {
        if (end === undefined || BigInt(message.offset) >= end) continue; // came after we had begun
        const why = contract(topic, message);
        summary[topic].count += 1;
        if (why.length && summary[topic].invalid.length < MOST_TOLD) {
          summary[topic].invalid.push({ partition, offset: message.offset, why });
        }
      }
      if (end !== undefined && BigInt(batch.lastOffset()) + 1n >= end) left.delete(`${topic}/${partition}`);
      if (left.size === 0) {
        clearTimeout(patience);
        resolve();
      }
    };
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    consumer.run({ autoCommit: false, eachBatch: (given) => eachBatch(given).catch(reject) }).catch(reject);
    // A group that has read before begins where it left off, unless it is told otherwise.
    for (const place of left.keys()) {
      const [topic, partition] = place.split("/");
      consumer.seek({ topic, partition: Number(partition), offset: "0" });
    }
  });
  await consumer.disconnect();
  return summary;
}

const kafka = new kafkajs.Kafka({
  clientId: "samspil-outsider",
  brokers: bootstrap.split(","),
  logLevel: kafkajs.logLevel.ERROR,
  logCreator: () => ({ log }) => console.error(log.message, log.error ?? ""),
  ...security(),
});

try {
  const contract = await contractOf(
    env.ASYNCAPI ?? fileURLToPath(new URL("../../contracts/asyncapi.json", import.meta.url)),
  );
  const summary = await read(kafka, contract, await ends(kafka));
  console.log(JSON.stringify(summary));
  process.exit(Object.values(summary).some(({ invalid }) => invalid.length) ? 1 : 0);
} catch (failure) {
  console.error(failure.message);
  process.exit(2);
}
